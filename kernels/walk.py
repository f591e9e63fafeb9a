"""Follow picks down a tree: the accepted path, found where the picks are.

Knows tokens, parents and picks; nothing of logits. From the root: if the pick at a node is the token of one of its
children, go there, else stop. An end-of-sequence token on the path ends it and has no pick.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Walk:
    """The accepted path in fixed shapes, L levels below the root."""

    path: torch.Tensor  # [L + 1] int64 nodes, the root first, then -1
    picks: torch.Tensor  # [L + 1] int64 picks at those nodes, then -1; -1 at end-of-sequence too
    length: torch.Tensor  # [] int64, nodes of the path
    last: torch.Tensor  # [] int64, the last node's pick


def walk_reference(
    picks: torch.Tensor,  # [N] int64, each node's pick
    token: torch.Tensor,  # [N]
    parent: torch.Tensor,  # [N], -1 for the root and padding
    eos: torch.Tensor,  # [E]
    *,
    levels: int,
) -> Walk:
    """Walk at most `levels` nodes below the root. No host synchronisation."""
    nothing = torch.full_like(picks[0], -1)
    node, on_path = torch.zeros_like(nothing), torch.ones_like(nothing, dtype=torch.bool)
    path, picked = [], []
    for _ in range(levels + 1):
        here = node.reshape(1)
        picking = on_path & (token.index_select(0, here) != eos).all()
        pick = picks.index_select(0, here)[0]
        path.append(torch.where(on_path, node, nothing))
        picked.append(torch.where(picking, pick, nothing))
        children = (parent == node) & (token == pick) & picking  # [N], at most one
        node, on_path = children.to(torch.uint8).argmax(), children.any()
    nodes, chosen = torch.stack(path), torch.stack(picked)  # [L + 1]
    length = (nodes >= 0).sum()
    return Walk(nodes, chosen, length, chosen.index_select(0, (length - 1).reshape(1))[0])


def walk_triton(
    picks: torch.Tensor, token: torch.Tensor, parent: torch.Tensor, eos: torch.Tensor, *, levels: int
) -> Walk:
    """As the reference, in one launch."""
    from kernels.device.walk import launch_walk

    return launch_walk(picks, token, parent, eos, levels)
