"""The gated MLP's activation: silu(gate) * up, or tanh-gelu(gate) * up, in one launch.

Knows rows; nothing of the products around it. Rounds the activation to its dtype before it multiplies, as the stock
modules do.
"""

from __future__ import annotations

import torch
from torch.nn import functional

from kernels.types import Gate


def gated_reference(gate: torch.Tensor, up: torch.Tensor, kind: Gate = "silu") -> torch.Tensor:
    """[..., I] of gate and up [..., I]."""
    active = functional.silu(gate) if kind == "silu" else functional.gelu(gate, approximate="tanh")
    return active * up
