"""Every family of `tests/families.py`: a tree is the sequential forward up to the last position of a short window, and
drafting writes what transformers' own generate writes, with a drafter right often enough for whole paths to be taken.

Texts in float64, where near ties excuse nothing. `make test` takes a sample of the families, `make trust` all of them.
"""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch

from playground.base_model.adapter import BaseModel
from playground.config import BeamShape
from tests.base_model.test_tree_forward import TOLERANCE
from tests.decode.lanes import (
    GREEDY,
    KERNELS,
    Scripted,
    drafting_run,
    mixed,
    opinion_of,
    rejected_in_mid_path,
    several_accepted,
)
from tests.decode.test_cuts import generated
from tests.families import FAMILIES, SLIDING, VOCABULARY, Sequential, build, random_tree

SAMPLE = ("cohere", "gpt-oss-sinks", "mixtral", "olmoe", "opt", "qwen3-moe")
NAMES = [pytest.param(name, marks=() if name in SAMPLE else pytest.mark.trust) for name in sorted(FAMILIES)]
ROUTED = ("gpt-oss-sinks", "mixtral", "olmoe", "qwen3-moe")
WINDOW = 3 * SLIDING  # texts slide out of sight within it
DEEPEST = 5
PROMPT = [5, 17, 40, 8, 63, 21, 9]
SHAPES = (BeamShape(4, 3, None), BeamShape(8, 5, 48), BeamShape(3, 7, 6), BeamShape(1, 4, 12, copy_tail=False))


def short_model(family: str, window: int) -> Any:
    """With a window of so many tokens, a text that nothing ends, and a head that does not repeat what is put in.

    In float64, but for experts: torch multiplies them, routed, in float32 at most.
    """
    size = {"n_positions": window} if family == "gpt2" else {}
    untied = {} if family == "llama-tied" else {"tie_word_embeddings": False}
    model = build(family, max_position_embeddings=window, **untied, **size)
    model = model if family in ROUTED else model.double()
    model.config.eos_token_id = model.generation_config.eos_token_id = None
    return model


@pytest.mark.parametrize("window", [12, SLIDING, WINDOW])
@pytest.mark.parametrize("family", NAMES)
def test_a_tree_at_the_last_positions_of_a_short_window(family: str, window: int) -> None:
    model = short_model(family, window)
    stock, base = Sequential(model), BaseModel.from_model(model, kernels=KERNELS)
    generator = torch.Generator().manual_seed(7)
    text = torch.randint(3, VOCABULARY, (window - DEEPEST - 1,), generator=generator)
    tree = random_tree(24, generator, DEEPEST)
    assert int(tree.depth.max()) == DEEPEST  # the last position there is
    cache = base.new_cache(window + 24)
    base.prefill(text, cache)
    output = base.forward(tree.tokens, tree.depth, tree.ancestors, cache)
    for node in range(24):
        expected = stock(torch.cat([text, tree.tokens[tree.path(node)]]))
        assert torch.allclose(output.logits[node], expected, atol=TOLERANCE, rtol=0), node


@pytest.mark.parametrize("family", NAMES)
def test_drafting_writes_what_generate_writes(family: str) -> None:
    model = short_model(family, WINDOW)
    truth = generated(model, PROMPT, (), max_length=WINDOW)
    assert len(truth) == WINDOW - len(PROMPT) and len(set(truth)) >= 6
    base = BaseModel.from_model(copy.deepcopy(model), kernels=KERNELS)
    drafter, steps = Scripted(opinion_of([*PROMPT, *truth], mixed)), []
    for shape in SHAPES:
        run = drafting_run(base, drafter, shape, PROMPT, GREEDY, 500)
        assert run.lane.tokens == truth and run.lane.finish_reason == "window", shape
        steps += run.steps
    assert sum(several_accepted(step) for step in steps) >= 10
    assert any(rejected_in_mid_path(step) for step in steps)
    assert any(step.accepted >= 3 for step in steps), "no whole path was accepted"
