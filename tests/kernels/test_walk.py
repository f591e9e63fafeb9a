"""walk: both versions against a walk over Python lists."""

from __future__ import annotations

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kernels.prefix_tree.reference import prefix_tree_reference
from kernels.walk.reference import walk_reference
from kernels.walk.triton import walk_triton

OPERATIONS = [pytest.param(walk_reference, id="reference"), pytest.param(walk_triton, id="triton")]


def by_hand(picks: list[int], token: list[int], parent: list[int], eos: list[int]) -> tuple[list[int], list[int]]:
    path, taken = [0], []
    while token[path[-1]] not in eos:
        taken.append(picks[path[-1]])
        children = [node for node, above in enumerate(parent) if above == path[-1] and token[node] == taken[-1]]
        if not children:
            break
        path += children
    return path, taken


@pytest.mark.parametrize("filtered", [False, True])
@pytest.mark.parametrize("operation", OPERATIONS)
@given(data=st.data())
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_walk(operation, filtered, device, data) -> None:
    width, length = data.draw(st.integers(1, 6)), data.draw(st.integers(1, 4))
    row = st.lists(st.integers(0, 2), min_size=length, max_size=length)
    beams = torch.tensor(data.draw(st.lists(row, min_size=width, max_size=width)), device=device)
    tree = prefix_tree_reference(beams, torch.tensor(1, device=device))
    nodes = width * length + 1
    picks = data.draw(st.lists(st.integers(0, 2), min_size=nodes, max_size=nodes))
    eos = data.draw(st.sampled_from([[], [2], [7, 0], [1]]))
    at = torch.tensor(picks, device=device)
    walk = operation(
        lambda nodes: at if nodes is None else at[nodes],
        tree.token,
        tree.parent,
        torch.tensor(eos, dtype=torch.int64, device=device),
        levels=length,
        filtered=filtered,
    )
    path, taken = by_hand(picks, tree.token.tolist(), tree.parent.tolist(), eos)
    assert walk.path.tolist() == path + [-1] * (length + 1 - len(path))
    assert walk.picks.tolist() == taken + [-1] * (length + 1 - len(taken))
    assert int(walk.length) == len(path)
    assert int(walk.last) == (taken[-1] if len(taken) == len(path) else -1)
