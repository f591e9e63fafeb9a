"""The settings of sampling as the rule by which tokens are picked, and what else is known of a pick.

That is how close it was, and what a drafter can know of it beforehand: the noise, which does not depend on any logits.
The pick itself is a kernel, one function for both lanes and every temperature. Knows nothing of trees or lanes.
"""

from __future__ import annotations

import torch

from kernels import PickRule
from kernels.pick.noise import filter_threshold, gumbel_noise, noise_of_entries
from playground.config import Sampling

_LIKELY = 64  # draft entries that a filter lets through: a beam takes the best few of them


def rule_of(sampling: Sampling, seed: torch.Tensor | None = None) -> PickRule:
    """The rule that settings ask for; `seed` [] stands for theirs where it is to be read on the device."""
    return PickRule(sampling.temperature, sampling.top_k, sampling.top_p, sampling.seed if seed is None else seed)


def pick_gap(logits: torch.Tensor, rule: PickRule, position: torch.Tensor | int) -> torch.Tensor:
    """How close the pick was, []: best minus second best of what it compares (`logits` [V], with any noise).

    Infinite where the filters leave one token.
    """
    scores = logits.to(torch.promote_types(logits.dtype, torch.float32))
    if not rule.greedy:
        noise = gumbel_noise(scores, rule.seed, position)
        scores = scores.masked_fill(scores < filter_threshold(scores, rule), -torch.inf) / rule.temperature + noise
    best = scores.topk(2).values  # [2]
    return best[0] - best[1]


def noise_ahead(rule: PickRule, positions: torch.Tensor, entries: torch.Tensor) -> torch.Tensor:
    """T times the noise [L, E] with which tokens at `positions` [L] will be picked among `entries` [E]."""
    return noise_of_entries(entries, rule.seed, positions) * rule.temperature


def expected_scores(logits: torch.Tensor, rule: PickRule, noise: torch.Tensor) -> torch.Tensor:
    """What a pick would compare if the base model's logits were a drafter's, times the temperature: fp32 [W, E].

    The same seeded noise on both sides makes two similar distributions choose the same token far more often than
    guessing the likeliest one does (Daliri, Musco, Suresh, arXiv 2408.07978, section 4). Entries that the filters would
    drop, were the drafter right, get no noise; they stay as second guesses. At most `_LIKELY` pass the filters.

    Args:
        logits: [W, E], the drafter's. noise: [E], one position's of `noise_ahead`.
    """
    logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
    if rule.filtered:
        likely = logits.topk(min(rule.top_k or _LIKELY, _LIKELY, logits.shape[-1])).values  # [W, K] best first
        if rule.top_p < 1.0:
            total = (logits / rule.temperature).logsumexp(-1, keepdim=True)
            share = (likely / rule.temperature - total).exp()
            likely = likely.masked_fill(share.cumsum(-1) - share >= rule.top_p, torch.inf)
        noise = torch.where(logits < likely.amin(-1, keepdim=True), 0.0, noise)
    return logits + noise
