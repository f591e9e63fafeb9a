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
    """What drafting needs of a drafter; `playground.models.drafter.Drafter` is one."""

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
    tokens = history.new_full((width, 0), -1)  # [W, k]
    log_probabilities = torch.zeros(width, 0, device=history.device)  # [W, k] float32
    scores = torch.full((width,), -torch.inf, device=history.device)  # [W] float32
    scores[0] = 0.0
    if length == 0:
        return Beams(tokens, log_probabilities, scores)
    state = drafter.start(hidden, history, root_position)
    state, logits = drafter.advance(state, history.index_select(0, root_position.reshape(1)))  # [1, V']
    logits = logits.expand(width, -1)
    ended = torch.zeros_like(scores, dtype=torch.bool)  # [W]
    for level in range(length):
        if level > 0:
            state, logits = drafter.advance(state, tokens[:, -1].clamp_min(0))  # [W, V']
            logits = _held(logits, ended)
        top = kernels.beam_topk(logits, scores, cut=drafter.cut)
        scores, beam = top.score, top.beam
        state, tokens, log_probabilities = state.select(beam), tokens[beam], log_probabilities[beam]
        added = torch.where(ended[beam], -1, _full_ids(drafter, top.token))
        ended = ended[beam] | (added[:, None] == eos).any(-1)
        tokens = torch.cat((tokens, added[:, None]), dim=1)
        log_probabilities = torch.cat((log_probabilities, top.log_probability[:, None]), dim=1)
    nothing = scores.isneginf()[:, None]
    return Beams(tokens.masked_fill(nothing, -1), log_probabilities.masked_fill(nothing, 0.0), scores)


def _held(logits: torch.Tensor, ended: torch.Tensor) -> torch.Tensor:
    """Logits [W, V'] in which an ended beam has one continuation, of probability 1."""
    held = logits.masked_fill(ended[:, None], -torch.inf)
    held[:, 0] = torch.where(ended, 0.0, logits[:, 0])
    return held


def _full_ids(drafter: DraftModel, token: torch.Tensor) -> torch.Tensor:
    """Draft ids [W] to ids of the base model's vocabulary; -1 stays."""
    if drafter.full_ids is None:
        return token
    return torch.where(token >= 0, drafter.full_ids[token.clamp_min(0)], -1)
