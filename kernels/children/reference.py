"""The children of beams: log-softmax of each beam's logits, and its K best tokens.

Knows logits and scores; nothing of drafters or vocabularies. A score at or below `LOWEST_VALID_SCORE` (or -inf) marks a
beam that stands for nothing; what comes of it is invalid too: token -1, score -inf, log-probability 0.
Ties within a beam go by logit, then to the lower token id.
"""

from __future__ import annotations

import torch

from kernels.types import LOWEST_VALID_SCORE, Children

# Candidates looked at beyond those wanted: bf16 logits near 10 tie in groups of about 32, at times in larger ones.
_SPARE = (32, 480)


def children_reference(logits: torch.Tensor, scores: torch.Tensor, *, keep: int, cut: int | None) -> Children:
    """The `keep` best tokens of each beam; `logits` [B, V], `scores` [B].

    With `cut`, the log-softmax runs over the `cut` largest logits of a beam and all others are excluded.
    """
    vocabulary = logits.shape[1]
    logits = logits.float()
    if cut is None or cut >= vocabulary:
        cut, total = vocabulary, logits.logsumexp(-1, keepdim=True)  # [B, 1]
    else:
        total = logits.topk(cut).values.logsumexp(-1, keepdim=True)
    value, token = _largest(logits, min(keep, cut))  # [B, K]
    log_probability = value - total
    score = scores.float()[:, None] + log_probability
    invalid = ~((score > LOWEST_VALID_SCORE) & score.isfinite())
    missing = (0, keep - token.shape[1])  # fewer choices than wanted: the rest stand for nothing
    return Children(
        token=torch.nn.functional.pad(token.masked_fill(invalid, -1), missing, value=-1),
        score=torch.nn.functional.pad(score.masked_fill(invalid, -torch.inf), missing, value=-torch.inf),
        log_probability=torch.nn.functional.pad(log_probability.masked_fill(invalid, 0.0), missing),
    )


def _largest(logits: torch.Tensor, count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The largest logits [B, count] of each row, largest first, equal ones by id, and their ids.

    torch.topk leaves the choice among equal values open, and half-precision logits tie often. On CPU, where looking
    costs nothing, a few more are asked for, and if every tie with the last one chosen is among them, they are enough.
    Ties at -inf do not count: such entries are invalid whatever their ids.
    """
    for reach in (count + spare for spare in _SPARE):
        if logits.device.type != "cpu" or reach >= logits.shape[-1]:
            break
        value, token = logits.topk(reach)
        last = value[:, count - 1]
        if ((last > value[:, -1]) | last.isneginf()).all():
            token, order = token.sort(dim=-1)
            value, order = value.gather(-1, order).sort(dim=-1, descending=True, stable=True)
            return value[:, :count], token.gather(-1, order[:, :count])
    ids = torch.arange(logits.shape[-1], device=logits.device)
    token = 0x7FFFFFFF - (_ordered(logits, ids).topk(count).values & 0xFFFFFFFF)
    return logits.gather(-1, token), token


def _ordered(value: torch.Tensor, token: torch.Tensor) -> torch.Tensor:
    """Distinct int64 keys that sort as (value, then lower id): the float's ordered bits above, the id below."""
    bits = (value + 0.0).view(torch.int32).to(torch.int64)  # -0.0 becomes 0.0
    return (torch.where(bits < 0, bits ^ 0x7FFFFFFF, bits) << 32) + (0x7FFFFFFF - token)
