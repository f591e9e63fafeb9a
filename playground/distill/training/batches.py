"""Batches of training places: where a draft could start, and what the base model said along the next K tokens.

A place p is the last committed token; p + 1 is the root. Step k of the unrolled drafter is fed token
p + k and should predict like the base model at p + k. Batches depend only on (seed, step), so a resumed
run sees what an unbroken one would. Knows neither the drafter's weights nor the loss.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, fields

import numpy as np
import torch
from torch import Tensor

from playground.distill.corpus.corpus import Corpus
from playground.distill.teacher.states import TeacherStates
from playground.distill.training.loss import Teacher
from playground.drafter.config import DrafterConfig
from playground.drafter.lookup import LONGEST_MATCH, Lookback, look_back

LOOP_SHARE = 0.3
"""Share of the places inside loops that are kept: loops are easy, and half of a small model's greedy text."""


@dataclass(frozen=True)
class Batch:
    """B places, K unrolled steps."""

    hidden: Tensor  # [B, H (1 + taps)] bfloat16 at p
    seen: Lookback
    tokens: Tensor  # [B, K] int64, the root first
    targets: Tensor  # [B, K] int64, indices of the teacher's tokens, p + 1 .. p + K
    labels: Tensor  # [B, K] int64, the tokens behind them
    taught: Tensor  # [B, K] bool, the token behind the target is the assistant's

    def to(self, device: torch.device) -> Batch:
        """This batch on a device; `targets` index the states and stay on the host."""
        seen = self.seen.to(device)
        moved = (part.to(device) for part in (self.tokens, self.labels, self.taught))
        tokens, labels, taught = moved
        return Batch(self.hidden.to(device), seen, tokens, self.targets, labels, taught)


class BatchSource:
    """Draws batches from a corpus and its teacher's states."""

    def __init__(
        self, corpus: Corpus, states: TeacherStates, config: DrafterConfig, *, unroll: int, size: int, seed: int
    ) -> None:
        self.states, self.config, self.unroll, self.size, self.seed = states, config, unroll, size, seed
        self._ids = torch.from_numpy(corpus.ids.astype(np.int64))
        self._taught = torch.from_numpy(corpus.assistant)
        self._seen = lookbacks(
            corpus,
            torch.arange(corpus.tokens),
            recent=config.context_tokens,
            continuation=config.lookup_tokens,
            dtype=torch.int32,
        )
        looped = corpus.looped()
        places = startable(corpus, unroll) & ~corpus.held_out
        kept = np.random.default_rng(seed).random(corpus.tokens) < LOOP_SHARE
        first_target = np.roll(looped, -2)  # the token behind the root decides whether the place is in a loop
        self.places = torch.from_numpy(np.nonzero(places & (kept | ~first_target))[0])
        self.steps_per_epoch = len(self.places) // size
        self._epoch, self._order = -1, torch.empty(0, dtype=torch.int64)

    def resized(self, size: int) -> BatchSource:
        """The same places in batches of another size."""
        other = copy.copy(self)
        other.size, other.steps_per_epoch, other._epoch = size, len(self.places) // size, -1
        return other

    def batch(self, step: int) -> Batch:
        """Batch number `step`, the same whenever asked."""
        epoch, slot = divmod(step, self.steps_per_epoch)
        if epoch != self._epoch:
            generator = torch.Generator().manual_seed(self.seed * 1_000_003 + epoch)
            self._order, self._epoch = torch.randperm(len(self.places), generator=generator), epoch
        return self.at(self.places[self._order[slot * self.size : (slot + 1) * self.size]])

    def at(self, places: Tensor) -> Batch:
        """The batch of these places [B], sorted for the disk's sake."""
        places = places.sort().values
        ahead = places[:, None] + torch.arange(1, self.unroll + 1)  # [B, K]
        seen = self.look_back(places + 1)
        return Batch(
            hidden=self.states.hidden_states(places),
            seen=seen,
            tokens=self._ids[ahead],
            targets=ahead,
            labels=self._ids[ahead + 1],
            taught=self._taught[ahead + 1],
        )

    def tokens(self, index: Tensor) -> Tensor:
        """The corpus's tokens at `index`, any shape."""
        return self._ids[index]

    def look_back(self, roots: Tensor) -> Lookback:
        """What the drafter sees of the text when these tokens [B] are roots."""
        return Lookback(*(getattr(self._seen, part.name)[roots].long() for part in fields(Lookback)))


def startable(corpus: Corpus, unroll: int) -> np.ndarray:
    """[T] bool: places whose root is the assistant's and whose K + 1 following tokens stand in the same row."""
    places = np.zeros(corpus.tokens, bool)
    last = corpus.tokens - unroll - 1
    same_row = corpus.row[:last] == corpus.row[unroll + 1 :]
    places[:last] = same_row & corpus.assistant[1 : last + 1] & corpus.assistant[2 : last + 2]
    return places


def teacher_rows(states: TeacherStates, index: Tensor, draft_of: Tensor, beyond: Tensor | None = None) -> Teacher:
    """The base's best next tokens at `index` [R] as draft ids, renormalised over the draft vocabulary.

    Args:
        draft_of: [V] int64, draft id of each full id, -1 for none.
        beyond: [R] int64 full id of a token without a draft id that may be drafted all the same, as V'; -1 none.
    """
    ids, log_probabilities = states.best_next(index)
    draft = draft_of[ids]
    if beyond is not None:
        draft = torch.where(ids == beyond.to(ids.device)[:, None], int(draft_of.max()) + 1, draft)
    p = log_probabilities.exp() * (draft >= 0)
    return Teacher(draft.clamp(min=0), p / p.sum(-1, keepdim=True).clamp(min=1e-9))


def lookbacks(
    corpus: Corpus, roots: Tensor, *, recent: int, continuation: int, dtype: torch.dtype = torch.int64
) -> Lookback:
    """What decoding sees of the text when these tokens [B], in order, are roots.

    The rows write into arrays made beforehand: kept row by row, their parts would hold the heap's pages between the
    search's large intermediate results, several times the memory of the whole."""
    many = len(roots)
    parts = (torch.empty(many, recent, dtype=dtype), torch.empty(many, continuation, dtype=dtype))
    found, at = Lookback(*parts, torch.empty(many, dtype=dtype)), 0
    rows, counts = torch.from_numpy(corpus.row)[roots].unique_consecutive(return_counts=True)
    for row, count in zip(rows.tolist(), counts.tolist(), strict=True):
        start, stop = int(corpus.starts[row]), int(corpus.starts[row + 1])
        text = torch.from_numpy(corpus.ids[start:stop].astype(np.int64))
        sizes = {"recent": recent, "continuation": continuation, "longest": LONGEST_MATCH}
        seen = look_back(text, roots[at : at + count] - start, **sizes)
        for part in fields(Lookback):
            getattr(found, part.name)[at : at + count] = getattr(seen, part.name)
        at += count
    return found
