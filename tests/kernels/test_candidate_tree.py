"""candidate_tree: both versions against paths in dictionaries, over random forests in random valid orders."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import fields

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kernels.candidate_tree.reference import candidate_tree_reference
from kernels.candidate_tree.triton import candidate_tree_triton
from kernels.types import Candidates, TreeTensors

BUILDERS = [pytest.param(candidate_tree_reference, id="reference"), pytest.param(candidate_tree_triton, id="triton")]
Builder = Callable[..., TreeTensors]


def forest(count: int, levels: int, dice: random.Random) -> tuple[list[int], list[int]]:
    """Parents and depths of candidates in order of depth; -1 hangs on the root."""
    parent, depth = [], []
    for candidate in range(count):
        above = [other for other in range(candidate) if depth[other] < levels]
        parent.append(dice.choice([-1, -1, *above]))
        depth.append(1 if parent[-1] < 0 else depth[parent[-1]] + 1)
    return parent, depth


def an_order(parent: list[int], dice: random.Random) -> list[int]:
    """All candidates, parents first, otherwise shuffled."""
    placed: list[int] = []
    waiting = list(range(len(parent)))
    while waiting:
        ready = [one for one in waiting if parent[one] < 0 or parent[one] in placed]
        placed.append(dice.choice(ready))
        waiting.remove(placed[-1])
    return placed


def built(build: Builder, device: torch.device, token: list[int], parent: list[int], depth: list[int], **more):
    def long(values):
        return torch.tensor(values, dtype=torch.int64, device=device)

    candidates = Candidates(long(token), long(parent), long(depth))
    entries = long(more["entries"]).reshape(len(more["entries"]), -1)
    sizes = {"count": long(more["count"]), "root": long(more["root"]), "levels": more["levels"]}
    return build(candidates, long(more["order"]), entries=entries, **sizes)


def check(tree: TreeTensors, token, parent, order, count, root, entries) -> None:
    rows = len(order) + 1
    chosen = [one for one in order[: max(0, count - 1)] if one >= 0]
    node = {candidate: place + 1 for place, candidate in enumerate(chosen)} | {-1: 0}
    real = len(chosen) + 1
    assert int(tree.count) == real and tree.count.shape == () and tree.count.dtype == torch.int64
    assert tree.token.tolist() == [root] + [token[one] for one in chosen] + [root] * (rows - real)
    assert tree.parent.tolist() == [-1] + [node[parent[one]] for one in chosen] + [-1] * (rows - real)
    depths, seen = [0], [{0}]
    for one in chosen:
        depths.append(depths[node[parent[one]]] + 1)
        seen.append(seen[node[parent[one]]] | {len(seen)})
    seen += [{row} for row in range(real, rows)]
    assert tree.depth.tolist() == depths + [0] * (rows - real)
    assert tree.ancestors.dtype == torch.bool
    assert [{at for at, sees in enumerate(row) if sees} for row in tree.ancestors.tolist()] == seen
    assert tree.node_of.tolist() == [[node.get(one, -1) if one >= 0 else -1 for one in row] for row in entries]


@pytest.mark.parametrize("build", BUILDERS)
@given(data=st.data(), seed=st.integers(0, 10_000))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_tree_is_the_forests_beginning(build: Builder, device: torch.device, data: st.DataObject, seed: int) -> None:
    dice = random.Random(seed)
    total, levels = data.draw(st.integers(1, 40)), data.draw(st.integers(1, 6))
    parent, depth = forest(total, levels, dice)
    token = [dice.randrange(5) for _ in range(total)]
    rows = data.draw(st.integers(1, 50))
    order = an_order(parent, dice)[: rows - 1]
    order += [-1] * (rows - 1 - len(order))
    count = data.draw(st.integers(1, rows + 2))
    entries = [[dice.randrange(-1, total) for _ in range(levels)] for _ in range(dice.randrange(1, 5))]
    tree = built(build, device, token, parent, depth, order=order, count=count, root=9, entries=entries, levels=levels)
    check(tree, token, parent, order, count, 9, entries)


@pytest.mark.parametrize("build", BUILDERS)
def test_the_worked_example(build: Builder, device: torch.device) -> None:
    example = {"token": [5, 8, 6, 7], "parent": [-1, -1, 0, 0], "depth": [1, 1, 2, 2]}
    tree = built(build, device, **example, order=[0, 3, 1], count=3, root=9, entries=[[0, 3], [1, -1]], levels=2)
    assert tree.token.tolist() == [9, 5, 7, 9] and tree.parent.tolist() == [-1, 0, 1, -1]
    assert tree.depth.tolist() == [0, 1, 2, 0] and tree.node_of.tolist() == [[1, 2], [-1, -1]]
    assert int(tree.count) == 3


@pytest.mark.parametrize("build", BUILDERS)
def test_a_smaller_budget_is_a_prefix(build: Builder, device: torch.device) -> None:
    """Big ids, a chain sixteen deep, and every count of 65 rows."""
    dice = random.Random(1)
    parent, depth = forest(100, 5, dice)
    parent, depth = [*parent, -1, *range(100, 115)], [*depth, *range(1, 17)]
    token = [2**31 - 1 - one for one in range(116)]
    order = an_order(parent, dice)[:64]
    for count in (1, 2, 17, 64, 65):
        more = {"order": order, "count": count, "root": 2**31 - 1, "entries": [[0, 5], [115, 99]], "levels": 16}
        tree = built(build, device, token, parent, depth, **more)
        check(tree, token, parent, order, count, 2**31 - 1, more["entries"])


def test_strided_inputs(device: torch.device) -> None:
    table = torch.tensor([[5, -1, 1], [8, -1, 1], [6, 0, 2], [7, 0, 2]], device=device)
    order = torch.tensor([[0, 9], [3, 9], [1, 9]], device=device)[:, 0]
    entries = torch.tensor([[0, 1], [3, -1]], device=device).T
    trees = [
        build(Candidates(*table.T), order, *torch.tensor([4, 9], device=device), entries, levels=2)
        for build in (candidate_tree_reference, candidate_tree_triton)
    ]
    for part in fields(TreeTensors):
        assert torch.equal(*(getattr(tree, part.name) for tree in trees))
