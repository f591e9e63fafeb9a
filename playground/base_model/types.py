"""What a base model is to those who run trees through it, and what a forward gives.

Knows no implementation: `adapter` runs the stock modules.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch

from kernels import KernelSet
from playground.base_model.cache import KVCache
from playground.trace import ModelInfo


@dataclass(frozen=True)
class BaseOutput:
    """What a forward gives: `hidden` is what enters the output head (after the final norm), then the taps."""

    logits: torch.Tensor  # [N, V]
    hidden: torch.Tensor  # [N, H * (1 + taps)]


class TreeModel(Protocol):
    """A base model as those see it who only run it."""

    name: str
    dtype: torch.dtype
    device: torch.device
    kernels: KernelSet
    eos_ids: frozenset[int]
    window: int
    taps: tuple[int, ...]  # decoder layers whose residual stream follows every hidden state

    @property
    def context_size(self) -> int:
        """Width of `BaseOutput.hidden`, H * (1 + taps)."""
        ...

    def info(self) -> ModelInfo: ...

    def new_cache(self, capacity: int) -> KVCache:
        """An empty cache for `capacity` tokens, tree nodes included."""
        ...

    def prefill(self, tokens: torch.Tensor, cache: KVCache) -> BaseOutput:
        """Read a prompt [P] into the cache; the output of its last token."""
        ...

    def forward(self, tokens: torch.Tensor, depth: torch.Tensor, ancestors: torch.Tensor, cache: KVCache) -> BaseOutput:
        """Verify N nodes on top of the cache: tokens [N], depth [N], ancestors [N, N]; nothing is committed."""
        ...
