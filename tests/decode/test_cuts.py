"""The text stops exactly where plain decoding, and transformers' own generate, stop."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import pytest
import torch

from playground.base_model.adapter import BaseModel
from playground.config import BeamShape, PlaygroundError, Sampling
from playground.decode.direct import DirectRunner
from playground.decode.replay import ReplayedRunner
from playground.trace import kept
from playground.trace.checks import step_problems
from tests.decode.lanes import (
    GREEDY,
    KERNELS,
    Drafted,
    MarkovBase,
    Scripted,
    drafting_run,
    mixed,
    opinion_of,
    plain_run,
    right,
    tiny_base,
)
from tests.families import VOCABULARY, build

PROMPT = [5, 17, 40, 8, 63, 21, 9]


def generated(model: Any, prompt: Sequence[int], eos: Sequence[int], **limits: int) -> list[int]:
    """New tokens of transformers' own greedy generate."""
    model = copy.deepcopy(model)
    model.set_attn_implementation("eager")
    ids = torch.tensor([list(prompt)])
    found = model.generate(
        ids,
        attention_mask=torch.ones_like(ids),
        do_sample=False,
        eos_token_id=list(eos) or None,
        pad_token_id=0,
        **limits,
    )
    return found[0, len(prompt) :].tolist()


def both_lanes(
    base: Any, truth: Sequence[int], prompt: Sequence[int], new: int, shape: BeamShape, sampling: Sampling = GREEDY
) -> Drafted:
    """Both lanes run to their ends and agree; the drafter knows where the text goes on after the end."""
    plain = plain_run(base, prompt, sampling, new)
    run = drafting_run(base, Scripted(opinion_of([*prompt, *truth], right)), shape, prompt, sampling, new)
    assert run.lane.tokens == plain.tokens
    assert run.lane.finish_reason == plain.finish_reason
    for step in run.steps:
        assert list(step_problems(kept(step, lambda token: b"%d" % token))) == []
    return run


@pytest.fixture(scope="module")
def model() -> Any:
    built = build("llama").double()
    built.config.eos_token_id = built.generation_config.eos_token_id = None
    return built


@pytest.fixture(scope="module")
def endless(model: Any) -> list[int]:
    """Greedy text that nothing ends."""
    return generated(model, PROMPT, (), max_new_tokens=40)


@pytest.mark.parametrize("runner", [DirectRunner, ReplayedRunner])
@pytest.mark.parametrize("family", ["llama", "gpt2", "gemma2-mixed", "mistral-sliding"])
def test_the_root_alone_is_stock_greedy_decoding(family: str, runner: Any) -> None:
    model = build(family, tie_word_embeddings=False).double()
    model.config.eos_token_id = model.generation_config.eos_token_id = None
    want = generated(model, PROMPT, (), max_new_tokens=30)
    lane = plain_run(BaseModel.from_model(model, kernels=KERNELS), PROMPT, GREEDY, 30, runner)
    assert lane.tokens == want and len(lane.gaps) == 30 and len(set(want)) >= 8


@pytest.mark.parametrize("new", [1, 2, 3, 7, 13, 24])
@pytest.mark.parametrize(
    "shape", [BeamShape(1, 1, None), BeamShape(4, 5, None), BeamShape(2, 16), BeamShape(4, 5, 6)], ids=str
)
def test_length(model: Any, endless: list[int], new: int, shape: BeamShape) -> None:
    base = BaseModel.from_model(copy.deepcopy(model), kernels=KERNELS)
    run = both_lanes(base, endless, PROMPT, new, shape)
    assert run.lane.tokens == generated(model, PROMPT, (), max_new_tokens=new) == endless[:new]
    assert run.lane.finish_reason == "length"
    assert all(step.beams.length <= shape.length for step in run.steps)
    if run.steps:
        assert run.steps[-1].next_root is None
        assert all(step.next_root is not None for step in run.steps[:-1])


@pytest.mark.parametrize("end", [0, 1, 2, 4, 5, 9])
@pytest.mark.parametrize(
    "shape", [BeamShape(1, 1, None), BeamShape(4, 5), BeamShape(3, 16, None), BeamShape(2, 5, 9)], ids=str
)
def test_end_of_sequence(model: Any, endless: list[int], end: int, shape: BeamShape) -> None:
    eos = endless[end]
    base = BaseModel.from_model(copy.deepcopy(model), kernels=KERNELS)
    base.eos_ids = frozenset({eos, 96})
    run = both_lanes(base, endless, PROMPT, 30, shape)
    assert run.lane.tokens == generated(model, PROMPT, (eos, 96), max_new_tokens=30)
    assert run.lane.finish_reason == "eos"
    assert run.lane.tokens[-1] == eos
    assert eos not in run.lane.tokens[:-1]


