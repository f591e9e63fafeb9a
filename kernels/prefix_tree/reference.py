"""Beams to a prefix tree in fixed shapes: equal prefixes share a node, and a count says how many nodes are real.

Knows token ids only; nothing of scores, models or verification. Node 0 is the root; nodes are numbered beam by beam,
along each beam, in the order in which a prefix is first met.

Worked example, root 9 and beams [[5, 6], [5, 7], [8, -1]]: token [9, 5, 6, 7, 8], parent [-1, 0, 1, 1, 0],
depth [0, 1, 2, 2, 1], node_of [[1, 2], [1, 3], [4, -1]], count 5; M = 3 x 2 + 1 = 7, so two entries are padding.
"""

from __future__ import annotations

import torch

from kernels.types import TreeTensors


def prefix_tree_reference(tokens: torch.Tensor, root: torch.Tensor) -> TreeTensors:
    """Tree of `tokens` [W, L] (-1 invalid, only as a beam's suffix) under `root` []. No host synchronisation."""
    width, length = tokens.shape
    nodes, device = width * length + 1, tokens.device
    valid = tokens >= 0
    same = (tokens[:, None] == tokens[None]).cumprod(-1)  # [W, W, L] beams i, j agree up to and including depth l
    first = same.argmax(1)  # [W, L] lowest beam with this prefix
    new = valid & (first == torch.arange(width, device=device)[:, None])  # [W, L]
    number = new.flatten().cumsum(0)  # [W L] node numbers, meaningful where new
    node_of = torch.where(valid, number.view(width, length).gather(0, first), -1)  # [W, L]

    # Every entry is written to its node's row; what is not a new node goes to a spare row M that is cut off.
    row = torch.where(new.flatten(), number, nodes)
    above = torch.cat([node_of.new_zeros(width, 1), node_of], dim=1)  # [W, L + 1] with the root in front
    token = root.to(torch.int64).reshape(1).repeat(nodes + 1).index_copy_(0, row, tokens.flatten())
    parent = above.new_full((nodes + 1,), -1).index_copy_(0, row, above[:, :-1].flatten())
    levels = torch.arange(1, length + 1, device=device)
    depth = above.new_zeros(nodes + 1).index_copy_(0, row, levels.repeat(width))

    own = torch.where(new, node_of, nodes)[..., None]  # [W, L, 1]
    chain = torch.where(levels >= torch.arange(length + 1, device=device)[:, None], 0, 1).T.bool()  # [L, L + 1]
    seen = torch.where(chain, own, above[:, None]).clamp_min(0)  # [W, L, L + 1] the beam down to the entry, else itself
    ancestors = torch.eye(nodes + 1, dtype=torch.bool, device=device)
    ancestors[own, seen] = True
    return TreeTensors(
        token=token[:nodes],
        parent=parent[:nodes],
        depth=depth[:nodes],
        ancestors=ancestors[:nodes, :nodes],
        node_of=node_of,
        count=number[-1] + 1,
    )
