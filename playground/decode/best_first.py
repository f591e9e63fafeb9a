"""The first stage under a node budget: a search that keeps every token it scored, for the best of them to be sent.

Level by level with fixed shapes and no host synchronisation, so that it can be captured as it stands: a priority queue
would choose the same nodes while the beams are wide enough. Knows the drafter's cell and the copy tail; nothing of
budgets chosen and of the base model's verdict.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import torch

from kernels.types import Candidates, Children
from playground.config import BeamShape
from playground.decode.copy_tail import CopyTail, copy_tail
from playground.decode.draft import no_beams
from playground.decode.records import Beams, Origin, Place, Rules, Search
from playground.decode.widen import DraftModel, Widening

KEPT = 16  # children of a beam that are candidates, at most, and at least as many as there are beams
KEPT_OF_ROOT = 64  # of the first level's one beam


def search(
    drafter: DraftModel,
    place: Place,
    rules: Rules,
    shape: BeamShape,
    chances: torch.Tensor,
    *,
    wanted: int,
    limit: torch.Tensor | None = None,
) -> Search:
    """Score candidates after the root, level by level, and the copy tail.

    A level expands the W best candidates of the level above; one that drafted end-of-sequence is not expanded. Each
    keeps its best children. Equal scores go to the lower level, then the lower beam, then the better token.

    Args:
        chances: [J] of copied tokens, by the number of tokens that agree.
        wanted: at least 1; no candidate lies deeper.
        limit: [] int64, the same where only the device knows; what lies behind is invalid.
    """
    state = drafter.start(place.hidden, place.history, place.root_position)
    widen = Widening(drafter, rules, place.root_position)
    seen = drafter.copied(state)
    ahead = seen.continuation[0, : min(wanted, shape.copy_tokens)]
    found = _Found(seen.continuation[0], copy_tail(ahead, seen.match[0], chances, rules.eos, limit))
    survivors = _Survivors(place, shape.width)
    token = place.history.index_select(0, place.root_position.reshape(1))  # [1], the root
    beams = torch.full_like(token, -1)  # [B] candidates that the beams are: at the first level the root
    scores = torch.zeros(1, device=token.device)  # [B]
    levels = min(wanted, shape.length)
    for level in range(levels):
        state, logits = drafter.advance(state, token.clamp_min(0))
        if limit is not None:
            scores = scores.masked_fill(limit <= level, -torch.inf)
        keep = kept(shape, level)
        children = widen(level, state, logits, scores, keep)  # [B, K]
        first = found.add(children, beams)
        entry = rules.kernels.best(children.score.flatten(), shape.width)  # [W]
        invalid, at = entry < 0, entry.clamp_min(0)
        token = children.token.flatten().index_select(0, at)
        scores = children.score.flatten().index_select(0, at).masked_fill(invalid, -torch.inf)
        beams = (at + first).masked_fill(invalid, -1)
        survivors.step(beams, at // keep, scores, None if limit is None else limit > level)
        scores = scores.masked_fill((token[:, None] == rules.eos).any(-1), -torch.inf)
        if level + 1 < levels:
            state = state.select(at // keep)
    return found.search(survivors)


def kept(shape: BeamShape, level: int) -> int:
    """K, children that a beam of a level keeps: no more than can be sent."""
    most = shape.max_nodes - 1
    return min(most, KEPT_OF_ROOT) if level == 0 else max(shape.width, min(most, KEPT))


@dataclass(frozen=True)
class _Block:
    """Candidates that stand together, as `Search` names their parts."""

    token: torch.Tensor
    parent: torch.Tensor
    depth: torch.Tensor
    score: torch.Tensor
    log_probability: torch.Tensor
    copied: torch.Tensor
    origin: torch.Tensor


class _Found:
    """Candidates as they are scored: of each level the beams' children, then the copy tail's of the same depth.

    A child that repeats the looked-up continuation so far is one with the tail's candidate, which then is invalid.
    """

    def __init__(self, continuation: torch.Tensor, tail: CopyTail) -> None:
        self._continuation, self._tail = continuation, tail
        self._blocks: list[_Block] = []
        self._count = self._depth = 0
        self._followed = torch.full_like(continuation[:1], -1)  # [1] what repeats the continuation so far, -1 the root

    def add(self, children: Children, beams: torch.Tensor) -> int:
        """A level of children [B, K] of candidates `beams` [B]; the number of the first."""
        depth, first = self._depth, self._count
        token, score = children.token.flatten(), children.score.flatten()  # [B K]
        parent = beams.repeat_interleave(children.token.shape[1])
        copied = torch.zeros_like(token, dtype=torch.bool)
        if depth < len(self._continuation):
            copied = (token >= 0) & (token == self._continuation[depth]) & (parent == self._followed)
        drafted, at = copied.any(), copied.to(torch.uint8).argmax()
        if depth < len(self._tail.token):
            score = torch.where(copied, torch.maximum(score, self._tail.score[depth]), score)
        own = children.log_probability.flatten()
        self._append(token, parent, score, own, copied * (depth + 1), Origin.BEAM, torch.full_like(token, depth + 1))
        self._depth += 1
        otherwise = -2  # nobody's parent
        if depth < len(self._tail.token):
            otherwise = self._count
            self._add_tail(depth, depth + 1, drafted)
        self._followed = torch.where(drafted, at + first, torch.full_like(self._followed, otherwise))
        return first

    def search(self, survivors: _Survivors) -> Search:
        """Everything, with what is left of the tail below the last level."""
        if self._depth < len(self._tail.token):
            self._add_tail(self._depth, len(self._tail.token), None)
        parts = ([getattr(block, part.name) for block in self._blocks] for part in fields(_Block))
        whole = _Block(*map(torch.cat, parts))
        return Search(
            candidates=Candidates(whole.token, whole.parent, whole.depth),
            score=whole.score,
            log_probability=whole.log_probability,
            copied=whole.copied,
            origin=whole.origin,
            beams=survivors.beams(whole.token, whole.log_probability),
            entries=survivors.entries,
        )

    def _add_tail(self, start: int, stop: int, drafted: torch.Tensor | None) -> None:
        """The tail's candidates of depths start + 1 .. stop; invalid where a child stands for them."""
        tail, part = self._tail, slice(start, stop)
        depth = torch.arange(start + 1, stop + 1, device=tail.token.device)
        parent = torch.cat((self._followed, self._count + depth[1:] - depth[0] - 1))
        score = tail.score[part] if drafted is None else tail.score[part].masked_fill(drafted, -torch.inf)
        self._append(tail.token[part], parent, score, tail.log_probability[part], depth, Origin.COPY, depth)

    def _append(
        self,
        token: torch.Tensor,
        parent: torch.Tensor,
        score: torch.Tensor,
        log_probability: torch.Tensor,
        copied: torch.Tensor,
        origin: Origin,
        depth: torch.Tensor,
    ) -> None:
        origins = torch.full_like(token, origin)
        self._blocks.append(_Block(token, parent, depth, score, log_probability, copied, origins))
        self._count += len(token)


