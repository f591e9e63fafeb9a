"""Triton program of RMS normalisation: one program a row, in one launch."""

from __future__ import annotations

import torch
import triton
import triton.language as tl

from kernels.types import NormStyle


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


def rms_norm_triton(x: torch.Tensor, weight: torch.Tensor, eps: float, style: NormStyle = "llama") -> torch.Tensor:
    """As the reference; fp32 inside."""
    return launch_rms_norm(x.reshape(-1, x.shape[-1]), weight, eps, gemma=style == "gemma").view(x.shape)
