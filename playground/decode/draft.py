"""The first stage: beam search with the recurrent drafter.

Knows the drafter's cell and the beams; nothing of the base model's verdict. Fixed shapes and no host
synchronisation, so that the stage can be captured as it stands.
"""

from __future__ import annotations

from typing import Any, Protocol

import torch

from kernels import KernelSet
from playground.decode.records import Beams


class DraftModel(Protocol):
    """What drafting needs of a drafter; `playground.models.drafter.Drafter` is one.

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
    eos: torch.Tensor,
    kernels: KernelSet,
) -> Beams:
    """Search `width` beams of `length` tokens after the root (arXiv 2403.09919, section 3.2).

    All beams start as one. A beam that has drafted end-of-sequence takes no more tokens and keeps its score. Equal
    scores go to the lower beam, then the lower token id.

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
    top = kernels.beam_topk(logits.expand(width, -1), scores, cut=drafter.cut)
    added = _full_ids(drafter, top.token)  # [W]
    ended = (added[:, None] == eos).any(-1)  # [W]
    tokens, log_probabilities = added[:, None], top.log_probability[:, None]  # [W, k]
    for _ in range(1, length):
        state, logits = drafter.advance(state.select(top.beam), added.clamp_min(0))  # [W, V']
        top = kernels.beam_topk(_held(logits, ended), top.score, cut=drafter.cut)
        ended = ended.index_select(0, top.beam)
        added = _full_ids(drafter, top.token).masked_fill(ended, -1)
        ended = ended | (added[:, None] == eos).any(-1)
        tokens = torch.cat((tokens.index_select(0, top.beam), added[:, None]), dim=1)
        chosen = log_probabilities.index_select(0, top.beam)
        log_probabilities = torch.cat((chosen, top.log_probability[:, None]), dim=1)
    scores = top.score
    nothing = scores.isneginf()[:, None]
    return Beams(tokens.masked_fill(nothing, -1), log_probabilities.masked_fill(nothing, 0.0), scores)


def _held(logits: torch.Tensor, ended: torch.Tensor) -> torch.Tensor:
    """Logits [W, V'], changed in place, in which an ended beam has one continuation, of probability 1."""
    logits.masked_fill_(ended[:, None], -torch.inf)[:, 0].masked_fill_(ended, 0.0)
    return logits


def _full_ids(drafter: DraftModel, token: torch.Tensor) -> torch.Tensor:
    """Draft ids [W] to ids of the base model's vocabulary; -1 stays."""
    if drafter.full_ids is None:
        return token
    return drafter.full_ids.index_select(0, token.clamp_min(0)).masked_fill(token < 0, -1)
