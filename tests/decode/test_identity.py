"""Recurrent drafting writes plain decoding's text, token for token, whatever the drafter does; and the test can fail.

In float64, where near ties excuse nothing. Plain decoding itself is compared with the stock model run sequentially.
"""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest
import torch

from playground.base_model.adapter import BaseModel
from playground.base_model.cache import KVCache
from playground.base_model.pairing import pair_drafter
from playground.config import BeamShape, Sampling
from playground.drafter.cell import Drafter
from playground.drafter.config import DrafterConfig
from playground.sampling import rule_of
from playground.trace import StepRecord
from tests.decode.lanes import (
    GREEDY,
    KERNELS,
    Scripted,
    drafting_run,
    mixed,
    opinion_of,
    plain_run,
    rejected_in_mid_path,
    right,
    several_accepted,
    tiny_base,
    wrong,
)
from tests.families import VOCABULARY, Sequential, build

FAMILIES = ["llama", "qwen2-mixed", "qwen3", "mistral-sliding", "gemma2-mixed", "gpt2", "gpt-neox"]
SAMPLINGS = {
    "greedy": GREEDY,
    "top-k": Sampling(temperature=0.8, top_k=12, seed=1),
    "top-p": Sampling(temperature=1.2, top_p=0.9, seed=2),
    "hot": Sampling(temperature=2.0, top_k=40, top_p=0.95, seed=3),
}
SHAPES = [
    BeamShape(1, 4, None), BeamShape(4, 3, None), BeamShape(8, 5, None), BeamShape(3, 7, None),
    BeamShape(4, 3), BeamShape(8, 5, 48), BeamShape(3, 7, 6), BeamShape(1, 4, 12, copy_tail=False),
]  # fmt: skip
PROMPT = [5, 17, 40, 8, 63, 21, 9]
NEW = 44


@pytest.fixture(scope="module", params=FAMILIES)
def base(request: pytest.FixtureRequest) -> BaseModel:
    untied = {"tie_word_embeddings": False} if request.param == "gemma2-mixed" else {}  # tied, it repeats itself
    return tiny_base(request.param, **untied)


@pytest.fixture(scope="module")
def llama() -> BaseModel:
    return tiny_base("llama")


def truth_of(base: BaseModel, sampling: Sampling) -> list[int]:
    return [*PROMPT, *plain_run(base, PROMPT, sampling, NEW).tokens]


def assert_exercised(steps: Sequence[StepRecord], text: Sequence[int]) -> None:
    """A looping text, or a drafter that is never in between, would prove little."""
    assert any(several_accepted(step) for step in steps)
    assert any(rejected_in_mid_path(step) for step in steps)
    assert len(set(text)) >= 8


@pytest.mark.parametrize("sampling", SAMPLINGS.values(), ids=SAMPLINGS.keys())
def test_a_mixed_drafter_changes_nothing(base: BaseModel, sampling: Sampling) -> None:
    truth = truth_of(base, sampling)
    drafter = Scripted(opinion_of(truth, mixed))
    for shape in SHAPES:
        run = drafting_run(base, drafter, shape, PROMPT, sampling, NEW)
        assert run.lane.tokens == truth[len(PROMPT) :], shape
        if shape.width > 1:
            assert_exercised(run.steps, run.lane.tokens)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("sampling", [SAMPLINGS["greedy"], SAMPLINGS["top-p"]], ids=["greedy", "top-p"])
def test_plain_decoding_is_the_stock_models(family: str, sampling: Sampling) -> None:
    model = build(family, tie_word_embeddings=False).double()
    model.config.eos_token_id = model.generation_config.eos_token_id = None
    stock = Sequential(model)
    text = list(PROMPT)
    for _ in range(NEW):
        text.append(int(KERNELS.pick(stock(torch.tensor(text)), rule_of(sampling), len(text))))
    lane = plain_run(BaseModel.from_model(copy.deepcopy(model), kernels=KERNELS), PROMPT, sampling, NEW)
    assert lane.tokens == text[len(PROMPT) :]
    assert len(set(lane.tokens)) >= 8


@pytest.mark.parametrize("sampling", [SAMPLINGS["greedy"], SAMPLINGS["top-k"]], ids=["greedy", "top-k"])
def test_an_always_right_drafter_is_always_accepted(llama: BaseModel, sampling: Sampling) -> None:
    truth = truth_of(llama, sampling)
    run = drafting_run(llama, Scripted(opinion_of(truth, right)), BeamShape(4, 4), PROMPT, sampling, NEW)
    assert run.lane.tokens == truth[len(PROMPT) :]
    assert [step.accepted for step in run.steps] == [4] * 8 + [2]  # 43 tokens after the first: 8 x 5 and 3
    assert len(set(run.lane.tokens)) >= 8


@pytest.mark.parametrize("sampling", [SAMPLINGS["greedy"], SAMPLINGS["top-k"]], ids=["greedy", "top-k"])
def test_an_always_wrong_drafter_is_never_accepted(llama: BaseModel, sampling: Sampling) -> None:
    truth = truth_of(llama, sampling)
    run = drafting_run(llama, Scripted(opinion_of(truth, wrong)), BeamShape(4, 4), PROMPT, sampling, NEW)
    assert run.lane.tokens == truth[len(PROMPT) :]
    assert {step.accepted for step in run.steps} == {0}
    assert len(run.steps) == NEW - 1
    assert len(set(run.lane.tokens)) >= 8


