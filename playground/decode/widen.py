"""One level of a draft's search: the best children of each beam, whichever search it is.

Greedy by log-probability. Where the base model will pick with noise, by what the pick will compare: the drafter's
logits with the same noise added, since the best token then is the likeliest pick. Scores contain the noise,
log-probabilities do not; picks do not depend on the draft, so neither does the text. Knows a drafter and the rules;
nothing of which beams go on.
"""

from __future__ import annotations

from typing import Any, Protocol

import torch

from kernels.types import Children
from playground.decode.records import Rules
from playground.drafter.lookup import Lookback
from playground.sampling import expected_scores, noise_ahead


class DraftModel(Protocol):
    """What drafting needs of a drafter; `playground.drafter.cell.Drafter` is one.

    The logits that `advance` gives are the caller's to change. Draft ids are their columns.
    """

    @property
    def cut(self) -> int | None: ...
    @property
    def copy_chances(self) -> tuple[float, ...]: ...
    @property
    def calibration(self) -> tuple[float, ...]: ...
    def start(self, hidden: torch.Tensor, tokens: torch.Tensor, root_position: torch.Tensor) -> Any: ...
    def advance(self, state: Any, tokens: torch.Tensor) -> tuple[Any, torch.Tensor]: ...
    def full_tokens(self, state: Any, drafted: torch.Tensor) -> torch.Tensor: ...
    def copied(self, state: Any) -> Lookback: ...


class Widening:
    """Widens one level after another of a search that begins after `root_position` []."""

    def __init__(self, drafter: DraftModel, rules: Rules, root_position: torch.Tensor) -> None:
        self._drafter, self._rules, self._root = drafter, rules, root_position

    def __call__(
        self,
        level: int,
        state: Any,
        logits: torch.Tensor,
        scores: torch.Tensor,
        keep: int,
        held: torch.Tensor | None = None,
    ) -> Children:
        """The `keep` best children of beams with `logits` [B, V'] of `state` and `scores` [B], full ids in them.

        Args:
            level: 0 under the root.
            held: [B] bool, beams that have one continuation, of probability 1: draft id 0, which stands for nothing.
        """
        drafter, rule = self._drafter, self._rules.pick
        compared = logits
        if not rule.greedy:
            columns = torch.arange(logits.shape[1], device=logits.device)[None]
            entries = drafter.full_tokens(state, columns)[0]  # [V']
            noise = noise_ahead(rule, self._root + level + 1, entries)
            compared = expected_scores(logits, rule, noise)
        if held is not None:
            compared = _held(compared, held)
        found = self._rules.kernels.children(compared, scores, keep=keep, cut=drafter.cut)
        own = found.log_probability
        if not rule.greedy:
            own = _log_probability(logits, found.token, drafter.cut).masked_fill(found.token < 0, 0.0)
            own = own if held is None else own.masked_fill(held[:, None], 0.0)
        return Children(drafter.full_tokens(state, found.token), found.score, own)


def _log_probability(logits: torch.Tensor, token: torch.Tensor, cut: int | None) -> torch.Tensor:
    """What the drafter itself gives `token` [B, K]; with `cut`, among its `cut` likeliest and at most 0."""
    logits = logits.float()
    likely = logits if cut is None or cut >= logits.shape[-1] else logits.topk(cut).values
    return (logits.gather(1, token.clamp_min(0)) - likely.logsumexp(-1, keepdim=True)).clamp_max(0.0)


def _held(logits: torch.Tensor, held: torch.Tensor) -> torch.Tensor:
    """Logits [B, V'], changed in place, in which a held beam has one continuation, of probability 1."""
    if held.device.type == "cpu" and not held.any():  # asking costs nothing there
        return logits
    logits.masked_fill_(held[:, None], -torch.inf)[:, 0].masked_fill_(held, 0.0)
    return logits
