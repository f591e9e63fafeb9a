"""Triton program of the walk: one program, one pass over the nodes a level."""

from __future__ import annotations

import torch
import triton
import triton.language as tl

from kernels.types import PickAt, Walk
from kernels.walk.reference import walk_reference


@triton.jit
def walk_down(
    picks, token, parent, eos, path_out, picks_out, length_out, last_out, nodes, ends,
    LEVELS: tl.constexpr, M: tl.constexpr, E: tl.constexpr,
):  # fmt: skip
    """One program; M and E are powers of two at least nodes and ends (eos ids)."""
    index = tl.arange(0, M)
    tokens = tl.load(token + index, mask=index < nodes, other=-1)
    parents = tl.load(parent + index, mask=index < nodes, other=-2)
    end = tl.arange(0, E)
    stops = tl.load(eos + end, mask=end < ends, other=-1)
    node = tl.full([], 0, tl.int64)
    length = tl.full([], 0, tl.int64)
    last = tl.full([], -1, tl.int64)
    for level in range(LEVELS + 1):
        on_path = node >= 0
        here = tl.maximum(node, 0)
        stopped = tl.max((stops == tl.load(token + here)).to(tl.int32), 0) > 0
        picking = on_path & (stopped == 0)
        pick = tl.where(picking, tl.load(picks + here), -1)
        tl.store(path_out + level, tl.where(on_path, node, -1))
        tl.store(picks_out + level, pick)
        length += tl.where(on_path, 1, 0)
        last = tl.where(on_path, pick, last)
        child = (parents == here) & (tokens == pick) & picking
        node = tl.max(tl.where(child, index, -1), 0).to(tl.int64)
    tl.store(length_out, length)
    tl.store(last_out, last)


def walk_triton(
    pick_at: PickAt,
    token: torch.Tensor,
    parent: torch.Tensor,
    eos: torch.Tensor,
    *,
    levels: int,
    filtered: bool = False,
) -> Walk:
    """As the reference, in one launch after one that picks at every node.

    Where a filter makes picks dear, the reference's walk picks along the path alone; it asks the device nothing either.
    """
    if filtered:
        return walk_reference(pick_at, token, parent, eos, levels=levels)
    where = token.device
    path, picked = torch.empty(2, levels + 1, dtype=torch.int64, device=where)
    length, last = torch.empty(2, dtype=torch.int64, device=where)
    walk_down[(1,)](
        pick_at(None).contiguous(), token.contiguous(), parent.contiguous(), eos, path, picked, length, last,
        token.shape[0], eos.shape[0],
        LEVELS=levels, M=max(2, triton.next_power_of_2(token.shape[0])),
        E=max(2, triton.next_power_of_2(max(1, eos.shape[0]))),
    )  # fmt: skip
    return Walk(path, picked, length, last)
