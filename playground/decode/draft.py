"""The first stage, the paper's way: beam search with the recurrent drafter, of which W beams survive.

Knows the drafter's cell and the beams; nothing of the base model's verdict. Fixed shapes and no host synchronisation,
so that the stage can be captured as it stands.
"""

from __future__ import annotations

import torch

from playground.decode.records import Beams, Place, Rules
from playground.decode.widen import DraftModel, Widening


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
    scores go to the lower beam, then the better token, then the lower token id.

    Args:
        limit: [] int64, tokens wanted of each beam where only the device knows; the beams are those of a search of
            that length, behind which there is nothing. At most 0 leaves them empty.
    """
    if length == 0:
        return no_beams(place, width)
    widen = Widening(drafter, rules, place.root_position)
    state = drafter.start(place.hidden, place.history, place.root_position)
    added = place.history.index_select(0, place.root_position.reshape(1))  # [1], the root
    scores = torch.zeros(1, device=added.device)  # [B], one beam before the first level, then W
    tokens = torch.empty(1, 0, dtype=torch.int64, device=added.device)  # [B, k]
    log_probabilities = torch.empty(1, 0, device=added.device)
    ended = torch.zeros(1, dtype=torch.bool, device=added.device)
    for level in range(length):
        state, logits = drafter.advance(state, added.clamp_min(0))  # [B, V']
        if level and limit is not None:
            ended = ended | (limit <= level)
        found = widen(level, state, logits, scores, width, ended if level else None)  # [B, W]
        entry = rules.kernels.best(found.score.flatten(), width)  # [W]
        invalid, at = entry < 0, entry.clamp_min(0)
        beam = at // width
        ended = ended.index_select(0, beam)
        scores = found.score.flatten().index_select(0, at).masked_fill(invalid, -torch.inf)
        added = found.token.flatten().index_select(0, at).masked_fill(invalid | ended, -1)
        own = found.log_probability.flatten().index_select(0, at).masked_fill(invalid, 0.0)
        tokens = torch.cat((tokens.index_select(0, beam), added[:, None]), dim=1)
        log_probabilities = torch.cat((log_probabilities.index_select(0, beam), own[:, None]), dim=1)
        ended = ended | (added[:, None] == rules.eos).any(-1)
        if level + 1 < length:
            state = state.select(beam)
    nothing = scores.isneginf()
    if limit is not None:
        scores, nothing = torch.where(limit < 1, no_beams(place, width).scores, scores), nothing | (limit < 1)
    return Beams(tokens.masked_fill(nothing[:, None], -1), log_probabilities.masked_fill(nothing[:, None], 0.0), scores)


def no_beams(place: Place, width: int) -> Beams:
    """What a search of no length finds: one beam of nothing."""
    scores = torch.full((width,), -torch.inf, device=place.history.device)
    scores[0] = 0.0
    return Beams(place.history.new_empty(width, 0), scores.new_empty(width, 0), scores)
