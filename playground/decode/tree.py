"""The second stage: beams become a prefix tree.

Knows beams and trees; the merging itself is the kernel's.
"""

from __future__ import annotations

import torch

from kernels import KernelSet
from kernels.types import TreeTensors
from playground.decode.records import Beams, PrefixTree


def build_tree(beams: Beams, root: torch.Tensor, kernels: KernelSet) -> TreeTensors:
    """Merge equal prefixes of `beams` [W, L] under `root` []; M = W L + 1 rows, of which `count` are real."""
    if beams.tokens.shape[1] > 0:
        return kernels.prefix_tree(beams.tokens, root)
    zero = torch.zeros_like(root)
    return TreeTensors(
        token=root.reshape(1),
        parent=zero.reshape(1) - 1,
        depth=zero.reshape(1),
        ancestors=torch.ones(1, 1, dtype=torch.bool, device=root.device),
        node_of=beams.tokens,
        count=zero + 1,
    )


def first_nodes(tree: TreeTensors, nodes: int) -> PrefixTree:
    """The first `nodes` rows: all the real ones, or a bucket that holds them and some padding."""
    return PrefixTree(
        token=tree.token[:nodes],
        parent=tree.parent[:nodes],
        depth=tree.depth[:nodes],
        ancestors=tree.ancestors[:nodes, :nodes],
        node_of=tree.node_of,
    )
