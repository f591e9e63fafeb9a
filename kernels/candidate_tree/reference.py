"""The best candidates of a search to a tree in fixed shapes, numbered best first.

Knows which candidate hangs on which; nothing of scores or models. The order must hold every candidate's parent before
it, as scores that never rise down a path do: then every prefix of the numbering is a tree too, and a smaller budget is
a smaller count.

Worked example, root 9 and candidates 5, 8 under the root, 6, 7 under the 5: token [5, 8, 6, 7], parent
[-1, -1, 0, 0], depth [1, 1, 2, 2]. Order [0, 3, 1] and count 3 give token [9, 5, 7, 9], parent [-1, 0, 1, -1],
depth [0, 1, 2, 0]; the fourth row is padding. Entries [[0, 3], [1, -1]] stand at nodes [[1, 2], [-1, -1]].
"""

from __future__ import annotations

import torch

from kernels.types import Candidates, TreeTensors


def candidate_tree_reference(
    candidates: Candidates,
    order: torch.Tensor,  # [M - 1] candidates, best first, then -1
    count: torch.Tensor,  # [] nodes to make, the root included
    root: torch.Tensor,  # []
    entries: torch.Tensor,  # [...] candidates, -1 for none
    *,
    levels: int,
) -> TreeTensors:
    """Tree of the first `count` - 1 candidates of an order, `levels` deep at most. No host synchronisation."""
    rows, where = len(order) + 1, order.device
    nodes = torch.arange(rows, device=where)  # [M]
    real = (order >= 0) & (nodes[1:] < count)  # [M - 1]
    chosen = order.clamp_min(0)
    # A candidate's node by its own number; the last entry, index -1, is the root's.
    node_of = torch.full((len(candidates.token) + 2,), -1, device=where)
    node_of = node_of.index_copy_(0, torch.where(real, order, len(candidates.token)), nodes[1:])
    node_of[-2:] = torch.stack((nodes[0] - 1, nodes[0]))
    parent = node_of[candidates.parent.index_select(0, chosen)].masked_fill(~real, -1)
    parent = torch.cat((nodes[:1] - 1, parent))  # [M]
    ancestors, above = torch.eye(rows, dtype=torch.bool, device=where), parent
    for _ in range(levels):
        ancestors |= above[:, None] == nodes
        above = torch.where(above >= 0, parent[above], -1)
    root = root.to(torch.int64).reshape(1)
    return TreeTensors(
        token=torch.cat((root, torch.where(real, candidates.token.index_select(0, chosen), root))),
        parent=parent,
        depth=torch.cat((nodes[:1], candidates.depth.index_select(0, chosen).masked_fill(~real, 0))),
        ancestors=ancestors,
        node_of=torch.where(entries >= 0, node_of[entries.clamp_min(0)], -1),
        count=real.sum() + 1,
    )
