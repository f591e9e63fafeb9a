"""RMS normalisation of rows, in one launch, each row alone.

Knows rows and a weight. Two styles round differently: "llama" rounds the normalised row to its dtype and then
multiplies; "gemma" multiplies by 1 + weight in fp32 and rounds once.
"""

from __future__ import annotations

import torch

from kernels.types import NormStyle


def rms_norm_reference(x: torch.Tensor, weight: torch.Tensor, eps: float, style: NormStyle = "llama") -> torch.Tensor:
    """x [..., H] over its root mean square, times weight [H]."""
    wide = x.to(torch.promote_types(x.dtype, torch.float32))
    normed = wide * torch.rsqrt(wide.square().mean(-1, keepdim=True) + eps)
    if style == "gemma":
        return (normed * (1.0 + weight.to(wide.dtype))).to(x.dtype)
    return weight * normed.to(x.dtype)