def test_duplicate_beams_share_their_nodes(llama: BaseModel) -> None:
    truth = truth_of(llama, GREEDY)
    twice = torch.arange(VOCABULARY).repeat(2)  # every token has two draft ids
    run = drafting_run(llama, Scripted(opinion_of(truth, mixed), twice), BeamShape(8, 3, None), PROMPT, GREEDY, NEW)
    assert run.lane.tokens == truth[len(PROMPT) :]
    assert_exercised(run.steps, run.lane.tokens)
    assert any(len(set(step.beams.tokens)) < step.beams.width for step in run.steps)
    for step in run.steps:
        nodes = [(parent, token) for parent, token in zip(step.tree.parent, step.tree.token, strict=True)]
        assert len(set(nodes)) == len(nodes)


@pytest.mark.parametrize("width", [48, 64])
def test_more_beams_than_the_draft_vocabulary(llama: BaseModel, width: int) -> None:
    truth = truth_of(llama, GREEDY)
    frequent = [token for token, _ in Counter(truth).most_common(24)]
    some = torch.tensor(sorted(frequent))
    run = drafting_run(llama, Scripted(opinion_of(truth, mixed), some), BeamShape(width, 3), PROMPT, GREEDY, NEW)
    assert run.lane.tokens == truth[len(PROMPT) :]
    assert_exercised(run.steps, run.lane.tokens)


def test_a_draft_vocabulary_of_one_token(llama: BaseModel) -> None:
    """Only the first beam stands for something; the others never enter the tree."""
    truth = truth_of(llama, GREEDY)
    run = drafting_run(llama, Scripted(opinion_of(truth, right), torch.tensor([3])), BeamShape(4, 3), PROMPT, GREEDY, 9)
    assert run.lane.tokens == truth[len(PROMPT) : len(PROMPT) + 9]
    first = run.steps[0]
    assert first.beams.tokens == ((3, 3, 3), *[(-1, -1, -1)] * 3)
    assert first.beams.scores[1:] == pytest.approx((-1e30,) * 3)
    assert first.tree.token[1:] == (3, 3, 3)
    assert first.tree.node_of[1:] == ((-1, -1, -1),) * 3


@pytest.mark.parametrize("sampling", [SAMPLINGS["greedy"], SAMPLINGS["top-p"]], ids=["greedy", "top-p"])
def test_an_untrained_drafter_changes_nothing(sampling: Sampling) -> None:
    """The real drafter with random weights; few tokens and many beams make some of its guesses right."""
    base = tiny_base("llama", vocab_size=20)
    prompt = [token % 20 for token in PROMPT]
    config = DrafterConfig(
        20, 32, 64, context_layers=(1,), context_tokens=3, context_dim=8, lookup_tokens=2, logit_cut=0
    )
    torch.manual_seed(0)
    drafter = pair_drafter(Drafter(config), base)
    truth = plain_run(base, prompt, sampling, NEW).tokens
    steps = []
    for shape in (
        BeamShape(64, 3, None),
        BeamShape(32, 2, None),
        BeamShape(2, 5, None),
        BeamShape(8, 5),
        BeamShape(4, 2, 60),
    ):
        run = drafting_run(base, drafter, shape, prompt, sampling, NEW)
        assert run.lane.tokens == truth, shape
        steps += run.steps
    assert_exercised(steps, truth)


def corrupt(monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    """Break one thing that verification rests on."""
    forward = BaseModel.forward

    def broken(self: BaseModel, tokens: torch.Tensor, depth: torch.Tensor, ancestors: torch.Tensor, cache: Any) -> Any:
        if how == "mask":  # every node sees the whole tree
            ancestors = torch.ones_like(ancestors)
        if how == "position":  # one off below the root
            depth = depth + (depth > 0)
        return forward(self, tokens, depth, ancestors, cache)

    if how == "commit":  # rows counted where they stand

        def count(self: KVCache, path: torch.Tensor, length: torch.Tensor) -> None:
            self.committed_tensor.add_(length)

        monkeypatch.setattr(KVCache, "commit_counted", count)
    else:
        monkeypatch.setattr(BaseModel, "forward", broken)


@pytest.mark.parametrize("sampling", [SAMPLINGS["greedy"], SAMPLINGS["top-p"]], ids=["greedy", "top-p"])
@pytest.mark.parametrize("how", ["mask", "position", "commit"])
@pytest.mark.parametrize("nodes", [None, 16], ids=["beams", "best-first"])
def test_a_corrupted_step_shows(
    base: BaseModel, how: str, sampling: Sampling, nodes: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    truth = truth_of(base, sampling)
    corrupt(monkeypatch, how)
    drafter = Scripted(opinion_of(truth, mixed))
    run = drafting_run(base, drafter, BeamShape(8, 5, nodes), PROMPT, sampling, NEW)
    assert run.lane.tokens != truth[len(PROMPT) :]
