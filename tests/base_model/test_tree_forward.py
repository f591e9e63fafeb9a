"""A tree verified in one forward equals every path run alone through the stock model; and the test can fail."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from kernels import KernelSet
from playground.base_model.adapter import BaseModel
from playground.base_model.attention import TreeFrame
from playground.base_model.cache import KVCache
from tests.families import CONTEXT, FAMILIES, VOCABULARY, Sequential, Tree, build, random_tree

TOLERANCE = 1e-4  # noise of stock eager against stock sdpa is 1e-5; a wrong token in sight gives more than 0.1
VISIBLE = 0.05
ROUNDS = 3


def worst_error(
    family: str, kernels: KernelSet, corrupt: str | None = None, rounds: int = ROUNDS, nodes: int = 14
) -> float:
    """Largest logit difference over all nodes of all rounds, a path being committed between rounds."""
    model = build(family)
    stock = Sequential(model)
    base = BaseModel.from_model(model, kernels=kernels)
    generator = torch.Generator().manual_seed(5)
    text = torch.randint(3, VOCABULARY, (CONTEXT,), generator=generator)
    cache = base.new_cache(CONTEXT + rounds * 6 + nodes)
    output = base.prefill(text, cache)
    worst = float((output.logits[0] - stock(text)).abs().max())
    for _ in range(rounds):
        tree = random_tree(nodes, generator)
        given = corrupted(tree, corrupt)
        output = base.forward(given.tokens, given.depth, given.ancestors, cache)
        for node in range(nodes):
            expected = stock(torch.cat([text, tree.tokens[tree.path(node)]]))
            worst = max(worst, float((output.logits[node] - expected).abs().max()))
        path = torch.tensor(tree.path(tree.deepest()))
        if corrupt == "commit":  # counted, but the rows not moved
            cache.extend(len(path))
        else:
            cache.commit(path)
        text = torch.cat([text, tree.tokens[path]])
    return worst


def corrupted(tree: Tree, how: str | None) -> Tree:
    if how == "mask":  # every node sees its siblings and cousins
        return replace(tree, ancestors=torch.ones_like(tree.ancestors).tril())
    if how == "position":  # nodes stand at their slots' positions
        return replace(tree, depth=torch.arange(len(tree.parent)))
    return tree


@pytest.mark.parametrize("family", FAMILIES)
def test_tree_equals_sequential_stock_forward(family: str, kernels: KernelSet) -> None:
    assert worst_error(family, kernels) < TOLERANCE


@pytest.mark.parametrize("corruption", ["mask", "position", "commit"])
@pytest.mark.parametrize("family", FAMILIES)
def test_a_corrupted_tree_shows(family: str, corruption: str, kernels: KernelSet) -> None:
    assert worst_error(family, kernels, corruption, rounds=2, nodes=10) > VISIBLE


@pytest.mark.parametrize("family", ["llama", "qwen2-mixed", "gpt2"])
def test_slots_kept_on_the_device_give_the_same(
    family: str, kernels: KernelSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The path CUDA takes, where no count is read back from the device: slots and positions from tensors."""

    def on_device(cache: KVCache, depth: torch.Tensor, ancestors: torch.Tensor) -> TreeFrame:
        return TreeFrame(cache, depth, ancestors, cache.committed_tensor + torch.arange(depth.shape[0]))

    monkeypatch.setattr(TreeFrame, "of", on_device)
    assert worst_error(family, kernels) < TOLERANCE
