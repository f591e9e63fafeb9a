"""The loop by itself, over a runner of plain Python: what it asks for, in which order, and when it stops."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import pytest

from playground.decode.engine import DraftingLane
from playground.decode.runner import Drafted, Judgement, Opening, Reading, Taken
from playground.trace import BeamsRecord, StageMs, TreeRecord


@dataclass
class Model:
    name: str = "counting"
    window: int = 100
    eos_ids: frozenset[int] = frozenset({99})


@dataclass
class Counting:
    """Writes 1, 2, 3, ...; a proposal of one beam is right in as many tokens as `right` says, in turn."""

    right: Sequence[int]
    asks: bool
    model: Model = field(default_factory=Model)
    asked: list[str] = field(default_factory=list)

    def start(self, prompt_ids: Sequence[int], limit: int, should_stop: Callable[[], bool]) -> Opening:
        self.asked, self.root, self.last, self.made = ["start"], 1, limit, 0
        return Opening(1, -0.5, None, 7.0)

    def settle(self) -> Taken | None:
        self.asked.append("settle")
        right = min(self.right[self.made - 1], len(self.beam))
        picks = [self.root + 1 + step for step in range(right + 1)]
        for place, token in enumerate(picks):
            if token in self.model.eos_ids:  # accepted or picked, nothing comes behind it
                right, picks = min(right, place + 1), picks[: place + 1]
                break
        self.taken = Taken(tuple(range(right + 1)), tuple(picks))
        self.root = picks[-1]
        return self.taken if self.asks else None

    def propose(self) -> None:
        self.asked.append("propose")
        self.beam = tuple(self.root + 1 + step for step in range(max(0, min(2, self.last - self.root - 1))))
        self.made += 1

    def read(self) -> Reading:
        self.asked.append("read")
        nodes = range(len(self.beam) + 1)
        tree = TreeRecord((self.root, *self.beam), tuple(node - 1 for node in nodes), tuple(nodes), ((*nodes[1:],),))
        beams = BeamsRecord((self.beam,), (tuple(-0.1 for _ in self.beam),), (0.0,))
        settled = "settle" in self.asked[-3:]
        ms = StageMs(draft=float(self.made), tree=0.5, verify=10.0, accept=1.0, commit=1.0)
        return Reading(ms, self.taken if settled else None, None, Judgement, lambda: Drafted(beams, tree))


@pytest.mark.parametrize("asks", [True, False], ids=["known at once", "known when read"])
def test_the_order_of_a_step(asks: bool) -> None:
    runner = Counting(right=(2, 0, 1), asks=asks)
    lane = DraftingLane(runner, 7)
    first = lane.start([5, 5, 5])
    assert (first.first_root, first.ms, runner.asked) == (1, 7.0, ["start", "propose", "read"])
    steps = []
    while lane.finish_reason is None:
        runner.asked.clear()
        steps.append(lane.step())
        ended = lane.finish_reason is not None
        assert runner.asked == (["settle", "read"] if ended and asks else ["settle", "propose", "read"])
    assert lane.tokens == [1, 2, 3, 4, 5, 6, 7] and lane.finish_reason == "length"
    assert [step.accepted for step in steps] == [2, 0, 1] and [step.position for step in steps] == [3, 6, 7]
    assert [step.beams.tokens for step in steps] == [((2, 3),), ((5, 6),), ((6,),)]  # each step's own draft
    assert [step.ms.draft for step in steps] == [1.0, 2.0, 3.0]  # and its time
    assert [step.clock_ms for step in steps] == [13.5, 28.0, 43.5]
    assert [step.next_root for step in steps] == [4, 5, None]


def test_nothing_is_proposed_behind_a_first_token_that_ends_the_text() -> None:
    for limit, ends in ((1, frozenset({99})), (50, frozenset({1}))):
        runner = Counting(right=(), asks=True, model=Model(eos_ids=ends))
        lane = DraftingLane(runner, limit)
        assert lane.start([5]).first_root == 1
        assert runner.asked == ["start"] and lane.finish_reason == ("length" if limit == 1 else "eos")


@pytest.mark.parametrize("asks", [True, False], ids=["known at once", "known when read"])
@pytest.mark.parametrize("end", [2, 3, 4])
def test_an_end_of_sequence_ends_the_loop(end: int, asks: bool) -> None:
    runner = Counting(right=(2,), asks=asks, model=Model(eos_ids=frozenset({end})))
    lane = DraftingLane(runner, 50)
    lane.start([5])
    step = lane.step()
    assert lane.tokens == list(range(1, end + 1)) and lane.finish_reason == "eos" and step.next_root is None
    assert runner.asked[3:] == (["settle", "read"] if asks else ["settle", "propose", "read"])
