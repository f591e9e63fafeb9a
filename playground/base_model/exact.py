"""Whether a tree's logits are plain decoding's bit for bit: the promise of exact mode, tried at load.

Uses only a base model's public surface. What breaks the promise (a product or reduction that rounds with the number of
rows) is not looked for by name: it shows here.
"""

from __future__ import annotations

import torch

from playground.base_model.cache import KVCache
from playground.base_model.types import TreeModel
from playground.config import PlaygroundError

_PARENT = (-1, 0, 1, 2, 0, 4)  # a branch of three and a branch of two under the root
_BRANCH = (0, 1, 2, 3)
_SIZES = (len(_PARENT), 33, 130)  # nodes with padding: a reduction may be split otherwise over more rows


def require_exact(base: TreeModel, tokens: torch.Tensor) -> None:
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
    cache = base.new_cache(len(prompt) + max(_SIZES) + 1)
    base.prefill(prompt, cache)
    together = {size: _padded(base, tree, depth, ancestors, cache, size) for size in _SIZES}
    for node in _BRANCH:
        alone = base.forward(tree[node : node + 1], depth[:1], ancestors[:1, :1], cache).logits
        for size, logits in together.items():
            if not torch.equal(alone[0], logits[node]):
                raise PlaygroundError(
                    f"{base.name} (family {base.info().family!r}) rounds differently over {size} tokens than over one "
                    f"on {device.type}, so exact mode cannot keep its promise. Run without --exact; parity is then "
                    "measured."
                )
        cache.extend(1)


def _padded(
    base: TreeModel, tree: torch.Tensor, depth: torch.Tensor, ancestors: torch.Tensor, cache: KVCache, size: int
) -> torch.Tensor:
    """Logits [size, V] of the tree followed by nodes that see only themselves."""
    nodes = len(tree)
    seen = torch.eye(size, dtype=torch.bool, device=tree.device)
    seen[:nodes, :nodes] = ancestors
    token, level = tree.new_zeros(size), depth.new_zeros(size)
    token[:nodes], level[:nodes] = tree, depth
    return base.forward(token, level, seen, cache).logits