class _Survivors:
    """The W best of each level with the candidates they came by: the record of the search, as beam search keeps it."""

    def __init__(self, place: Place, width: int) -> None:
        self._scores = no_beams(place, width).scores
        self.entries = place.history.new_empty(width, 0)  # [W, k] candidates

    def step(self, beams: torch.Tensor, above: torch.Tensor, scores: torch.Tensor, active: torch.Tensor | None) -> None:
        """The next level: candidates `beams` [W] under the beams `above` [W]; an inactive level changes nothing."""
        came_by = self.entries.index_select(0, above)
        if active is None:
            self._scores, self.entries = scores, torch.cat((came_by, beams[:, None]), dim=1)
        else:
            last = beams.masked_fill(~active, -1)
            self._scores = torch.where(active, scores, self._scores)
            self.entries = torch.cat((torch.where(active, came_by, self.entries), last[:, None]), dim=1)
        self.entries = self.entries.masked_fill((self._scores.isneginf())[:, None], -1)

    def beams(self, token: torch.Tensor, log_probability: torch.Tensor) -> Beams:
        """The survivors as beams: tokens [W, L] by candidates' `token` [C]."""
        none, at = self.entries < 0, self.entries.clamp_min(0)
        return Beams(token[at].masked_fill(none, -1), log_probability[at].masked_fill(none, 0.0), self._scores)
