"""The base model's choice of the next token: the one rule both lanes use, at every temperature.

Knows logits, a seed and a position; nothing of trees or lanes. Temperature 0 is argmax. Otherwise Gumbel-argmax: the
largest filtered_logit / T + noise, where the noise is a counter hash of (seed, position, vocabulary entry): with x the
32-bit hash, v = (x + 0.5) / 2^32 and noise = -log(-log1p(-v)). The usual form rounds to u = 1 in fp32 and lets one
entry always win; here the bad end is -inf, which never wins. Compared in fp32 (fp64 stays fp64), ties to the lowest id.
"""

from __future__ import annotations

from typing import TypeVar

import torch

_Bits = TypeVar("_Bits", int, torch.Tensor, int | torch.Tensor)
_MASK = 0xFFFFFFFF
_STREAM = 0x9E3779B9  # 2^32 / golden ratio: spreads consecutive positions


def pick_reference(
    logits: torch.Tensor,  # [V] or [N, V]
    *,
    temperature: float,
    top_k: int,
    top_p: float,
    seed: int | torch.Tensor,  # or [] int64 on the device, so that a captured pick serves every seed
    position: torch.Tensor | int,  # [] or [N], absolute position of the token being picked
) -> torch.Tensor:
    """The picked ids, [] or [N] int64."""
    logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
    if temperature == 0.0:
        return logits.argmax(-1)
    kept = logits.masked_fill(logits < filter_threshold(logits, temperature, top_k, top_p), -torch.inf)
    return (kept / temperature + gumbel_noise(logits, seed, position)).argmax(-1)


def filter_threshold(logits: torch.Tensor, temperature: float, top_k: int, top_p: float) -> torch.Tensor:
    """The smallest logit that top-k and then top-p keep, [..., 1]; entries equal to it are all kept."""
    vocabulary = logits.shape[-1]
    threshold = logits.new_full((*logits.shape[:-1], 1), -torch.inf)
    reach = vocabulary if top_k <= 0 else min(top_k, vocabulary)
    if reach < vocabulary:
        threshold = logits.topk(reach).values[..., -1:]
    if top_p < 1.0:
        ordered = logits.masked_fill(logits < threshold, -torch.inf).sort(-1, descending=True).values
        probability = (ordered / temperature).softmax(-1)
        before = probability.cumsum(-1) - probability  # mass of what is more probable
        last = ((before < top_p) & (probability > 0)).sum(-1, keepdim=True).clamp_min(1) - 1
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


def pick_triton(
    logits: torch.Tensor,
    *,
    temperature: float,
    top_k: int,
    top_p: float,
    seed: int | torch.Tensor,
    position: torch.Tensor | int,
) -> torch.Tensor:
    """As the reference, on the device alone: the same noise bits, the floats within rounding.

    Raises:
        ValueError: fp64 logits.
    """
    if logits.dtype == torch.float64:
        raise ValueError("Triton's pick computes in float32, but was given float64. Choose the reference kernels.")
    from kernels.device.choice import pick_rows

    rows = logits.reshape(-1, logits.shape[-1])
    where = torch.as_tensor(position, device=logits.device).to(torch.int64).reshape(-1)
    if isinstance(seed, int):  # written by a launch, as a copy from the host could not be captured
        seed = where if temperature == 0.0 else torch.full((), seed, dtype=torch.int64, device=logits.device)
    picked = pick_rows(rows, where, temperature=temperature, top_k=top_k, top_p=top_p, seed=seed)
    return picked.reshape(logits.shape[:-1])
