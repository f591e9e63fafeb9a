"""The native runner: both lanes write the same text bit for bit, in every family and format, whatever is drafted."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from kernels.native import NativeLibrary, Segment
from kernels.native.choices import judge
from playground.base_model.native import NativeBase
from playground.config import BeamShape, Sampling
from playground.decode.engine import DraftingLane, PlainLane, Stopped
from playground.decode.native_runner import CHUNK, NativeDecoding, NativeRunner
from tests.decode.lanes import rejected_in_mid_path, several_accepted
from tests.decode.native import ScriptedDrafter, drafting_run, mixed_opinion, native_base, plain_run
from tests.kernels.native.families import FAMILIES, VOCABULARY

SAMPLINGS = {
    "greedy": Sampling(),
    "top-k": Sampling(temperature=0.8, top_k=12, seed=1),
    "top-p": Sampling(temperature=1.2, top_p=0.9, seed=2),
    "hot": Sampling(temperature=2.0, top_k=40, top_p=0.95, seed=3),
}
SHAPES = [BeamShape(1, 4, None), BeamShape(4, 3, None), BeamShape(8, 5, 40), BeamShape(3, 7, 9)]
PROMPT = [5, 17, 40, 8, 63, 21, 9]
NEW = 44


@pytest.fixture(scope="module", params=[(f, n) for f in FAMILIES for n in ("int8", "float32")], ids="-".join)
def base(request: pytest.FixtureRequest, library: NativeLibrary) -> NativeBase:
    return native_base(library, *request.param)


@pytest.fixture(scope="module")
def llama(library: NativeLibrary) -> NativeBase:
    return native_base(library, "llama", "int8")


def scripted(truth: list[int], shape: BeamShape) -> Any:
    return ScriptedDrafter(mixed_opinion(truth, VOCABULARY), shape)


@pytest.mark.parametrize("sampling", SAMPLINGS.values(), ids=SAMPLINGS.keys())
def test_both_lanes_write_the_same_text(base: NativeBase, sampling: Sampling) -> None:
    plain = plain_run(base, PROMPT, sampling, NEW)
    assert len(plain.tokens) == NEW
    truth = [*PROMPT, *plain.tokens]
    steps = []
    for shape in SHAPES:
        run = drafting_run(base, scripted(truth, shape), shape, PROMPT, sampling, NEW)
        assert run.lane.tokens == plain.tokens, shape
        steps += run.steps
    assert any(several_accepted(step) for step in steps)
    assert any(rejected_in_mid_path(step) for step in steps)


def test_records_are_what_the_model_says_of_the_text_alone(base: NativeBase) -> None:
    """Log-probabilities and ranks of picks and nodes, recomputed without a cache or a tree, have the same bits."""
    truth = [*PROMPT, *plain_run(base, PROMPT, Sampling(), NEW).tokens]
    shape = BeamShape(4, 3, 13)
    for step in drafting_run(base, scripted(truth, shape), shape, PROMPT, Sampling(), NEW).steps[:4]:
        ids = step.tree.token
        for node in range(1, step.tree.nodes):
            path, at = [], node
            while at >= 0:
                path.append(ids[at])
                at = step.tree.parent[at]
            text = [*truth[: step.position], *reversed(path)]
            assert told(base, text) == (step.log_probability[node], step.rank[node])
        for index, pick in enumerate(step.picks):
            text = truth[: step.position + index + 2]
            assert told(base, text) == (pick.log_probability, pick.rank) and text[-1] == pick.token


def told(base: NativeBase, text: list[int]) -> tuple[float, int]:
    """Of the last token after the others, in one forward over all of them."""
    model = base.model
    cache = model.new_cache(len(text))
    hidden = model.forward([Segment.chain(cache, 0, text[:-1])]).hidden[-1:]
    found = judge(model.library.c, model.handle, model.logits(hidden), np.zeros(1, np.int32), np.array(text[-1:]))
    return float(found.log_probability[0]), int(found.rank[0])


@pytest.mark.parametrize("at", [0, 3, 10])
def test_an_end_of_text_ends_both_lanes(library: NativeLibrary, llama: NativeBase, at: int) -> None:
    tokens = plain_run(llama, PROMPT, Sampling(), NEW).tokens
    ending = native_base(library, "llama", "int8", eos=[tokens[at]])
    plain = plain_run(ending, PROMPT, Sampling(), NEW)
    assert plain.finish_reason == "eos" and plain.tokens == tokens[: tokens.index(tokens[at]) + 1]
    shape = BeamShape(2, 6, 14)
    run = drafting_run(ending, scripted([*PROMPT, *tokens], shape), shape, PROMPT, Sampling(), NEW)
    assert (run.lane.tokens, run.lane.finish_reason) == (plain.tokens, "eos")


@pytest.mark.parametrize("new_tokens", [1, 2, 3, 17])
def test_no_more_tokens_than_were_asked_for(llama: NativeBase, new_tokens: int) -> None:
    truth = [*PROMPT, *plain_run(llama, PROMPT, Sampling(), NEW).tokens]
    shape = BeamShape(2, 6, 14)
    run = drafting_run(llama, scripted(truth, shape), shape, PROMPT, Sampling(), new_tokens)
    assert run.lane.tokens == truth[len(PROMPT) : len(PROMPT) + new_tokens]
    assert run.lane.finish_reason == "length"


@pytest.mark.parametrize("count", [1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK + 5])
def test_how_a_prompt_is_cut_does_not_show(llama: NativeBase, count: int) -> None:
    prompt = [(index * 31 + 7) % VOCABULARY for index in range(count)]
    lane = PlainLane(NativeRunner(NativeDecoding(llama, Sampling())), 4)
    opening = lane.start(prompt)
    text = [*prompt, opening.first_root]
    assert told(llama, text)[0] == opening.log_probability


def test_a_prompt_is_stopped_between_its_parts(llama: NativeBase) -> None:
    asked = []

    def stop() -> bool:
        asked.append(True)
        return len(asked) == 2

    lane = DraftingLane(NativeRunner(NativeDecoding(llama, Sampling())), 4)
    with pytest.raises(Stopped):
        lane.start([5] * (3 * CHUNK), stop)
    assert len(asked) == 2 and lane.tokens == []


def test_gaps_are_those_of_the_picks(llama: NativeBase) -> None:
    lane = plain_run(llama, PROMPT, Sampling(), 8)
    model, text = llama.model, [*PROMPT, *lane.tokens]
    hidden = model.forward([Segment.chain(model.new_cache(len(text)), 0, text[:-1])]).hidden[len(PROMPT) - 1 :]
    best = np.sort(model.logits(hidden), axis=-1)[:, -2:]
    assert lane.gaps == pytest.approx((best[:, 1] - best[:, 0]).tolist(), abs=0)
