"""Triton programs of the prefix tree: one program numbers the nodes, one program a row fills the ancestor mask.

For each beam i, lcp(i, j) is the prefix it shares with an earlier beam j. Its first `shared` = max lcp tokens have
nodes already, the rest are new, so a running sum gives every beam the number its new nodes start at; with base = that
number minus `shared`, the node of entry (i, l) is base of the first beam with that prefix, plus l.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl

from kernels.types import TreeTensors


@triton.jit
def number_nodes(
    tokens, root, token_out, parent_out, depth_out, beam_out, node_of, count_out, t_beam, t_level, width,
    LENGTH: tl.constexpr, W: tl.constexpr, M: tl.constexpr,
):  # fmt: skip
    """One program; W and M are powers of two at least width and nodes. beam_out [nodes]: the beam that made a node."""
    beam = tl.arange(0, W)
    row, column = beam[:, None], beam[None, :]
    inside = beam < width
    same = row >= column
    lcp = tl.zeros([W, W], tl.int32)  # [i, j] for j <= i; lcp[i, i] is the beam's own length
    for level in range(LENGTH):
        here = tl.load(tokens + beam * t_beam + level * t_level, mask=inside, other=-1)
        across = tl.load(tokens + column * t_beam + level * t_level, mask=column < width, other=-1)
        same = same & (here[:, None] == across) & (here >= 0)[:, None]
        lcp += same.to(tl.int32)
    own = tl.sum(tl.where(row == column, lcp, 0), 1)  # [W]
    shared = tl.max(tl.where(row > column, lcp, 0), 1)
    new = own - shared
    new_across = tl.sum(tl.where(row == column, new[:, None], 0), 0)  # the same numbers along the other axis
    before = tl.sum(tl.where(row > column, new_across[None, :], 0), 1)  # [W] nodes of earlier beams
    base = 1 + before - shared
    base_across = tl.sum(tl.where(row == column, base[:, None], 0), 0)
    count = 1 + tl.sum(new, 0)

    index = tl.arange(0, M)
    nodes = width * LENGTH + 1
    start = tl.load(root)
    filler = (index < nodes) & ((index == 0) | (index >= count))
    tl.store(token_out + index, tl.zeros([M], tl.int64) + start, mask=filler)
    tl.store(parent_out + index, tl.full([M], -1, tl.int64), mask=filler)
    tl.store(depth_out + index, tl.zeros([M], tl.int64), mask=filler)
    tl.store(beam_out + index, tl.full([M], -1, tl.int64), mask=filler)
    tl.store(count_out, count.to(tl.int64))
    above = tl.zeros([W], tl.int32)
    for level in range(LENGTH):
        valid = own > level
        first = tl.min(tl.where(lcp > level, column, W), 1)  # [W] lowest beam with this prefix; W where invalid
        node = level + tl.sum(tl.where(column == first[:, None], base_across[None, :], 0), 1)
        here = tl.load(tokens + beam * t_beam + level * t_level, mask=inside, other=-1).to(tl.int64)
        made = valid & (first == beam)
        tl.store(token_out + node, here, mask=made)
        tl.store(parent_out + node, above.to(tl.int64), mask=made)
        tl.store(depth_out + node, tl.zeros([W], tl.int64) + (level + 1), mask=made)
        tl.store(beam_out + node, beam.to(tl.int64), mask=made)
        tl.store(node_of + beam * LENGTH + level, tl.where(valid, node, -1).to(tl.int64), mask=inside)
        above = node


@triton.jit
def mark_ancestors(ancestors, depth, beam_of, node_of, nodes, LENGTH: tl.constexpr, M: tl.constexpr):
    """Grid (nodes,): a node sees itself, the root, and the nodes of the beam that made it, down to its depth."""
    node = tl.program_id(0)
    other = tl.arange(0, M)
    seen = other == node
    beam = tl.load(beam_of + node)
    deep = tl.load(depth + node)
    if beam >= 0:
        seen = seen | (other == 0)
        for level in range(LENGTH):
            along = tl.load(node_of + beam * LENGTH + level, mask=level < deep, other=-1)
            seen = seen | (other == along)
    tl.store(ancestors + node.to(tl.int64) * nodes + other, seen.to(tl.uint8), mask=other < nodes)


def prefix_tree_triton(tokens: torch.Tensor, root: torch.Tensor) -> TreeTensors:
    """As the reference, on the device alone: two launches."""
    width, length = tokens.shape
    nodes = width * length + 1
    where = tokens.device
    token, parent, depth, beam_of = torch.empty(4, nodes, dtype=torch.int64, device=where)
    node_of = torch.empty(width, length, dtype=torch.int64, device=where)
    count = torch.empty((), dtype=torch.int64, device=where)
    ancestors = torch.empty(nodes, nodes, dtype=torch.uint8, device=where)
    padded = triton.next_power_of_2(nodes)
    number_nodes[(1,)](
        tokens, root, token, parent, depth, beam_of, node_of, count, *tokens.stride(), width,
        LENGTH=length, W=max(2, triton.next_power_of_2(width)), M=padded,
    )  # fmt: skip
    mark_ancestors[(nodes,)](ancestors, depth, beam_of, node_of, nodes, LENGTH=length, M=padded, num_warps=1)
    return TreeTensors(token, parent, depth, ancestors.view(torch.bool), node_of, count)
