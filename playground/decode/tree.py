"""The second stage: what was drafted becomes a tree to verify.

Knows beams and trees; the merging itself is the kernel's.
"""

from __future__ import annotations

import torch

from kernels import KernelSet
from playground.decode.records import Beams, Origin, PrefixTree, Proposal


def build_tree(beams: Beams, root: torch.Tensor, kernels: KernelSet) -> Proposal:
    """Merge equal prefixes of `beams` [W, L] under `root` []; M = W L + 1 rows."""
    if beams.tokens.shape[1] == 0:
        return root_alone(root, beams)
    merged = kernels.prefix_tree(beams.tokens, root)
    origin = torch.full_like(merged.parent, Origin.BEAM)
    origin[:1] = Origin.ROOT
    return Proposal(
        tree=PrefixTree(merged.token, merged.parent, merged.depth, merged.ancestors),
        log_probability=_of_nodes(beams.log_probabilities, merged.node_of, len(merged.token)),
        origin=origin,
        count=merged.count,
        beams=beams,
        node_of=merged.node_of,
    )


def root_alone(root: torch.Tensor, beams: Beams | None = None) -> Proposal:
    """The tree of plain decoding: `root` [], which it goes on showing when the root's tensor is written anew."""
    zero = torch.zeros_like(root)
    if beams is None:
        beams = Beams(root.new_zeros(0, 0), root.new_zeros(0, 0).float(), root.new_zeros(0).float())
    return Proposal(
        tree=PrefixTree(
            token=root.reshape(1),
            parent=zero.reshape(1) - 1,
            depth=zero.reshape(1),
            ancestors=torch.ones(1, 1, dtype=torch.bool, device=root.device),
        ),
        log_probability=zero.reshape(1).float(),
        origin=torch.full_like(zero.reshape(1), Origin.ROOT),
        count=zero + 1,
        beams=beams,
        node_of=beams.tokens,
    )


def _of_nodes(log_probabilities: torch.Tensor, node_of: torch.Tensor, rows: int) -> torch.Tensor:
    """Log-probabilities [W, L] by node: [rows]. Beams that share a node agree about it but for rounding."""
    target = torch.where(node_of < 0, rows, node_of).flatten()  # what is no node goes to a spare row
    found = log_probabilities.new_full((rows + 1,), -torch.inf)
    found = found.scatter_reduce(0, target, log_probabilities.flatten(), "amax")[:rows]
    return found.masked_fill(found.isneginf(), 0.0)
