"""The second stage: what was drafted becomes a tree to verify.

Knows what the searches found, budgets and trees; making the tree itself is the kernels'.
"""

from __future__ import annotations

import torch

from kernels import KernelSet
from playground.decode.budget import Budget
from playground.decode.records import Beams, Origin, PrefixTree, Proposal, Search, Unsent

UNSENT = 32  # candidates that were scored but not sent, kept for the record


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
        copied=torch.zeros_like(origin),
        count=merged.count,
        budget=torch.zeros_like(merged.count),
        beams=beams,
        node_of=merged.node_of,
        unsent=_nothing_unsent(root),
    )


def best_tree(
    search: Search, root: torch.Tensor, kernels: KernelSet, budget: Budget, *, rows: int, levels: int
) -> Proposal:
    """The best candidates of a search under `root` [], as many as the budget takes; `rows` = M, `levels` deep.

    Nodes are numbered best first, so that a parent stands before its children and a smaller budget is a prefix.
    """
    candidates = search.candidates
    order = kernels.best(search.score, rows - 1 + UNSENT)  # [M - 1 + U]
    at = order.clamp_min(0)
    score = search.score.index_select(0, at).masked_fill(order < 0, -torch.inf)
    depth = candidates.depth.index_select(0, at)
    allowed = budget(score[: rows - 1], depth[: rows - 1])  # []
    sent = torch.arange(len(order), device=root.device) < allowed - 1
    real = sent[: rows - 1] & (order[: rows - 1] >= 0)
    rest = sent.sum() + torch.arange(UNSENT, device=root.device)  # places in the order that were not sent
    unsent = order.index_select(0, rest)
    parents = candidates.parent.index_select(0, unsent.clamp_min(0))
    asked = torch.cat((search.entries.flatten(), parents))
    tree = kernels.candidate_tree(candidates, order[: rows - 1], allowed, root, asked, levels=levels)

    def of_nodes(part: torch.Tensor) -> torch.Tensor:
        """A candidates' part [C] by node: [M], 0 for the root and padding."""
        return torch.cat((part.new_zeros(1), part.index_select(0, at[: rows - 1]).masked_fill(~real, 0)))

    nothing = unsent < 0
    parent_nodes = torch.where(parents < 0, 0, tree.node_of[search.entries.numel() :])
    return Proposal(
        tree=PrefixTree(tree.token, tree.parent, tree.depth, tree.ancestors),
        log_probability=of_nodes(search.log_probability),
        origin=of_nodes(search.origin),
        copied=of_nodes(search.copied),
        count=tree.count,
        budget=allowed + 0,
        beams=search.beams,
        node_of=tree.node_of[: search.entries.numel()].view(search.entries.shape),
        unsent=Unsent(
            token=candidates.token.index_select(0, unsent.clamp_min(0)).masked_fill(nothing, -1),
            parent=parent_nodes.masked_fill(nothing, -1),
            depth=depth.index_select(0, rest).masked_fill(nothing, 0),
            score=score.index_select(0, rest),
            total=(~search.score.isneginf()).sum(),
        ),
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
        copied=zero.reshape(1),
        count=zero + 1,
        budget=zero,
        beams=beams,
        node_of=beams.tokens,
        unsent=_nothing_unsent(root),
    )


def _nothing_unsent(root: torch.Tensor) -> Unsent:
    none = root.new_empty(0)
    return Unsent(none, none, none, none.float(), torch.zeros_like(root))


def _of_nodes(log_probabilities: torch.Tensor, node_of: torch.Tensor, rows: int) -> torch.Tensor:
    """Log-probabilities [W, L] by node: [rows]. Beams that share a node agree about it but for rounding."""
    target = torch.where(node_of < 0, rows, node_of).flatten()  # what is no node goes to a spare row
    found = log_probabilities.new_full((rows + 1,), -torch.inf)
    found = found.scatter_reduce(0, target, log_probabilities.flatten(), "amax")[:rows]
    return found.masked_fill(found.isneginf(), 0.0)
