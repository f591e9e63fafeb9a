"""The race: turns, clocks, stopping, and the parity report."""

from __future__ import annotations

import itertools
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from playground.config import BeamShape, Sampling
from playground.decode import clock, recording, stages
from playground.decode.decoding import Decoding, Drafting
from playground.decode.direct import DirectRunner
from playground.decode.engine import DraftingLane, PlainLane
from playground.decode.race import race
from playground.figures.parity import compare
from playground.trace import ParityRecord, PlainRecord, PromptRecord, StageMs, StepRecord
from tests.decode.lanes import GREEDY, MarkovBase, Scripted, opinion_of, plain_run, right

PROMPT = [1, 2, 3]


@pytest.fixture
def base() -> MarkovBase:
    return MarkovBase(torch.randn(24, 24, generator=torch.Generator().manual_seed(3)))


def lanes(
    base: Any, new: int = 20, sampling: Sampling = GREEDY, verifying: Any = None
) -> tuple[DraftingLane, PlainLane]:
    """The two lanes on `base`; the drafting one on `verifying`, if that is another."""
    drafting = Drafting(Scripted(opinion_of([], right, 24)), BeamShape(3, 2))
    return (
        DraftingLane(DirectRunner(Decoding(verifying or base, sampling, drafting)), new),
        PlainLane(DirectRunner(Decoding(base, sampling)), new),
    )


def never() -> bool:
    return False


def test_a_whole_race(base: MarkovBase) -> None:
    drafting, plain = lanes(base)
    records = list(race(drafting, plain, PROMPT, never))
    prompts = [record for record in records if isinstance(record, PromptRecord)]
    tokens = [record for record in records if isinstance(record, PlainRecord)]
    steps = [record for record in records if isinstance(record, StepRecord)]
    assert [record.lane for record in prompts] == ["redrafter", "plain"]
    assert [record.index for record in tokens] == list(range(20))
    assert (tokens[0].ms, tokens[0].clock_ms, tokens[0].token) == (0.0, 0.0, prompts[1].first_root)
    assert [record.index for record in steps] == list(range(len(steps)))
    assert [prompts[0].first_root, *(token for step in steps for token in step.emitted)] == [
        record.token for record in tokens
    ]
    assert records[-1] == ParityRecord(identical=True, compared=20, first_difference=None)
    assert steps[-1].clock_ms == pytest.approx(sum(step.ms.total for step in steps))
    assert tokens[-1].clock_ms == pytest.approx(sum(record.ms for record in tokens))


def test_the_lane_that_is_behind_runs_next(base: MarkovBase) -> None:
    drafting, plain = lanes(base, new=30)
    clocks = {"redrafter": 0.0, "plain": 0.0}
    done = {"redrafter": False, "plain": False}
    for record in race(drafting, plain, PROMPT, never):
        if not isinstance(record, StepRecord | PlainRecord) or (isinstance(record, PlainRecord) and record.index == 0):
            continue
        lane, other = ("redrafter", "plain") if isinstance(record, StepRecord) else ("plain", "redrafter")
        assert clocks[lane] <= clocks[other] or done[other]
        clocks[lane] = record.clock_ms
        done = {"redrafter": drafting.finish_reason is not None, "plain": plain.finish_reason is not None}
    assert all(done.values())


def test_nothing_is_held_across_a_yield(base: MarkovBase) -> None:
    for _ in race(*lanes(base), PROMPT, never):
        assert not torch.is_inference_mode_enabled()
        assert torch.is_grad_enabled()


