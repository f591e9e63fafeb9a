"""Attention of tree nodes over the committed cache and their own ancestors.

Knows cache slots, positions and visibility; nothing of layers, models or who accepts what. Keys and values of the
N nodes already stand in slots committed .. committed + N - 1. A node sees every slot below `committed` and its
ancestors (itself included), cut by the sliding window in positions, not slots: node i stands at committed + depth[i].
"""

from __future__ import annotations

import torch
from torch.nn import functional


def tree_attention_reference(
    query: torch.Tensor,  # [Hq, N, D]
    keys: torch.Tensor,  # [Hkv, S, D]
    values: torch.Tensor,  # [Hkv, S, Dv]
    committed: torch.Tensor,  # []
    depth: torch.Tensor,  # [N]
    ancestors: torch.Tensor,  # [N, N] bool, row i = nodes visible to i
    *,
    scale: float,
    window: int | None = None,
    softcap: float | None = None,
    sinks: torch.Tensor | None = None,  # [Hq]
) -> torch.Tensor:
    """Attention outputs [N, Hq, Dv]; accumulates in fp32, or fp64 for fp64 inputs. Reads `committed` on the host."""
    heads, nodes, width = query.shape
    kv_heads, end = keys.shape[0], int(committed) + nodes
    first = 0
    if nodes == 1 and window is not None:
        first = max(0, int(committed) + int(depth[0]) - window + 1)
    query = query.reshape(1, kv_heads, -1, width)  # [1, Hkv, G N, D]: a group's heads become query rows
    keys, values = keys[None, :, first:end], values[None, :, first:end]  # [1, Hkv, S, D]
    mask = None if nodes == 1 else _visibility(committed, depth, ancestors, window)  # [N, S]
    if mask is not None:
        mask = mask.expand(heads // kv_heads, -1, -1).reshape(-1, mask.shape[-1])  # [G N, S]
    if softcap is None and sinks is None:
        out = functional.scaled_dot_product_attention(query, keys, values, attn_mask=mask, scale=scale)
    else:
        out = _capped_attention(query, keys, values, mask, scale, softcap, sinks)
    return out.reshape(heads, nodes, -1).transpose(0, 1)  # [N, Hq, Dv]


def _visibility(
    committed: torch.Tensor, depth: torch.Tensor, ancestors: torch.Tensor, window: int | None
) -> torch.Tensor:
    """[N, committed + N] bool: which slots each node sees."""
    nodes, start = depth.shape[0], int(committed)
    mask = ancestors.new_ones(nodes, start + nodes)
    mask[:, start:] = ancestors
    if window is not None:
        slots = torch.arange(start, device=depth.device)
        positions = torch.cat([slots, start + depth])  # [S] position of what stands in each slot
        mask &= (start + depth)[:, None] - positions < window
    return mask


def _capped_attention(
    query: torch.Tensor,
    keys: torch.Tensor,
    values: torch.Tensor,
    mask: torch.Tensor | None,
    scale: float,
    softcap: float | None,
    sinks: torch.Tensor | None,
) -> torch.Tensor:
    """The families PyTorch's own attention does not cover: tanh soft-cap on scores, a learned sink per head."""
    wide = torch.promote_types(query.dtype, torch.float32)
    scores = (query.to(wide) @ keys.to(wide).transpose(-1, -2)) * scale  # [1, Hkv, G N, S]
    if softcap is not None:
        scores = softcap * torch.tanh(scores / softcap)
    if mask is not None:
        scores = scores.masked_fill(~mask, -torch.inf)
    if sinks is not None:
        rows = scores.shape[2] * scores.shape[1] // sinks.shape[0]
        sink = sinks.to(wide).repeat_interleave(rows).view(*scores.shape[:3], 1)  # [1, Hkv, G N, 1]
        scores = torch.cat([scores, sink], dim=-1)
    weights = scores.softmax(-1)[..., : keys.shape[2]]
    return (weights @ values.to(wide)).to(query.dtype)
