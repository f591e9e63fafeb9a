"""One widening of the beams: log-softmax of each beam's logits, top W of each beam, merged to the top W of all.

Knows logits and scores; nothing of drafters or vocabularies. A score at or below `LOWEST_VALID_SCORE` (or -inf) marks a
beam that stands for nothing; what comes of it is invalid too: score -inf, beam 0, token -1, log-probability 0.
Ties: within a beam by logit, then the lower token id; between beams by score, then the lower beam, then the lower id.
"""

from __future__ import annotations

import torch

from kernels.types import LOWEST_VALID_SCORE, BeamTop

# Candidates looked at beyond those wanted: bf16 logits near 10 tie in groups of about 32, at times in larger ones.
_SPARE = (32, 480)


def beam_topk_reference(logits: torch.Tensor, scores: torch.Tensor, *, cut: int | None) -> BeamTop:
    """Top W of the W x V candidates; `logits` [W, V], `scores` [W].

    With `cut`, the log-softmax runs over the `cut` largest logits of a beam and all others are excluded.
    """
    width, vocabulary = logits.shape
    logits = (logits[:1] if logits.stride(0) == 0 else logits).float()  # one row expanded is looked at once
    reach = min(width, vocabulary) if cut is None else min(width, vocabulary, cut)
    if cut is None or cut >= vocabulary:
        total = logits.logsumexp(-1, keepdim=True)  # [W, 1]
    else:
        total = logits.topk(cut).values.logsumexp(-1, keepdim=True)
    value, token = _largest(logits, reach)  # [W, K]
    log_probability = value - total
    token, log_probability = token.expand(width, -1), log_probability.expand(width, -1)
    candidates = (scores.float()[:, None] + log_probability).flatten()  # [W K] beam by beam: ties to the lower beam
    valid = (candidates > LOWEST_VALID_SCORE) & candidates.isfinite()
    candidates = candidates.masked_fill(~valid, -torch.inf)
    score, entry = (part[:width] for part in candidates.sort(descending=True, stable=True))
    good = score > -torch.inf
    return _padded(
        BeamTop(
            score=score,
            beam=torch.where(good, entry // reach, 0),
            token=torch.where(good, token.flatten()[entry], -1),
            log_probability=torch.where(good, log_probability.flatten()[entry], 0.0),
        ),
        width,
    )


def _largest(logits: torch.Tensor, count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The largest logits [W, count] of each row, largest first, equal ones by id, and their ids.

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


def _padded(top: BeamTop, width: int) -> BeamTop:
    """Fewer candidates than W: the rest stand for nothing."""
    missing = width - top.score.shape[0]
    if missing <= 0:
        return top
    return BeamTop(
        score=torch.cat([top.score, top.score.new_full((missing,), -torch.inf)]),
        beam=torch.cat([top.beam, top.beam.new_zeros(missing)]),
        token=torch.cat([top.token, top.token.new_full((missing,), -1)]),
        log_probability=torch.cat([top.log_probability, top.log_probability.new_zeros(missing)]),
    )
