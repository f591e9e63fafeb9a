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

from playground.config import COPY_TOKENS
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
        self.recent, self.continuation, self.match = _lookbacks(corpus, config)
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
        return Lookback(self.recent[roots].long(), self.continuation[roots].long(), self.match[roots].long())


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


def lookbacks(corpus: Corpus, roots: Tensor, recent: int) -> Lookback:
    """What decoding sees of the text when these tokens [B], in order, are roots; continuations are as long as tails."""
    found = []
    rows = torch.from_numpy(corpus.row[roots.numpy()].astype(np.int64))
    for row in rows.unique_consecutive().tolist():
        start, stop = int(corpus.starts[row]), int(corpus.starts[row + 1])
        text = torch.from_numpy(corpus.ids[start:stop].astype(np.int64))
        sizes = {"recent": recent, "continuation": COPY_TOKENS, "longest": LONGEST_MATCH}
        found.append(look_back(text, roots[rows == row] - start, **sizes))
    return Lookback(*(torch.cat([getattr(one, part.name) for one in found]) for part in fields(Lookback)))


def _lookbacks(corpus: Corpus, config: DrafterConfig) -> tuple[Tensor, Tensor, Tensor]:
    """Recent tokens [T, R], continuation [T, C] and match [T], int32, with every token as the root, row by row.

    The rows write into arrays made beforehand: kept row by row, their parts would hold the heap's pages between the
    search's large intermediate results, several times the memory of the whole."""
    recent = torch.empty(corpus.tokens, config.context_tokens, dtype=torch.int32)
    continuation = torch.empty(corpus.tokens, config.lookup_tokens, dtype=torch.int32)
    match = torch.empty(corpus.tokens, dtype=torch.int32)
    for start, stop in zip(corpus.starts[:-1], corpus.starts[1:], strict=True):
        row = torch.from_numpy(corpus.ids[start:stop].astype(np.int64))
        every = torch.arange(len(row))
        sizes = {"recent": config.context_tokens, "continuation": config.lookup_tokens, "longest": LONGEST_MATCH}
        found = look_back(row, every, **sizes)
        recent[start:stop], continuation[start:stop], match[start:stop] = found.recent, found.continuation, found.match
    return recent, continuation, match
