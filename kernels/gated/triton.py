"""Triton program of the gated activation.

The number of elements is never specialised, so that one binary serves every row count.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl

from kernels.types import Gate


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


def gated_triton(gate: torch.Tensor, up: torch.Tensor, kind: Gate = "silu") -> torch.Tensor:
    """As the reference; fp32 inside."""
    return launch_gated(gate.contiguous(), up.contiguous(), silu=kind == "silu")
