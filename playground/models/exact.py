"""Whether a tree's logits are plain decoding's bit for bit: the promise of exact mode, tried at load.

Uses only a base model's public surface. What breaks the promise (a product or reduction that rounds with the number of
rows) is not looked for by name: it shows here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from playground.config import PlaygroundError

if TYPE_CHECKING:
    from playground.models.base import BaseModel

_PARENT = (-1, 0, 1, 2, 0, 4)  # a branch of three and a branch of two under the root
_BRANCH = (0, 1, 2, 3)


def require_exact(base: BaseModel, tokens: torch.Tensor) -> None:
    """Verify a tree, then decode its longer branch plainly, and compare bits.

    Args:
        tokens: [n] int64, n >= 10: a prompt, then the tree's.

    Raises:
        PlaygroundError: they differ.
    """
    nodes, device = len(_PARENT), base.device
    prompt, tree = tokens[:-nodes], tokens[-nodes:]
    ancestors = torch.eye(nodes, dtype=torch.bool, device=device)
    for node, parent in enumerate(_PARENT[1:], start=1):
        ancestors[node] |= ancestors[parent]
    depth = ancestors.sum(-1) - 1
    cache = base.new_cache(len(tokens) + 1)
    base.prefill(prompt, cache)
    together = base.forward(tree, depth, ancestors, cache).logits
    for node in _BRANCH:
        alone = base.forward(tree[node : node + 1], depth[:1], ancestors[:1, :1], cache).logits
        if not torch.equal(alone[0], together[node]):
            raise PlaygroundError(
                f"{base.name} (family {base.info().family!r}) rounds differently over {nodes} tokens than over one on "
                f"{device.type}, so exact mode cannot keep its promise. Run without --exact; parity is then measured."
            )
        cache.extend(1)
