"""The fourth stage, the one acceptance rule: follow the base model's own picks down the tree.

At a node the base model picks its next token y; if y is a child, go down; else stop, and y is the next root. The pick
is the one plain decoding makes, so the text is plain decoding's at every temperature and the drafter cannot bias it
(no min(1, p/q) test, as beams are no samples of the drafter's distribution). Knows nothing of drafters.
"""

from __future__ import annotations

import torch

from kernels import KernelSet
from playground.config import Sampling
from playground.decode.records import PrefixTree, Verdict
from playground.sampling import pick_token


def accept(
    logits: torch.Tensor,
    tree: PrefixTree,
    committed: torch.Tensor,
    *,
    levels: int,
    sampling: Sampling,
    eos: torch.Tensor,
    kernels: KernelSet,
) -> Verdict:
    """Walk from the root; an accepted end-of-sequence token ends the path and has no pick.

    The walk has a fixed number of levels and never asks the device, except on CPU, where asking costs nothing and
    saves the picks below the last accepted node. Triton picks at every node in one launch and walks in another, unless
    a filter makes picks dear (top-p sorts the vocabulary).

    Args:
        logits: [N, V] of the base model at each node.
        committed: [] int64 n; the pick at a node of depth d will stand at position n + d + 1.
        levels: L, depth of the deepest leaf the tree may have.
        eos: [E] int64 end-of-sequence ids.
    """
    if kernels.name == "triton" and not (sampling.top_k or sampling.top_p < 1.0):
        all_picks = pick_token(logits, sampling, committed + tree.depth + 1, kernels)  # [N]
        walk = kernels.walk(all_picks, tree.token, tree.parent, eos, levels=levels)
        return Verdict(path=walk.path, picks=walk.picks, length=walk.length, next_root=walk.last)
    nothing = torch.full_like(committed, -1)
    node, on_path = torch.zeros_like(committed), torch.ones_like(committed, dtype=torch.bool)  # [], at the root
    path, picks = [], []
    for level in range(levels + 1):
        picking = on_path & (_row(tree.token, node) != eos).all()
        pick = pick_token(_row(logits, node), sampling, committed + level + 1, kernels)
        path.append(torch.where(on_path, node, nothing))
        picks.append(torch.where(picking, pick, nothing))
        children = (tree.parent == node) & (tree.token == pick) & picking  # [N], at most one
        node, on_path = children.to(torch.uint8).argmax(), children.any()
        if on_path.device.type == "cpu" and not on_path:
            break
    missing = [nothing] * (levels + 1 - len(path))
    nodes, picked = torch.stack(path + missing), torch.stack(picks + missing)  # [L + 1]
    length = (nodes >= 0).sum()
    return Verdict(path=nodes, picks=picked, length=length, next_root=_row(picked, length - 1))


def _row(values: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
    """values[index] for an index [] on the device; indexing with it directly would make the host wait."""
    return values.index_select(0, index.reshape(1))[0]
