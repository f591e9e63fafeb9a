"""Rotary embedding of queries and keys, and the cache write, in one launch.

Knows cache slots and the angles it is given; nothing of positions. Half-split rotation, as Llama's: component d < D / 2
turns with component d + D / 2. The N nodes' keys and values go to slots committed .. committed + N - 1.
"""

from __future__ import annotations

import torch


def rotary_store_reference(
    query: torch.Tensor,  # [N, Hq, D]
    key: torch.Tensor,  # [N, Hkv, D]
    value: torch.Tensor,  # [N, Hkv, Dv]
    cos: torch.Tensor,  # [N, D]
    sin: torch.Tensor,  # [N, D]
    keys: torch.Tensor,  # [Hkv, S, D], written
    values: torch.Tensor,  # [Hkv, S, Dv], written
    committed: torch.Tensor,  # []
) -> torch.Tensor:
    """The rotated queries, [Hq, N, D]; rounded once."""
    slots = committed + torch.arange(query.shape[0], device=query.device)
    keys.index_copy_(1, slots, _rotate(key, cos, sin).transpose(0, 1))
    values.index_copy_(1, slots, value.transpose(0, 1))
    return _rotate(query, cos, sin).transpose(0, 1)


def _rotate(x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
    wide = x.to(torch.promote_types(x.dtype, torch.float32))
    left, right = wide.chunk(2, dim=-1)
    turned = torch.cat((-right, left), dim=-1)
    return (wide * cos[:, None].to(wide.dtype) + turned * sin[:, None].to(wide.dtype)).to(x.dtype)
