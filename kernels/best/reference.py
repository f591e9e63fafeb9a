"""The best of many scores in order. Knows scores only.

Equal scores go to the lower index. A score at or below `LOWEST_VALID_SCORE`, infinite or not a number is never chosen.
"""

from __future__ import annotations

import torch

from kernels.types import LOWEST_VALID_SCORE


def best_reference(scores: torch.Tensor, count: int) -> torch.Tensor:
    """Indices [count] of the best of `scores` [C], best first, then -1. No host synchronisation."""
    scores = scores.float()
    good = (scores > LOWEST_VALID_SCORE) & scores.isfinite()
    value, index = scores.masked_fill(~good, -torch.inf).sort(descending=True, stable=True)
    index = index.masked_fill(value.isneginf(), -1)[:count]
    return torch.nn.functional.pad(index, (0, count - len(index)), value=-1)