def test_an_accepted_end_of_sequence_has_no_next_root(model: Any, endless: list[int]) -> None:
    base = BaseModel.from_model(copy.deepcopy(model), kernels=KERNELS)
    base.eos_ids = frozenset({endless[3]})
    run = both_lanes(base, endless, PROMPT, 30, BeamShape(4, 6, None))
    (step,) = run.steps
    assert step.beams.tokens[0][:3] == tuple(endless[1:4])
    assert step.beams.tokens[0][3:] == (-1, -1, -1)  # nothing is drafted behind the end
    assert step.tree.token[step.path[-1]] == endless[3]
    assert step.accepted == 3
    assert step.emitted == tuple(endless[1:4])
    assert len(step.picks) == 3
    assert step.next_root is None


def test_a_wrongly_drafted_end_of_sequence_ends_nothing() -> None:
    """Beams that end are mixed with beams that go on, everywhere."""
    eos = 33
    base = tiny_base("llama", eos=(eos,))
    truth = [*PROMPT, *plain_run(base, PROMPT, GREEDY, 40).tokens]
    assert eos not in truth

    def prefer(position: int, token: int) -> dict[int, float]:
        return {**mixed(position, token), eos: 12.5}

    run = drafting_run(base, Scripted(opinion_of(truth, prefer)), BeamShape(6, 5, None), PROMPT, GREEDY, 40)
    assert run.lane.tokens == truth[len(PROMPT) :]
    ended = [beam for step in run.steps for beam in step.beams.tokens if eos in beam[:-1]]
    assert ended
    assert all(set(beam[beam.index(eos) + 1 :]) == {-1} for beam in ended)


def test_a_best_first_search_expands_no_end_of_sequence() -> None:
    eos = 33
    base = tiny_base("llama", eos=(eos,))
    truth = [*PROMPT, *plain_run(base, PROMPT, GREEDY, 40).tokens]

    def prefer(position: int, token: int) -> dict[int, float]:
        return {**mixed(position, token), eos: 12.5}

    run = drafting_run(base, Scripted(opinion_of(truth, prefer)), BeamShape(6, 5, 30), PROMPT, GREEDY, 40)
    assert run.lane.tokens == truth[len(PROMPT) :]
    trees = [step.tree for step in run.steps]
    ended = [(tree, node) for tree in trees for node in range(tree.nodes) if tree.token[node] == eos]
    assert ended and not any(node in tree.parent for tree, node in ended)


def test_an_ended_beam_keeps_its_score() -> None:
    eos = 33
    base = tiny_base("llama", eos=(eos,))
    truth = [*PROMPT, *plain_run(base, PROMPT, GREEDY, 12).tokens]

    def prefer(position: int, token: int) -> dict[int, float]:
        return {token: 11.0, eos: 12.0}

    run = drafting_run(base, Scripted(opinion_of(truth, prefer)), BeamShape(4, 4, None), PROMPT, GREEDY, 12)
    beams = run.steps[0].beams
    assert beams.tokens[0] == (eos, -1, -1, -1)
    assert list(beams.scores) == sorted(beams.scores, reverse=True)
    for row, score in zip(beams.log_probabilities, beams.scores, strict=True):
        assert sum(row) == pytest.approx(score, abs=1e-4)


@pytest.mark.parametrize("family", ["gpt2", "llama"])
@pytest.mark.parametrize("room", [1, 2, 6, 11])
def test_the_models_window(family: str, room: int) -> None:
    """Learned positions overflow where a draft looks past the window."""
    window = 32
    size = {"n_positions": window} if family == "gpt2" else {}
    model = build(family, max_position_embeddings=window, **size).double()
    model.config.eos_token_id = model.generation_config.eos_token_id = None
    prompt = [(7 * index + 3) % VOCABULARY for index in range(window - room)]
    truth = generated(model, prompt, (), max_length=window)
    assert len(truth) == room
    for shape in (BeamShape(4, 5, None), BeamShape(4, 5)):
        run = both_lanes(BaseModel.from_model(copy.deepcopy(model), kernels=KERNELS), truth, prompt, 500, shape)
        assert run.lane.tokens == truth
        assert run.lane.finish_reason == "window"


@pytest.mark.parametrize("length", [0, 8, 9])
def test_a_prompt_without_room_is_refused(length: int) -> None:
    base = MarkovBase(torch.eye(9), window=8)
    with pytest.raises(PlaygroundError, match=f"has {length} tokens, but must have from 1 to 7"):
        plain_run(base, [1] * length, GREEDY, 4)


def test_no_step_looks_further_than_it_could_write() -> None:
    generator = torch.Generator().manual_seed(0)
    base = MarkovBase(torch.randn(30, 30, generator=generator), window=20)
    for shape in (BeamShape(3, 7, None), BeamShape(3, 7, 30)):
        run = drafting_run(base, Scripted(opinion_of([], right, 30)), shape, [1, 2, 3], GREEDY, 100)
        assert max(base.fed) < 20 - 1  # the last token is picked, not fed
        assert len(run.lane.tokens) == 17
