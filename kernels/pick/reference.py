"""The base model's choice of the next token: the one rule both lanes use, at every temperature.

Knows logits, a seed and a position; nothing of trees or lanes. Temperature 0 is argmax. Otherwise Gumbel-argmax: the
largest filtered_logit / T + noise, where the noise is a counter hash of (seed, position, vocabulary entry): with x the
32-bit hash, v = (x + 0.5) / 2^32 and noise = -log(-log1p(-v)). The usual form rounds to u = 1 in fp32 and lets one
entry always win; here the bad end is -inf, which never wins. Compared in fp32 (fp64 stays fp64), ties to the lowest id.
"""

from __future__ import annotations

import torch

from kernels.pick.noise import filter_threshold, gumbel_noise
from kernels.types import PickRule


def pick_reference(
    logits: torch.Tensor,  # [V] or [N, V]
    rule: PickRule,
    position: torch.Tensor | int,  # [] or [N], absolute position of the token being picked
) -> torch.Tensor:
    """The picked ids, [] or [N] int64."""
    logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
    if rule.greedy:
        return logits.argmax(-1)
    kept = logits.masked_fill(logits < filter_threshold(logits, rule), -torch.inf)
    return (kept / rule.temperature + gumbel_noise(logits, rule.seed, position)).argmax(-1)
