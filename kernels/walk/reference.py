"""Follow picks down a tree: the accepted path, found where the picks are.

Knows tokens, parents and picks; nothing of logits. From the root: if the pick at a node is the token of one of its
children, go there, else stop. An end-of-sequence token on the path ends it and has no pick.
"""

from __future__ import annotations

import torch

from kernels.types import PickAt, Walk


def walk_reference(
    pick_at: PickAt,
    token: torch.Tensor,  # [N]
    parent: torch.Tensor,  # [N], -1 for the root and padding
    eos: torch.Tensor,  # [E]
    *,
    levels: int,
    filtered: bool = False,
) -> Walk:
    """Walk at most `levels` nodes below the root, picking only where the path goes.

    A fixed number of levels without a host synchronisation, except on CPU, where asking costs nothing and saves the
    picks below the last accepted node.
    """
    nothing, node = torch.full_like(token[0], -1), torch.zeros_like(token[0])
    on_path = torch.ones_like(node, dtype=torch.bool)  # [], at the root
    path, picks = [], []
    for _ in range(levels + 1):
        here = node.reshape(1)
        picking = on_path & (token.index_select(0, here) != eos).all()
        pick = pick_at(here)[0]
        path.append(torch.where(on_path, node, nothing))
        picks.append(torch.where(picking, pick, nothing))
        children = (parent == node) & (token == pick) & picking  # [N], at most one
        node, on_path = children.to(torch.uint8).argmax(), children.any()
        if node.device.type == "cpu" and not on_path:
            break
    missing = [nothing] * (levels + 1 - len(path))
    nodes, chosen = torch.stack(path + missing), torch.stack(picks + missing)  # [L + 1]
    length = (nodes >= 0).sum()
    return Walk(nodes, chosen, length, chosen.index_select(0, (length - 1).reshape(1))[0])
