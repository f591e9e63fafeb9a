"""The base model's choice of its next token: one function for both lanes and for every temperature.

And what a drafter can know of that choice beforehand: the noise, which does not depend on any logits.

Knows a row of logits, the sampling settings and the position of the token being picked; nothing of trees or lanes.
"""

from __future__ import annotations

import torch

from kernels import KernelSet
from kernels.pick.noise import filter_threshold, gumbel_noise, noise_of_entries
from playground.config import Sampling

_LIKELY = 64  # draft entries that a filter lets through: a beam takes the best few of them


def pick_token(
    logits: torch.Tensor, sampling: Sampling, position: torch.Tensor | int, kernels: KernelSet
) -> torch.Tensor:
    """The picked id [] int64 from `logits` [V], for the token that will stand at absolute `position` [].

    Rows [N, V] with positions [N] give ids [N].
    """
    return kernels.pick(
        logits,
        temperature=sampling.temperature,
        top_k=sampling.top_k,
        top_p=sampling.top_p,
        seed=sampling.seed,
        position=position,
    )


def pick_gap(logits: torch.Tensor, sampling: Sampling, position: torch.Tensor | int) -> torch.Tensor:
    """How close the pick was, []: best minus second best of what it compares (`logits` [V], with any noise).

    Infinite where the filters leave one token.
    """
    scores = logits.to(torch.promote_types(logits.dtype, torch.float32))
    if not sampling.greedy:
        threshold = filter_threshold(scores, sampling.temperature, sampling.top_k, sampling.top_p)
        noise = gumbel_noise(scores, sampling.seed, position)
        scores = scores.masked_fill(scores < threshold, -torch.inf) / sampling.temperature + noise
    best, second = scores.topk(2).values
    return best - second


def noise_ahead(sampling: Sampling, positions: torch.Tensor, entries: torch.Tensor) -> torch.Tensor:
    """T times the noise [L, E] with which tokens at `positions` [L] will be picked among `entries` [E]."""
    return noise_of_entries(entries, sampling.seed, positions) * sampling.temperature


def expected_scores(logits: torch.Tensor, sampling: Sampling, noise: torch.Tensor) -> torch.Tensor:
    """What a pick would compare if the base model's logits were a drafter's, times the temperature: fp32 [W, E].

    The same seeded noise on both sides makes two similar distributions choose the same token far more often than
    guessing the likeliest one does (Daliri, Musco, Suresh, arXiv 2408.07978, section 4). Entries that the filters would
    drop, were the drafter right, get no noise; they stay as second guesses. At most `_LIKELY` pass the filters.

    Args:
        logits: [W, E], the drafter's. noise: [E], one position's of `noise_ahead`.
    """
    logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
    if sampling.top_k or sampling.top_p < 1.0:
        likely = logits.topk(min(sampling.top_k or _LIKELY, _LIKELY, logits.shape[-1])).values  # [W, K] best first
        if sampling.top_p < 1.0:
            total = (logits / sampling.temperature).logsumexp(-1, keepdim=True)
            share = (likely / sampling.temperature - total).exp()
            likely = likely.masked_fill(share.cumsum(-1) - share >= sampling.top_p, torch.inf)
        noise = torch.where(logits < likely.amin(-1, keepdim=True), 0.0, noise)
    return logits + noise
