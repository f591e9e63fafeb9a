"""Rows written by the transformers model itself: a batch of rows, position by position.

All rows stand at the same position, so the batch needs no padding and no mask, and every row stays busy. How many are
written together follows from the memory that is free, and from how long a step over so many takes here. Knows a model
that continues tokens and rows; nothing of files.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from kernels.pick.noise import noise_of_entries
from playground.base_model.placement import device_of
from playground.config import PlaygroundError
from playground.distill.corpus.conversation import SAMPLED_FROM, Row
from playground.distill.corpus.rows_cache import rows_cache
from playground.distill.corpus.writing import Desk, place_number
from playground.memory import free_bytes, is_out_of_memory

_MOST_ROWS = {"cpu": 64}
"""Rows together where it is not 1,024: a CPU's step over more is no cheaper for each."""
_LONGEST_BATCH = 60.0
"""Seconds, so that the first file is there soon and the end of the time is met."""
_MEMORY_SHARE = 0.6
_LATER_STEPS = 1.2  # times a first step: attention reads more and more
_MEASURED_STEPS = 2


class EagerWriter:
    """See `playground.distill.corpus.writing.Writer`."""

    def __init__(
        self,
        model: Any,
        first_token: int,
        row_bytes: Callable[[int], int],
        *,
        together: int | None = None,
        say: Callable[[str], None] = lambda line: None,
    ) -> None:
        """
        Args:
            row_bytes: memory that a row of so many tokens takes while it is written.
            together: rows of a batch; None: as many as fit and are done within a minute.
            say: a line for the person who waits.
        """
        self.model, self.first_token, self.say = model, first_token, say
        self._row_bytes, self._together = row_bytes, together
        self._device = device_of(model.get_input_embeddings())
        self._batch_seconds = 0.0

    @property
    def row_seconds(self) -> float:
        return self._batch_seconds

    def write(self, desk: Desk, seed: int) -> None:
        options = desk.options
        together = self._together or self.rows_that_fit(options.row_tokens, options.shard_rows, lambda: desk.tell(0))
        while rows := [row for _ in range(together) if (row := desk.take()) is not None]:
            for alike in _by_place(rows):
                began = time.perf_counter()
                try:
                    self._batch(alike, desk, seed)
                except Exception as error:
                    if not is_out_of_memory(error):
                        raise
                    together = self._fewer(len(alike), error)
                    for row in reversed(alike):
                        desk.give_back(row)
                    continue
                self._batch_seconds = time.perf_counter() - began
                for row in alike:
                    desk.keep(row)

    def rows_that_fit(self, row_tokens: int, first: int, tick: Callable[[], None] = lambda: None) -> int:
        """Rows to write together: doubled from `first` on while memory and a measured step allow it.

        Args:
            tick: called after every step that is measured; may raise.
        """
        room = int(_MEMORY_SHARE * free_bytes(self._device)) // max(1, self._row_bytes(row_tokens))
        most = max(1, min(_MOST_ROWS.get(self._device.type, 1024), room))
        rows = min(first, most)
        seconds = self._step_seconds(rows, row_tokens, tick)
        while 2 * rows <= most and 2 * seconds * row_tokens <= _LONGEST_BATCH:
            slower = self._step_seconds(2 * rows, row_tokens, tick)
            if slower > 1.9 * seconds:  # nothing gained
                break
            rows, seconds = 2 * rows, slower
        self._batch_seconds = seconds * row_tokens
        return rows

    @torch.inference_mode()
    def _step_seconds(self, rows: int, row_tokens: int, tick: Callable[[], None]) -> float:
        """Of a step of a batch, about; infinite where it has no memory."""
        try:
            cache = rows_cache(self.model.config, row_tokens)
            fed = torch.zeros(rows, 1, dtype=torch.int64, device=self._device)
            self._logits(fed, 0, cache)[:, 0].sum().item()  # waits for the device
            tick()
            began = time.perf_counter()
            for place in range(1, 1 + _MEASURED_STEPS):
                self._logits(fed, place, cache)[:, 0].sum().item()
                tick()
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            return float("inf")
        return (time.perf_counter() - began) / _MEASURED_STEPS * _LATER_STEPS

    def _logits(self, fed: Tensor, place: int, cache: Any) -> Tensor:
        """[rows, V] after the tokens [rows, n] that begin at a place."""
        position = torch.arange(place, place + fed.shape[1], device=self._device)[None]
        found: Tensor = self.model(input_ids=fed, position_ids=position, past_key_values=cache, use_cache=True).logits
        return found[:, -1]

    @torch.inference_mode()
    def _batch(self, rows: list[Row], desk: Desk, seed: int) -> None:
        """Fill these rows, which stand at one place; what they have so far is read in one go."""
        tokens, fed_to = desk.options.row_tokens, 0
        cache, own = rows_cache(self.model.config, tokens), [0] * len(rows)
        if not rows[0].filled:
            _add(rows, own)
        while rows[0].filled < tokens:
            desk.tell(rows[0].filled * len(rows))
            place = rows[0].filled
            fed = torch.from_numpy(np.stack([row.ids[fed_to:place] for row in rows])).to(self._device)
            own = self._choose(self._logits(fed, fed_to, cache), rows, seed)
            fed_to = place
            _add(rows, own)

    def _choose(self, logits: Tensor, rows: list[Row], seed: int) -> list[int]:
        """A token for each row of logits [rows, V]."""
        device = logits.device
        best, ids = logits.topk(min(SAMPLED_FROM, logits.shape[-1]), dim=-1)  # [rows, k]
        temperature = torch.tensor([[row.temperature] for row in rows], device=device)
        places = torch.tensor([place_number(row) for row in rows], device=device)
        noise = noise_of_entries(ids, seed & 0xFFFFFFFF, places)
        sampled = (best.float() / temperature.clamp(min=1e-4) + noise).argmax(-1)
        chosen = torch.where(temperature[:, 0] > 0, sampled, 0)
        picked: list[int] = ids.gather(1, chosen[:, None])[:, 0].tolist()
        return picked

    def _fewer(self, rows: int, error: BaseException) -> int:
        """Half as many rows.

        Raises:
            PlaygroundError: it was one.
        """
        if rows == 1:
            raise PlaygroundError(
                "There is no room in memory to write a single row. Use a smaller --row-tokens, or free some memory."
            ) from error
        self.say(f"Out of memory with {rows} rows together: writing {rows // 2} together from now on.")
        if self._device.type == "cuda":
            torch.cuda.empty_cache()
        return rows // 2


def _add(rows: list[Row], own: list[int]) -> None:
    for row, token in zip(rows, own, strict=True):
        row.add(token)


def _by_place(rows: list[Row]) -> list[list[Row]]:
    """Rows that stand at one place, together: an earlier run has left some where they were."""
    places = sorted({row.filled for row in rows})
    return [[row for row in rows if row.filled == place] for place in places]
