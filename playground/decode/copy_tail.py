"""The copy tail: what followed an earlier match in the text, as a chain of candidates beside the drafted ones.

A text that repeats itself, or its prompt, often goes on as it did before. Where m tokens agree, the next copied token
is right with a measured chance(m), the one behind it with chance(m + 1), and so on; the chain's scores are the
logarithms of their products. What a beam drafted exactly so far is one candidate with the chain's, at the better of the
two scores.
Knows token ids and chances; no drafter.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

LEAST_MATCH = 2
"""Tokens that must agree: of single tokens that agree, most are articles and commas."""


@dataclass(frozen=True)
class CopyTail:
    """A chain of T copied tokens under the root."""

    token: torch.Tensor  # [T] int64, -1 none
    score: torch.Tensor  # [T] float32, -inf where the chain does not reach
    log_probability: torch.Tensor  # [T] float32, of each step alone; 0 where the chain does not reach


def copy_tail(
    continuation: torch.Tensor,
    match: torch.Tensor,
    chances: torch.Tensor,
    eos: torch.Tensor,
    limit: torch.Tensor | None = None,
) -> CopyTail:
    """The chain of `continuation` [T] behind a match of `match` [] tokens; it ends with end-of-sequence.

    Args:
        chances: [J] by the number of tokens that agree, the last one for more.
        limit: [] int64, tokens wanted, where only the device knows.
    """
    ahead = torch.arange(len(continuation), device=continuation.device)
    step = chances[(match + ahead).clamp_max(len(chances) - 1)].log()  # [T]
    ends = (continuation[:, None] == eos).any(-1)
    stopped = ends.cumsum(0) - ends.to(torch.int64) > 0  # behind an end of sequence
    there = (match >= LEAST_MATCH) & (continuation >= 0) & ~stopped
    if limit is not None:
        there = there & (ahead < limit)
    score = step.cumsum(0).masked_fill(~there, -torch.inf)
    return CopyTail(continuation, score, step.masked_fill(score.isneginf(), 0.0))
