"""The base model's choice of its next token: one function for both lanes and for every temperature.

Knows a row of logits, the sampling settings and the position of the token being picked; nothing of trees or lanes.
"""

from __future__ import annotations

import torch

from kernels import KernelSet
from kernels.pick import filter_threshold, gumbel_noise
from playground.config import Sampling


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
