"""A matrix product in which a row's bits do not depend on how many rows there are.

Knows weights and rows; nothing of models. One tile shape for every row count, sums over K in one fixed order, no
choice by M: plain decoding (M = 1) and a tree's verification (M = N) then agree bit for bit.
"""

from __future__ import annotations

import torch
from torch.nn import functional


def row_linear_reference(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None = None) -> torch.Tensor:
    """x [..., K] times weight [N, K] transposed, plus bias [N]: [..., N]. Its rows may round with their number."""
    return functional.linear(x, weight, bias)
