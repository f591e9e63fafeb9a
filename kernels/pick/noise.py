"""What a pick compares besides the logits: the seeded noise, and the threshold that top-k and top-p set.

Knows logits, a seed and a position. The noise of an entry is a counter hash of (seed, position, entry), so it
is known before any logits are.
"""

from __future__ import annotations

from typing import TypeVar

import torch

from kernels.types import PickRule

_Bits = TypeVar("_Bits", int, torch.Tensor, int | torch.Tensor)
_MASK = 0xFFFFFFFF
_STREAM = 0x9E3779B9  # 2^32 / golden ratio: spreads consecutive positions


def filter_threshold(logits: torch.Tensor, rule: PickRule) -> torch.Tensor:
    """The smallest logit that top-k and then top-p keep, [..., 1]; entries equal to it are all kept."""
    vocabulary = logits.shape[-1]
    threshold = logits.new_full((*logits.shape[:-1], 1), -torch.inf)
    reach = vocabulary if rule.top_k <= 0 else min(rule.top_k, vocabulary)
    if reach < vocabulary:
        threshold = logits.topk(reach).values[..., -1:]
    if rule.top_p < 1.0:
        ordered = logits.masked_fill(logits < threshold, -torch.inf).sort(-1, descending=True).values
        probability = (ordered / rule.temperature).softmax(-1)
        before = probability.cumsum(-1) - probability  # mass of what is more probable
        last = ((before < rule.top_p) & (probability > 0)).sum(-1, keepdim=True).clamp_min(1) - 1
        threshold = ordered.gather(-1, last)
    return threshold


def gumbel_noise(like: torch.Tensor, seed: int | torch.Tensor, position: torch.Tensor | int) -> torch.Tensor:
    """Noise shaped and typed as `like` [..., V]."""
    return noise_of_entries(torch.arange(like.shape[-1], device=like.device), seed, position, like.dtype)


def noise_of_entries(
    entry: torch.Tensor,
    seed: int | torch.Tensor,
    position: torch.Tensor | int,
    dtype: torch.dtype = torch.float32,
) -> torch.Tensor:
    """Noise [..., E] of vocabulary entries [E] where the token at `position` [...] is picked; never asks the device."""
    stream = _mix(seed ^ _STREAM)
    where = torch.as_tensor(position, device=entry.device).to(torch.int64)[..., None]
    step = _mix((where * _STREAM + stream) & _MASK)
    bits = _mix(_mix((entry + stream) & _MASK) ^ step)  # [..., E]
    v = (bits.to(dtype) + 0.5) * 2.0**-32
    return -torch.log(-torch.log1p(-v))


def _mix(x: _Bits) -> _Bits:
    """A 32-bit integer finaliser (Wellons' lowbias32) on an int, or int64 entries, of 32 bits."""
    x = x ^ (x >> 16)
    x = (x * 0x7FEB352D) & _MASK
    x = x ^ (x >> 15)
    x = (x * 0x846CA68B) & _MASK
    return x ^ (x >> 16)
