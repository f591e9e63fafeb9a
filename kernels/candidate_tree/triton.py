"""Triton programs of the candidates' tree: nodes look their parents up in the order, then rows of the mask are filled.

A candidate's node is found by comparing it with the whole order: a few hundred entries at most, and no table to clear.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl

from kernels.types import Candidates, TreeTensors

_BLOCK = 32  # nodes, or entries, that a program looks up together


@triton.jit
def node_of_candidate(order, wanted, count, M: tl.constexpr):
    """[..] nodes at which candidates `wanted` [..] stand, -1 for none; node i + 1 is order[i]."""
    place = tl.arange(0, M)
    held = tl.load(order + place, mask=place + 1 < count, other=-2)
    return tl.max(tl.where(wanted[:, None] == held[None, :], place[None, :] + 1, -1), 1)


@triton.jit
def place_nodes(
    token, parent, depth, order, count, root, token_out, parent_out, depth_out, rows,
    M: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Grid (blocks,): token, parent and depth of BLOCK nodes; M is a power of two at least rows."""
    node = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    limit = tl.minimum(tl.load(count), rows)
    own = tl.load(order + node - 1, mask=(node >= 1) & (node < limit), other=-1)
    real = own >= 0
    above = tl.load(parent + own, mask=real, other=-1)
    above_node = tl.where(above < 0, 0, node_of_candidate(order, above, limit, M))
    inside = node < rows
    start = tl.load(root)
    tl.store(token_out + node, tl.load(token + own, mask=real, other=0) + tl.where(real, 0, start), mask=inside)
    tl.store(parent_out + node, tl.where(real, above_node, -1).to(tl.int64), mask=inside)
    tl.store(depth_out + node, tl.load(depth + own, mask=real, other=0), mask=inside)


@triton.jit
def mark_ancestors(ancestors, parent, rows, LEVELS: tl.constexpr, M: tl.constexpr):
    """Grid (rows,): a node sees itself and what its parents lead to."""
    node = tl.program_id(0)
    other = tl.arange(0, M)
    seen = other == node
    above = tl.load(parent + node)
    for _ in range(LEVELS):
        seen = seen | (other == above)
        above = tl.load(parent + above, mask=above >= 0, other=-1)
    tl.store(ancestors + node.to(tl.int64) * rows + other, seen.to(tl.uint8), mask=other < rows)


@triton.jit
def find_entries(order, count, entries, node_of, total, rows, M: tl.constexpr, BLOCK: tl.constexpr):
    """Grid (blocks,): the nodes of BLOCK entries of the beams."""
    index = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    wanted = tl.load(entries + index, mask=index < total, other=-1)
    found = node_of_candidate(order, wanted, tl.minimum(tl.load(count), rows), M)
    tl.store(node_of + index, tl.where(wanted < 0, -1, found).to(tl.int64), mask=index < total)


def candidate_tree_triton(
    candidates: Candidates,
    order: torch.Tensor,
    count: torch.Tensor,
    root: torch.Tensor,
    entries: torch.Tensor,
    *,
    levels: int,
) -> TreeTensors:
    """As the reference, on the device alone: three launches, and one for the count."""
    rows, where = len(order) + 1, order.device
    token, parent, depth = torch.empty(3, rows, dtype=torch.int64, device=where)
    ancestors = torch.empty(rows, rows, dtype=torch.uint8, device=where)
    node_of = torch.empty(entries.shape, dtype=torch.int64, device=where)
    padded = max(2, triton.next_power_of_2(rows))
    order, entries = order.contiguous(), entries.contiguous()
    parts = [part.contiguous() for part in (candidates.token, candidates.parent, candidates.depth)]
    place_nodes[(triton.cdiv(rows, _BLOCK),)](
        *parts, order, count, root, token, parent, depth, rows, M=padded, BLOCK=_BLOCK
    )
    mark_ancestors[(rows,)](ancestors, parent, rows, LEVELS=levels, M=padded, num_warps=1)
    if entries.numel():
        find_entries[(triton.cdiv(entries.numel(), _BLOCK),)](
            order, count, entries, node_of, entries.numel(), rows, M=padded, BLOCK=_BLOCK
        )
    made = torch.minimum((order >= 0).sum() + 1, count.clamp_min(1))
    return TreeTensors(token, parent, depth, ancestors.view(torch.bool), node_of, made)
