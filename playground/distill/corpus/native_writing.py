"""Rows written by the native engine: every row has a cache of its own, and a place of another as soon as it is full.

Forced tokens go in as chains, without logits; of its own tokens a row feeds one a forward. A row's bits do not depend
on the rows beside it and its noise hangs on the seed, its number and the place, so neither does its text. Knows the
native base model and rows; nothing of files.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from kernels.native import Rule, Segment
from kernels.native.choices import pick
from playground.base_model.native import NativeBase
from playground.distill.corpus.conversation import SAMPLED_FROM, Row
from playground.distill.corpus.writing import Desk, place_number
from playground.memory import free_bytes

_MOST_SLOTS = 64
"""More rows together gain little: products cost what they cost for each row from about 32 on."""
_FIRST_SLOTS = 16
_LONGEST_ROW = 60.0
"""Seconds from a row's beginning to its end, as far as that is a matter of how many are written together: when the time
is over, the last rows are still written to their ends, fewer and fewer together."""
_MOST_TOKENS = 128  # of a forward: keeps it short enough to be stopped after
_MEMORY_SHARE = 0.4


class _Slot:
    """A row, its cache, and how many of its tokens are in there."""

    def __init__(self, base: NativeBase, row: Row) -> None:
        self.cache = base.model.new_cache(len(row.ids))
        self.begin(row)

    def begin(self, row: Row) -> None:
        self.row, self.fed = row, 0
        row.add_forced()


class NativeWriter:
    """See `playground.distill.corpus.writing.Writer`."""

    def __init__(self, base: NativeBase, first_token: int) -> None:
        self.base, self.first_token = base, first_token
        self._slots: list[_Slot] = []
        self._step_seconds = self._row_tokens = 0.0

    @property
    def row_seconds(self) -> float:
        return self._step_seconds * self._row_tokens

    def write(self, desk: Desk, seed: int) -> None:
        self._row_tokens = desk.options.row_tokens
        self._slots, most = [], self._most_slots(desk.options.row_tokens)
        logits = np.empty((most, self.base.vocab_size), np.float32)
        while self._open_slots(desk, most):
            began = time.perf_counter()
            self._step(seed, logits)
            self._measure(time.perf_counter() - began)
            for slot in [slot for slot in self._slots if slot.row.full]:
                desk.keep(slot.row)
                if (row := desk.take()) is not None:
                    slot.begin(row)
                else:
                    self._slots.remove(slot)
            desk.tell(sum(slot.fed for slot in self._slots))

    def _open_slots(self, desk: Desk, most: int) -> bool:
        """One more slot where that keeps rows short enough, the first few at once; whether there are any."""
        count = len(self._slots)
        wanted = min(_FIRST_SLOTS, most)
        if count >= wanted and count < most and self.row_seconds * (count + 1) / count < _LONGEST_ROW:
            wanted = count + 1
        while len(self._slots) < wanted and (row := desk.take()) is not None:
            self._slots.append(_Slot(self.base, row))
        return bool(self._slots)

    def _most_slots(self, row_tokens: int) -> int:
        bytes_each = row_tokens * self.base.slot_bytes(self.base.device) + self.base.node_bytes(self.base.device)
        return max(1, min(_MOST_SLOTS, int(_MEMORY_SHARE * free_bytes(self.base.device)) // bytes_each))

    def _step(self, seed: int, logits: np.ndarray[Any, np.dtype[np.float32]]) -> None:
        """One forward over what all rows have to feed, and an own token for those that have fed it all."""
        segments, last, fed = [], {}, 0  # slots that want a token, with their last row
        for slot in sorted(self._slots, key=lambda slot: slot.row.filled - slot.fed):
            tokens = slot.row.ids[slot.fed : slot.row.filled][: _MOST_TOKENS - fed]
            if slot.row.full or not len(tokens):
                continue
            segments.append(Segment.chain(slot.cache, slot.fed, tokens.astype(np.int32)))
            slot.fed, fed = slot.fed + len(tokens), fed + len(tokens)
            if slot.fed == slot.row.filled:
                last[slot] = fed - 1
        if not segments:
            return
        hidden = self.base.model.forward(segments).hidden
        waiting = sorted(last, key=lambda slot: slot.row.temperature)
        if waiting:
            found = self.base.model.logits(hidden[[last[slot] for slot in waiting]], logits[: len(waiting)])
            for slot, own in zip(waiting, self._choose(waiting, found, seed), strict=True):
                slot.row.add(own)
                slot.row.add_forced()

    def _choose(self, waiting: list[_Slot], logits: np.ndarray[Any, np.dtype[np.float32]], seed: int) -> list[int]:
        """A token for each row of logits [rows, V]; rows of one temperature stand together."""
        temperatures = [slot.row.temperature for slot in waiting]
        chosen: list[int] = []
        for temperature in sorted(set(temperatures)):
            start, count = len(chosen), temperatures.count(temperature)
            rule = Rule(temperature, top_k=SAMPLED_FROM if temperature else 0, seed=seed & 0xFFFFFFFF)
            places = np.array([place_number(slot.row) for slot in waiting[start : start + count]])
            library = self.base.model.library.c
            picks, _ = pick(library, self.base.model.handle, rule, logits[start : start + count], places)
            chosen += picks.tolist()
        return chosen

    def _measure(self, seconds: float) -> None:
        """Running mean over about ten steps."""
        self._step_seconds += (seconds - self._step_seconds) / (10 if self._step_seconds else 1)
