"""prefix_tree: both versions against a trie built from dictionaries."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kernels.prefix_tree.reference import prefix_tree_reference
from kernels.prefix_tree.triton import prefix_tree_triton
from kernels.types import TreeTensors

BUILDERS = [pytest.param(prefix_tree_reference, id="reference"), pytest.param(prefix_tree_triton, id="triton")]
Builder = Callable[[torch.Tensor, torch.Tensor], TreeTensors]


def trie(beams: list[list[int]], root: int) -> dict[str, list]:
    """Nested dictionaries, a path of tokens at a time; nodes numbered as they are first met."""
    number: dict[tuple[int, ...], int] = {(): 0}
    node_of = []
    for beam in beams:
        row = []
        for level in range(len(beam)):
            if beam[level] < 0:
                row.append(-1)
                continue
            row.append(number.setdefault(tuple(beam[: level + 1]), len(number)))
        node_of.append(row)
    paths = list(number)
    return {
        "token": [path[-1] if path else root for path in paths],
        "parent": [number[path[:-1]] if path else -1 for path in paths],
        "depth": [len(path) for path in paths],
        "ancestors": [[other == path[: len(other)] for other in paths] for path in paths],
        "node_of": node_of,
    }


def check(tree: TreeTensors, beams: list[list[int]], root: int) -> None:
    want = trie(beams, root)
    count, nodes = len(want["token"]), len(beams) * len(beams[0]) + 1
    assert int(tree.count) == count and tree.count.dtype == torch.int64
    assert tree.token.shape == (nodes,) and tree.ancestors.dtype == torch.bool
    for name in ("token", "parent", "depth"):
        assert getattr(tree, name)[:count].tolist() == want[name], name
    assert tree.node_of.tolist() == want["node_of"]
    assert tree.ancestors[:count, :count].tolist() == want["ancestors"]
    assert tree.token[count:].eq(root).all() and tree.parent[count:].eq(-1).all() and tree.depth[count:].eq(0).all()
    assert torch.equal(tree.ancestors[count:].cpu(), torch.eye(nodes, dtype=torch.bool)[count:])
    assert not tree.ancestors[:count, count:].any()


@st.composite
def beams(draw: st.DrawFn) -> list[list[int]]:
    width, length = draw(st.integers(1, 9)), draw(st.integers(1, 6))
    tokens = st.lists(st.integers(0, 3), min_size=length, max_size=length)
    rows = draw(st.lists(tokens, min_size=width, max_size=width))
    ends = draw(st.lists(st.integers(0, length), min_size=width, max_size=width))
    return [row[:end] + [-1] * (length - end) for row, end in zip(rows, ends, strict=True)]


@pytest.mark.parametrize("build", BUILDERS)
@given(beams=beams(), root=st.integers(0, 9))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_tree_is_the_trie(build: Builder, device: torch.device, beams: list[list[int]], root: int) -> None:
    check(build(torch.tensor(beams, device=device), torch.tensor(root, device=device)), beams, root)


FIXED = {
    "worked example": [[5, 6], [5, 7], [8, -1]],
    "empty": [[-1, -1], [-1, -1]],
    "one beam": [[3, 1, 4, 1, 5]],
    "one token": [[7]],
    "all equal": [[1, 2, 3]] * 5,
    "all different": [[10 * beam + level for level in range(3)] for beam in range(6)],
    "largest": [[(beam >> (level // 3)) % 7 for level in range(16)] for beam in range(64)],
    "large, full": [[100 * beam + level for level in range(9)] for beam in range(33)],
    "big ids": [[2**31 - 2, 5], [2**31 - 2, 6]],
}


@pytest.mark.parametrize("build", BUILDERS)
@pytest.mark.parametrize("name", FIXED)
def test_fixed_trees(build: Builder, name: str, device: torch.device) -> None:
    rows = FIXED[name]
    check(build(torch.tensor(rows, device=device), torch.tensor(9, device=device)), rows, 9)


def test_tokens_may_be_strided(device: torch.device) -> None:
    rows = torch.tensor(FIXED["worked example"], device=device)
    strided = rows.T.contiguous().T
    want, got = (
        build(strided, torch.tensor(9, device=device)) for build in (prefix_tree_reference, prefix_tree_triton)
    )
    for part in fields(TreeTensors):
        assert torch.equal(getattr(got, part.name), getattr(want, part.name))
