"""What trees of a node budget would have got accepted on text already written: the best-first search of decoding, over
many places at once.

A draft is accepted as far as the text's own next tokens stand in the tree, that is, as far as their candidates are
among the best. One search serves every budget. Knows a drafter and the text; nothing of corpora. It does not know
where a text may end: beams are searched past an end of sequence, which decoding does not do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from kernels import kernel_set
from playground.config import BeamShape
from playground.decode.best_first import kept
from playground.decode.copy_tail import copy_tail
from playground.drafter.cell import Drafter
from playground.drafter.lookup import Lookback


@dataclass(frozen=True)
class Places:
    """B places to draft from."""

    hidden: Tensor  # [B, H (1 + taps)]
    seen: Lookback  # its continuation as long as a copy tail may be
    roots: Tensor  # [B] int64
    truth: Tensor  # [B, D] int64, the text behind the roots


@dataclass
class _Scored:
    """Candidates so far, and which of them the text's own next tokens are."""

    scores: list[Tensor] = field(default_factory=list)  # each [B, c]
    count: int = 0
    true: list[Tensor] = field(default_factory=list)  # by depth, [B] candidates, -1 none

    def add(self, scores: Tensor) -> int:
        """Append candidates [B, c]; the number of the first."""
        self.scores.append(scores)
        self.count += scores.shape[1]
        return self.count - scores.shape[1]


def accepted_by_budget(drafter: Drafter, places: Places, shape: BeamShape, budgets: Sequence[int]) -> Tensor:
    """[budgets, B] accepted drafted tokens; `shape.nodes` is at least the largest of the budgets."""
    score, true = _searched(drafter, places, shape)
    slots = torch.arange(score.shape[1], device=score.device)
    better = []
    for candidate in true:
        own = score.gather(1, candidate.clamp_min(0)[:, None])  # [B, 1]
        before = (score > own) | ((score == own) & (slots < candidate[:, None]))
        lost = (candidate < 0) | own[:, 0].isneginf()
        better.append(before.sum(-1).masked_fill(lost, score.shape[1] + 1))
    ranks = torch.stack(better, dim=1)  # [B, D] candidates that go before
    return torch.stack([(ranks < nodes - 1).long().cumprod(-1).sum(-1) for nodes in budgets])


def _searched(drafter: Drafter, places: Places, shape: BeamShape) -> tuple[Tensor, list[Tensor]]:
    """Scores [B, C] of all candidates, and by depth those of the text's own tokens, [B] each."""
    children = kernel_set("reference", drafter.device).children
    tail = _tails(drafter, places.seen, shape)  # [B, T]
    copied = places.seen.continuation[:, : tail.shape[1]]
    state, token, found = drafter.begin(places.hidden, places.seen), places.roots, _Scored()
    count = len(places.roots)
    place = torch.arange(count, device=token.device)
    scores = torch.zeros(count, 1, device=token.device)  # [B, R] of the beams
    truth, copy = (torch.zeros_like(place) for _ in range(2))  # [B] beams that repeat the text, and the continuation
    agrees = torch.ones_like(place, dtype=torch.bool)  # the text goes on like the continuation so far
    for level in range(min(shape.length, places.truth.shape[1])):
        state, logits = drafter.advance(state, token.clamp_min(0))
        keep, beams = kept(shape, level), scores.shape[1]
        best = children(logits, scores.flatten(), keep=keep, cut=drafter.cut)
        tokens = drafter.full_tokens(state, best.token).view(count, beams * keep)
        own = best.score.view(count, beams * keep)
        follows = _child_of(tokens, truth, places.truth[:, level], keep)  # [B]
        raised, repeats = own, torch.full_like(place, -1)
        if level < tail.shape[1]:
            repeats = _child_of(tokens, copy, copied[:, level], keep)
            raised = _raise(own, repeats, tail[:, level])
        first = found.add(raised)
        true = torch.where(follows >= 0, follows + first, -1)
        if level < tail.shape[1]:
            chain = found.add(tail[:, level : level + 1].masked_fill(repeats[:, None] >= 0, -torch.inf))
            agrees = agrees & (copied[:, level] == places.truth[:, level])
            true = torch.where((true < 0) & agrees, chain, true)
        found.true.append(true)
        scores, chosen = own.sort(dim=-1, descending=True, stable=True)
        scores, chosen = scores[:, : shape.width], chosen[:, : shape.width]
        token = tokens.gather(1, chosen).flatten()
        truth, copy = _place_of(chosen, follows), _place_of(chosen, repeats)
        state = state.select((place[:, None] * beams + chosen // keep).flatten())
    for level in range(shape.length, min(tail.shape[1], places.truth.shape[1])):
        agrees = agrees & (copied[:, level] == places.truth[:, level])
        found.true.append(torch.where(agrees, found.add(tail[:, level : level + 1]), -1))
    return torch.cat(found.scores, dim=1), found.true


def _tails(drafter: Drafter, seen: Lookback, shape: BeamShape) -> Tensor:
    """[B, T] scores of the copy tails."""
    chances = torch.tensor(drafter.copy_chances, device=seen.match.device)
    nowhere = torch.empty(0, dtype=torch.int64, device=seen.match.device)
    ahead = seen.continuation[:, : shape.copy_tokens]
    rows = [copy_tail(row, match, chances, nowhere).score for row, match in zip(ahead, seen.match, strict=True)]
    return torch.stack(rows)


def _child_of(tokens: Tensor, beam: Tensor, wanted: Tensor, keep: int) -> Tensor:
    """[B] the child of `beam` [B] (-1 none) that is `wanted` [B], among `tokens` [B, R K]; -1 where there is none."""
    children = torch.arange(keep, device=tokens.device) + beam.clamp_min(0)[:, None] * keep  # [B, K]
    same = (tokens.gather(1, children) == wanted[:, None]) & (beam >= 0)[:, None] & (wanted >= 0)[:, None]
    first = same.to(torch.uint8).argmax(-1)
    return torch.where(same.any(-1), beam.clamp_min(0) * keep + first, -1)


def _raise(scores: Tensor, candidate: Tensor, least: Tensor) -> Tensor:
    """Scores [B, c], those of `candidate` [B] (-1 none) at least `least` [B]."""
    at = candidate.clamp_min(0)[:, None]
    better = torch.maximum(scores.gather(1, at)[:, 0], least)
    return scores.scatter(1, at, torch.where(candidate >= 0, better, scores.gather(1, at)[:, 0])[:, None])


def _place_of(chosen: Tensor, candidate: Tensor) -> Tensor:
    """[B] where `candidate` [B] stands among `chosen` [B, W]; -1 where it does not."""
    same = (chosen == candidate[:, None]) & (candidate >= 0)[:, None]
    return torch.where(same.any(-1), same.to(torch.uint8).argmax(-1), -1)
