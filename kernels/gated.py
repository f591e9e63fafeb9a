"""The gated MLP's activation: silu(gate) * up, or tanh-gelu(gate) * up, in one launch.

Knows rows; nothing of the products around it. Rounds the activation to its dtype before it multiplies, as the stock
modules do.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch.nn import functional

Gate = Literal["silu", "gelu_tanh"]


def gated_reference(gate: torch.Tensor, up: torch.Tensor, kind: Gate = "silu") -> torch.Tensor:
    """[..., I] of gate and up [..., I]."""
    active = functional.silu(gate) if kind == "silu" else functional.gelu(gate, approximate="tanh")
    return active * up


def gated_triton(gate: torch.Tensor, up: torch.Tensor, kind: Gate = "silu") -> torch.Tensor:
    """As the reference; fp32 inside."""
    from kernels.device.fused import launch_gated

    return launch_gated(gate.contiguous(), up.contiguous(), silu=kind == "silu")
