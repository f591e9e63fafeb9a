"""Triton program of rotary embedding and cache write: one program a head of a node."""

from __future__ import annotations

import torch
import triton
import triton.language as tl


@triton.jit(do_not_specialize=["q_out_head"])
def rotary_store_head(
    query, key, value, cos, sin, keys, values, committed, out,
    q_node, q_head, k_node, k_head, v_node, v_head, c_head, c_slot, d_head, d_slot, q_out_head,
    HEADS: tl.constexpr, D: tl.constexpr, DV: tl.constexpr, HALF: tl.constexpr, BLOCK_V: tl.constexpr,
):  # fmt: skip
    """Grid (nodes, Hq + Hkv): a query head is turned into `out` [Hq, N, D]; a key head into its slot, value beside."""
    node, head = tl.program_id(0), tl.program_id(1)
    at = tl.arange(0, HALF)
    inside = at < D // 2
    c_left = tl.load(cos + node * D + at, mask=inside, other=0.0).to(tl.float32)
    s_left = tl.load(sin + node * D + at, mask=inside, other=0.0).to(tl.float32)
    c_right = tl.load(cos + node * D + D // 2 + at, mask=inside, other=0.0).to(tl.float32)
    s_right = tl.load(sin + node * D + D // 2 + at, mask=inside, other=0.0).to(tl.float32)
    if head < HEADS:
        source = query + node.to(tl.int64) * q_node + head * q_head
        target = out + head.to(tl.int64) * q_out_head + node * D
    else:
        other = head - HEADS
        slot = tl.load(committed) + node
        source = key + node.to(tl.int64) * k_node + other * k_head
        target = keys + other.to(tl.int64) * c_head + slot * c_slot
        lane = tl.arange(0, BLOCK_V)
        kept = tl.load(value + node.to(tl.int64) * v_node + other * v_head + lane, mask=lane < DV)
        tl.store(values + other.to(tl.int64) * d_head + slot * d_slot + lane, kept, mask=lane < DV)
    left = tl.load(source + at, mask=inside, other=0.0).to(tl.float32)
    right = tl.load(source + D // 2 + at, mask=inside, other=0.0).to(tl.float32)
    tl.store(target + at, (left * c_left - right * s_left).to(out.dtype.element_ty), mask=inside)
    tl.store(target + D // 2 + at, (right * c_right + left * s_right).to(out.dtype.element_ty), mask=inside)


def launch_rotary_store(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    cos: torch.Tensor,
    sin: torch.Tensor,
    keys: torch.Tensor,
    values: torch.Tensor,
    committed: torch.Tensor,
) -> torch.Tensor:
    """Inner strides of query, key, value and the cache are 1."""
    nodes, heads, width = query.shape
    out = torch.empty(heads, nodes, width, dtype=query.dtype, device=query.device)
    rotary_store_head[(nodes, heads + key.shape[1])](
        query, key, value, cos, sin, keys, values, committed, out,
        *query.stride()[:2], *key.stride()[:2], *value.stride()[:2], *keys.stride()[:2], *values.stride()[:2],
        out.stride(0), HEADS=heads, D=width, DV=value.shape[-1], HALF=triton.next_power_of_2(width // 2),
        BLOCK_V=triton.next_power_of_2(value.shape[-1]), num_warps=1,
    )  # fmt: skip
    return out


def rotary_store_triton(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    cos: torch.Tensor,
    sin: torch.Tensor,
    keys: torch.Tensor,
    values: torch.Tensor,
    committed: torch.Tensor,
) -> torch.Tensor:
    """As the reference; fp32 inside."""
    return launch_rotary_store(query, key, value, cos.contiguous(), sin.contiguous(), keys, values, committed)
