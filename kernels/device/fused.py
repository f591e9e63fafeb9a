# mypy: disable-error-code="no-untyped-def"
"""Device code of the small row-wise operations between matrix products: one launch where the stock modules take many.

Arguments that differ with the number of rows are never specialised, so that one binary serves every row count.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl


@triton.jit(do_not_specialize=["x_row"])
def rms_norm_row(x, weight, out, x_row, eps, H: tl.constexpr, BLOCK: tl.constexpr, GEMMA: tl.constexpr):
    """Grid (rows,)."""
    row = tl.program_id(0).to(tl.int64)
    at = tl.arange(0, BLOCK)
    inside = at < H
    value = tl.load(x + row * x_row + at, mask=inside, other=0.0).to(tl.float32)
    scale = tl.load(weight + at, mask=inside, other=0.0).to(tl.float32)
    normed = value * (1.0 / tl.sqrt(tl.sum(value * value, 0) / H + eps))
    if GEMMA:  # noqa: SIM108 - a compile-time branch
        normed = normed * (1.0 + scale)
    else:
        normed = normed.to(out.dtype.element_ty).to(tl.float32) * scale
    tl.store(out + row * H + at, normed.to(out.dtype.element_ty), mask=inside)


def launch_rms_norm(x: torch.Tensor, weight: torch.Tensor, eps: float, *, gemma: bool) -> torch.Tensor:
    """x [M, H]."""
    x = x if x.stride(1) == 1 else x.contiguous()
    rows, width = x.shape
    out = torch.empty(rows, width, dtype=x.dtype, device=x.device)
    block = triton.next_power_of_2(width)
    rms_norm_row[(rows,)](
        x, weight, out, x.stride(0), eps, H=width, BLOCK=block, GEMMA=gemma, num_warps=min(8, max(1, block // 512))
    )
    return out


@triton.jit(do_not_specialize=["size"])
def gated_block(gate, up, out, size, BLOCK: tl.constexpr, SILU: tl.constexpr):
    """Grid (blocks,)."""
    at = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    inside = at < size
    g = tl.load(gate + at, mask=inside, other=0.0).to(tl.float32)
    u = tl.load(up + at, mask=inside, other=0.0).to(tl.float32)
    if SILU:
        active = g / (1.0 + tl.exp(-g))
    else:  # 0.5 g (1 + tanh(sqrt(2 / pi) (g + 0.044715 g^3)))
        inner = 0.7978845608028654 * (g + 0.044715 * g * g * g)
        active = g * (1.0 - 1.0 / (tl.exp(2.0 * inner) + 1.0))
    active = active.to(out.dtype.element_ty).to(tl.float32)
    tl.store(out + at, (active * u).to(out.dtype.element_ty), mask=inside)


def launch_gated(gate: torch.Tensor, up: torch.Tensor, *, silu: bool) -> torch.Tensor:
    """Any shape, contiguous."""
    out = torch.empty(gate.shape, dtype=gate.dtype, device=gate.device)
    block = 1024
    gated_block[(triton.cdiv(gate.numel(), block),)](gate, up, out, gate.numel(), BLOCK=block, SILU=silu)
    return out


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
