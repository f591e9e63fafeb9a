"""The fourth stage, the one acceptance rule: follow the base model's own picks down the tree.

At a node the base model picks its next token y; if y is a child, go down; else stop, and y is the next root. The pick
is the one plain decoding makes, so the text is plain decoding's at every temperature and the drafter cannot bias it
(no min(1, p/q) test, as beams are no samples of the drafter's distribution). Knows nothing of drafters.
"""

from __future__ import annotations

import torch

from playground.decode.records import PrefixTree, Rules, Verdict


def accept(logits: torch.Tensor, tree: PrefixTree, committed: torch.Tensor, levels: int, rules: Rules) -> Verdict:
    """Walk from the root; an accepted end-of-sequence token ends the path and has no pick.

    Args:
        logits: [N, V] of the base model at each node.
        committed: [] int64 n; the pick at a node of depth d will stand at position n + d + 1.
        levels: L, depth of the deepest leaf the tree may have.
    """

    def pick_at(nodes: torch.Tensor | None) -> torch.Tensor:
        """The base model's picks [Q] at nodes [Q], or at every node."""
        rows, depth = logits, tree.depth
        if nodes is not None:
            rows, depth = rows.index_select(0, nodes), depth.index_select(0, nodes)
        return rules.kernels.pick(rows, rules.pick, committed + depth + 1)

    walk = rules.kernels.walk(pick_at, tree.token, tree.parent, rules.eos, levels=levels, filtered=rules.pick.filtered)
    return Verdict(path=walk.path, picks=walk.picks, length=walk.length, next_root=walk.last)