def test_records_and_screen_work_cost_the_lane_nothing(base: MarkovBase, monkeypatch: pytest.MonkeyPatch) -> None:
    """The clock's time passes only while tokens are judged, records are made, and the caller holds one."""
    seconds = 0.0
    called: set[str] = set()

    def slow(room: Any, name: str) -> None:
        function = getattr(room, name)

        def slower(*arguments: Any, **options: Any) -> Any:
            nonlocal seconds
            seconds += 1.0
            called.add(name)
            return function(*arguments, **options)

        monkeypatch.setattr(room, name, slower)

    monkeypatch.setattr(clock, "time", SimpleNamespace(perf_counter=lambda: seconds))
    for room, name in ((stages, "judge"), (stages, "pick_gap"), (recording, "judgement"), (recording, "drafted")):
        slow(room, name)
    drafting, plain = lanes(base, new=8)
    for _ in race(drafting, plain, PROMPT, never):
        seconds += 1.0
    assert seconds > 8 and called == {"judge", "pick_gap", "judgement", "drafted"}
    assert (drafting.clock_ms, plain.clock_ms) == (0.0, 0.0)


def test_every_stage_is_timed(base: MarkovBase, monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = itertools.count()
    monkeypatch.setattr(clock, "time", SimpleNamespace(perf_counter=lambda: next(ticks)))
    drafting, _ = lanes(base, new=8)
    drafting.start(PROMPT)
    step = drafting.step()
    assert step.ms == StageMs(draft=1e3, tree=1e3, verify=1e3, accept=1e3, commit=1e3)
    assert step.clock_ms == 5e3


@pytest.mark.parametrize("stop_after", [1, 2, 3, 6])
def test_a_stopped_race_claims_nothing(base: MarkovBase, stop_after: int) -> None:
    drafting, plain = lanes(base)
    seen: list[Any] = []
    for record in race(drafting, plain, PROMPT, lambda: len(seen) >= stop_after):
        seen.append(record)
    parity = seen[-1]
    assert isinstance(parity, ParityRecord)
    assert parity.identical is None
    assert parity.compared == min(len(drafting.tokens), len(plain.tokens))
    assert len(seen) <= stop_after + 3  # the prompts and the parity report at most


def test_without_the_plain_lane_nothing_is_claimed(base: MarkovBase) -> None:
    drafting, _ = lanes(base)
    records = list(race(drafting, None, PROMPT, never))
    assert records[-1] == ParityRecord(identical=None, compared=0, first_difference=None)
    assert drafting.finish_reason == "length"


@pytest.mark.parametrize("sampling", [GREEDY, Sampling(temperature=0.9, top_p=0.8, seed=4)], ids=["greedy", "sampled"])
def test_the_report_compares_two_lanes_that_ran(base: MarkovBase, sampling: Sampling) -> None:
    """A drafting lane that verifies with other logits is found out, with the plain lane's gap."""
    truth = plain_run(base, PROMPT, sampling, 20)
    other = MarkovBase(base.table.clone())
    other.table[truth.tokens[6]] = other.table[truth.tokens[6]].roll(1)
    drafting, plain = lanes(base, sampling=sampling, verifying=other)
    parity = list(race(drafting, plain, PROMPT, never))[-1]
    assert isinstance(parity, ParityRecord)
    assert parity.identical is False
    first = next(index for index in range(20) if drafting.tokens[index] != plain.tokens[index])
    assert parity.first_difference == first
    assert (parity.redrafter_token, parity.plain_token) == (drafting.tokens[first], plain.tokens[first])
    assert parity.gap == plain.gaps[first]
    if sampling.greedy:
        best = base.table[plain.tokens[first - 1]].topk(2).values
        assert parity.gap == pytest.approx(float(best[0] - best[1]))


@pytest.mark.parametrize(
    ("ours", "plain", "finished", "identical", "first"),
    [
        ([1, 2], [1, 2], True, True, None),
        ([1, 2], [1, 2], False, None, None),
        ([1, 2, 3], [1, 2], False, None, None),
        ([1, 2, 3], [1, 2], True, False, 2),
        ([1, 5, 3], [1, 2], False, None, 1),
        ([], [], True, True, None),
    ],
)
def test_compare(ours: list[int], plain: list[int], finished: bool, identical: bool | None, first: int | None) -> None:
    parity = compare(ours, plain, [0.5] * len(plain), finished=finished)
    assert (parity.identical, parity.first_difference) == (identical, first)
    assert parity.compared == min(len(ours), len(plain))


def test_a_lane_can_start_again(base: MarkovBase) -> None:
    drafting, plain = lanes(base)
    first = list(race(drafting, plain, PROMPT, never))
    again = list(race(drafting, plain, PROMPT, never))
    assert [type(record) for record in first if not isinstance(record, PlainRecord)][-1] is ParityRecord
    assert again[-1] == first[-1]
    assert [step.emitted for step in again if isinstance(step, StepRecord)] == [
        step.emitted for step in first if isinstance(step, StepRecord)
    ]


class Ticking:
    """A clock that goes on by so many seconds at every look."""

    def __init__(self, seconds: float) -> None:
        self.now, self.seconds = 0.0, seconds

    def perf_counter(self) -> float:
        self.now += self.seconds
        return self.now


def told(records: list[Any]) -> list[Any]:
    """What records say besides times."""
    return [
        replace(record, **{name: 0.0 for name in ("ms", "clock_ms") if hasattr(record, name)}) for record in records
    ]


@pytest.mark.parametrize("seconds", [0.0, 0.004, 10.0], ids=["all held", "some held", "none held"])
def test_steps_that_were_held_have_the_records_they_would_have_had(
    base: MarkovBase, monkeypatch: pytest.MonkeyPatch, seconds: float
) -> None:
    """Whichever lane is behind is chosen by real clocks, so each lane is compared by itself."""
    at_once = told(list(race(*lanes(base), PROMPT, never)))
    monkeypatch.setattr("playground.decode.race.time", Ticking(seconds))
    held = told(list(race(*lanes(base), PROMPT, never, hold_ms=50.0)))
    for kind in (PromptRecord, StepRecord, PlainRecord, ParityRecord):
        assert [one for one in held if type(one) is kind] == [one for one in at_once if type(one) is kind]


def test_the_first_step_is_told_at_once_and_the_others_together(
    base: MarkovBase, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock_ = Ticking(0.01)
    monkeypatch.setattr("playground.decode.race.time", clock_)
    drafting, _ = lanes(base, new=40)
    moments = [clock_.now for one in race(drafting, None, PROMPT, never, hold_ms=45.0) if isinstance(one, StepRecord)]
    assert moments[0] == pytest.approx(0.01) and len(moments) == drafting.steps
    groups = [len(list(group)) for _, group in itertools.groupby(moments)]
    assert groups[0] == 1 and set(groups[1:-1]) == {5}, groups


def test_nothing_that_was_held_is_lost_when_a_run_breaks_off(base: MarkovBase, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("playground.decode.race.time", Ticking(0.0))
    drafting, _ = lanes(base, new=40)
    advance, seen = drafting.advance, []

    def breaking() -> Any:
        if drafting.steps == 6:
            raise KeyboardInterrupt
        return advance()

    monkeypatch.setattr(drafting, "advance", breaking)
    with pytest.raises(KeyboardInterrupt):
        for record in race(drafting, None, PROMPT, never, hold_ms=50.0):
            seen.append(record)
    assert [record.index for record in seen if isinstance(record, StepRecord)] == list(range(6))


def test_nothing_that_was_held_is_lost_when_a_run_is_stopped(base: MarkovBase, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("playground.decode.race.time", Ticking(0.0))
    drafting, _ = lanes(base, new=40)
    records = list(race(drafting, None, PROMPT, lambda: getattr(drafting, "steps", 0) >= 5, hold_ms=50.0))
    assert [record.index for record in records if isinstance(record, StepRecord)] == list(range(5))
    assert sum(len(r.emitted) for r in records if isinstance(r, StepRecord)) + 1 == len(drafting.tokens)
