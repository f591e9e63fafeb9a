"""The first stage: beam search with the recurrent drafter.

Knows the drafter's cell, the beams and the noise of coming picks; nothing of the base model's verdict.
Fixed shapes and no host synchronisation, so that the stage can be captured as it stands.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Protocol

import torch

from kernels.types import BeamTop
from playground.decode.records import Beams, Place, Rules
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
    place: Place,
    rules: Rules,
    *,
    width: int,
    length: int,
    limit: torch.Tensor | None = None,
) -> Beams:
    """Search `width` beams of `length` tokens after the root (arXiv 2403.09919, section 3.2).

    All beams start as one. A beam that has drafted end-of-sequence takes no more tokens and keeps its score. Equal
    scores go to the lower beam, then the lower token id. Where the base model will pick with noise, the search runs on
    the drafter's logits with the same noise added, since the best token then is the likeliest pick: scores contain the
    noise, log-probabilities do not. Picks do not depend on the draft, so neither does the text.

    Args:
        limit: [] int64, tokens wanted of each beam where only the device knows; the beams are those of a search of
            that length, behind which there is nothing. At most 0 leaves them empty.
    """
    start = torch.full((width,), -torch.inf, device=place.history.device)  # [W] float32
    start[0] = 0.0
    if length == 0:
        return Beams(place.history.new_empty(width, 0), start.new_empty(width, 0), start)
    state = drafter.start(place.hidden, place.history, place.root_position)
    state, logits = drafter.advance(state, place.history.index_select(0, place.root_position.reshape(1)))  # [1, V']
    widen = _Widening(drafter, rules, place.root_position, length, logits.shape[-1])
    ended = torch.zeros_like(start, dtype=torch.bool)  # [W]
    top = widen(0, logits.expand(width, -1), start, ended)
    added = _full_ids(drafter, top.token)  # [W]
    ended = (added[:, None] == rules.eos).any(-1)  # [W]
    tokens, log_probabilities = added[:, None], top.log_probability[:, None]  # [W, k]
    for level in range(1, length):
        state, logits = drafter.advance(state.select(top.beam), added.clamp_min(0))  # [W, V']
        ended = ended if limit is None else ended | (limit <= level)
        top = widen(level, logits, top.score, ended)
        ended = ended.index_select(0, top.beam)
        added = _full_ids(drafter, top.token).masked_fill(ended, -1)
        ended = ended | (added[:, None] == rules.eos).any(-1)
        tokens = torch.cat((tokens.index_select(0, top.beam), added[:, None]), dim=1)
        chosen = log_probabilities.index_select(0, top.beam)
        log_probabilities = torch.cat((chosen, top.log_probability[:, None]), dim=1)
    scores, nothing = top.score, top.score.isneginf()
    if limit is not None:
        scores, nothing = torch.where(limit < 1, start, scores), nothing | (limit < 1)
    return Beams(tokens.masked_fill(nothing[:, None], -1), log_probabilities.masked_fill(nothing[:, None], 0.0), scores)


class _Widening:
    """One level of the search after another: greedy by log-probability, sampled by what the pick will compare."""

    def __init__(
        self, drafter: DraftModel, rules: Rules, root_position: torch.Tensor, length: int, vocabulary: int
    ) -> None:
        self._rule, self._cut, self._kernels = rules.pick, drafter.cut, rules.kernels
        if not self._rule.greedy:
            ids = drafter.full_ids
            entries = torch.arange(vocabulary, device=root_position.device) if ids is None else ids
            levels = torch.arange(1, length + 1, device=root_position.device)
            self._noise = noise_ahead(self._rule, root_position + levels, entries)  # [L, V']

    def __call__(self, level: int, logits: torch.Tensor, scores: torch.Tensor, ended: torch.Tensor) -> BeamTop:
        """The best continuations of beams with `logits` [W, V'] and `scores` [W]; `ended` [W] ones stay as they are."""
        greedy = self._rule.greedy
        compared = logits if greedy else expected_scores(logits, self._rule, self._noise[level])
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
