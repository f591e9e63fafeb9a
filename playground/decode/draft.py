"""The first stage: beam search with the recurrent drafter.

Knows the drafter's cell, the beams and the noise of coming picks; nothing of the base model's verdict.
Fixed shapes and no host synchronisation, so that the stage can be captured as it stands.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Protocol

import torch

from kernels import KernelSet
from kernels.types import BeamTop
from playground.config import Sampling
from playground.decode.records import Beams
from playground.sampling import expected_scores, noise_ahead


class DraftModel(Protocol):
    """What drafting needs of a drafter; `playground.drafter.cell.Drafter` is one.

    The logits that `advance` gives are the caller's to change.
    """

    @property
    def full_ids(self) -> torch.Tensor | None: ...
    @property
    def cut(self) -> int | None: ...
    def start(self, hidden: torch.Tensor, tokens: torch.Tensor, root_position: torch.Tensor) -> Any: ...
    def advance(self, state: Any, tokens: torch.Tensor) -> tuple[Any, torch.Tensor]: ...


def draft(
    drafter: DraftModel,
    hidden: torch.Tensor,
    history: torch.Tensor,
    root_position: torch.Tensor,
    *,
    width: int,
    length: int,
    sampling: Sampling,
    eos: torch.Tensor,
    kernels: KernelSet,
) -> Beams:
    """Search `width` beams of `length` tokens after the root (arXiv 2403.09919, section 3.2).

    All beams start as one. A beam that has drafted end-of-sequence takes no more tokens and keeps its score. Equal
    scores go to the lower beam, then the lower token id. Where the base model will pick with noise, the search runs on
    the drafter's logits with the same noise added, since the best token then is the likeliest pick: scores contain the
    noise, log-probabilities do not. Picks do not depend on the draft, so neither does the text.

    Args:
        hidden: [1, H (1 + taps)], the base model's at the position before the root.
        history: [S] int64, the committed tokens, then the root.
        root_position: [] int64, n.
        eos: [E] int64 end-of-sequence ids.
    """
    scores = torch.full((width,), -torch.inf, device=history.device)  # [W] float32
    scores[0] = 0.0
    if length == 0:
        return Beams(history.new_empty(width, 0), scores.new_empty(width, 0), scores)
    state = drafter.start(hidden, history, root_position)
    state, logits = drafter.advance(state, history.index_select(0, root_position.reshape(1)))  # [1, V']
    widen = _Widening(drafter, sampling, root_position, length, logits.shape[-1], kernels)
    ended = torch.zeros_like(scores, dtype=torch.bool)  # [W]
    top = widen(0, logits.expand(width, -1), scores, ended)
    added = _full_ids(drafter, top.token)  # [W]
    ended = (added[:, None] == eos).any(-1)  # [W]
    tokens, log_probabilities = added[:, None], top.log_probability[:, None]  # [W, k]
    for level in range(1, length):
        state, logits = drafter.advance(state.select(top.beam), added.clamp_min(0))  # [W, V']
        top = widen(level, logits, top.score, ended)
        ended = ended.index_select(0, top.beam)
        added = _full_ids(drafter, top.token).masked_fill(ended, -1)
        ended = ended | (added[:, None] == eos).any(-1)
        tokens = torch.cat((tokens.index_select(0, top.beam), added[:, None]), dim=1)
        chosen = log_probabilities.index_select(0, top.beam)
        log_probabilities = torch.cat((chosen, top.log_probability[:, None]), dim=1)
    scores = top.score
    nothing = scores.isneginf()[:, None]
    return Beams(tokens.masked_fill(nothing, -1), log_probabilities.masked_fill(nothing, 0.0), scores)


class _Widening:
    """One level of the search after another: greedy by log-probability, sampled by what the pick will compare."""

    def __init__(
        self,
        drafter: DraftModel,
        sampling: Sampling,
        root_position: torch.Tensor,
        length: int,
        vocabulary: int,
        kernels: KernelSet,
    ) -> None:
        self._sampling, self._cut, self._kernels = sampling, drafter.cut, kernels
        if not sampling.greedy:
            ids = drafter.full_ids
            entries = torch.arange(vocabulary, device=root_position.device) if ids is None else ids
            levels = torch.arange(1, length + 1, device=root_position.device)
            self._noise = noise_ahead(sampling, root_position + levels, entries)  # [L, V']

    def __call__(self, level: int, logits: torch.Tensor, scores: torch.Tensor, ended: torch.Tensor) -> BeamTop:
        """The best continuations of beams with `logits` [W, V'] and `scores` [W]; `ended` [W] ones stay as they are."""
        greedy = self._sampling.greedy
        compared = logits if greedy else expected_scores(logits, self._sampling, self._noise[level])
        compared = _held(compared, ended) if level > 0 else compared  # no beam ends before its first token
        top = self._kernels.beam_topk(compared, scores, cut=self._cut)
        if greedy:
            return top
        own = _log_probability(logits, top, self._cut).masked_fill(ended.index_select(0, top.beam), 0.0)
        return replace(top, log_probability=own.masked_fill(top.token < 0, 0.0))


def _log_probability(logits: torch.Tensor, top: BeamTop, cut: int | None) -> torch.Tensor:
    """What the drafter itself gives the chosen tokens, [W]; with `cut`, among its `cut` likeliest and at most 0."""
    logits = logits.float()
    likely = logits if cut is None or cut >= logits.shape[-1] else logits.topk(cut).values
    chosen = logits[top.beam, top.token.clamp_min(0)]
    return (chosen - likely.logsumexp(-1)[top.beam]).clamp_max(0.0)


def _held(logits: torch.Tensor, ended: torch.Tensor) -> torch.Tensor:
    """Logits [W, V'], changed in place, in which an ended beam has one continuation, of probability 1."""
    if ended.device.type == "cpu" and not ended.any():  # asking costs nothing there
        return logits
    logits.masked_fill_(ended[:, None], -torch.inf)[:, 0].masked_fill_(ended, 0.0)
    return logits


def _full_ids(drafter: DraftModel, token: torch.Tensor) -> torch.Tensor:
    """Draft ids [W] to ids of the base model's vocabulary; -1 stays."""
    if drafter.full_ids is None:
        return token
    return drafter.full_ids.index_select(0, token.clamp_min(0)).masked_fill(token < 0, -1)
