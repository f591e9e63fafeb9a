"""A corpus without a data set: rows are handed out to a writer and kept as small files, shard by shard.

A row hangs on the seed and its number alone, so rows may be written in any order, together with any others, and by
several processes; a shard's file is there as soon as its rows are whole, and what is there is never written again.
Rows that are not whole are kept too, so that they go on where they were. A writer is whatever continues rows with a
base model. Knows neither a model, a tokenizer nor a drafter.
"""

from __future__ import annotations

import json
import time
import zipfile
import zlib
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from playground.config import PlaygroundError
from playground.distill.corpus.conversation import CorpusOptions, Row
from playground.distill.corpus.openings import UNASKED, Openings
from playground.distill.corpus.turns import ChatTurns
from playground.files import write_json, written_whole

_KEEP_SECONDS = 60.0  # of writing that a crash may cost


@dataclass(frozen=True)
class Shards:
    """Which shards of a corpus to write now."""

    mine: Callable[[int], bool] = lambda number: True  # several processes share the work by shard number
    process: int = 0  # which of them this is
    may_start: Callable[[int], bool] = lambda number: True  # asked before each shard that is still to be written


class Writer(Protocol):
    """Continues rows with a base model."""

    first_token: int  # what a text begins with where nothing else does

    @property
    def row_seconds(self) -> float:
        """From the beginning of a row to its end, as measured; 0 before anything was."""
        ...

    def write(self, desk: Desk, seed: int) -> None:
        """Take rows from the desk and hand them back full, until there are none."""
        ...


class Desk:
    """Hands out rows and keeps the full ones; of the others, what they have so far."""

    def __init__(
        self,
        out: Path,
        options: CorpusOptions,
        shards: Shards,
        begin: Callable[[int], Row],
        report: Callable[[int], None],
    ) -> None:
        self.out, self.options, self.shards = out, options, shards
        self._begin, self._report = begin, report
        self._next = 0  # shard
        self._closed = False
        self._waiting: deque[int] = deque()  # numbers of rows that nobody writes yet
        self._kept: dict[int, dict[int, Row]] = {}  # full rows of shards that are not whole
        self._given: dict[int, Row] = {}  # rows that are being written
        self._saved_at = time.monotonic()
        self._begun = out / f"unfinished-{shards.process}.npz"
        self._earlier = _read_unfinished(self._begun)
        self._done = 0  # tokens in files

    def take(self) -> Row | None:
        """A row to write; None where there is none, or no time for another."""
        while not self._waiting and (shard := self._next_shard()) is not None:
            self._open(shard)
        if not self._waiting:
            return None
        row = self._row(self._waiting.popleft())
        self._given[row.number] = row
        return row

    def give_back(self, row: Row) -> None:
        """A row that could not be written: it is handed out anew, from its beginning."""
        del self._given[row.number]
        self._waiting.appendleft(row.number)

    def keep(self, row: Row) -> None:
        """A full row; the last of its shard saves them all."""
        self._given.pop(row.number, None)
        shard = (row.number - self.options.first_row) // self.options.shard_rows
        kept, numbers = self._kept[shard], self._numbers(shard)
        kept[row.number] = row
        if len(kept) == len(numbers):
            _save(self._file(shard), [kept[number] for number in numbers])
            del self._kept[shard]
            self._done += len(numbers) * self.options.row_tokens

    def save_unfinished(self) -> None:
        """Keep what rows have that are in no file yet."""
        rows = [*self._given.values(), *(row for kept in self._kept.values() for row in kept.values())]
        numbers = {row.number for row in rows}
        wishes: dict[str, Any] = {str(row.number): row.wishes[: row.filled] for row in rows if row.filled}
        wishes |= {str(number): row for number, row in self._earlier.items() if number not in numbers}
        self._saved_at = time.monotonic()
        if not wishes:
            self._begun.unlink(missing_ok=True)
            return
        with written_whole(self._begun) as partial, open(partial, "wb") as stream:
            np.savez_compressed(stream, **wishes)

    def _open(self, shard: int) -> None:
        """Its rows wait to be written; those that an earlier run has filled are kept."""
        self._kept[shard] = {}
        for number in self._numbers(shard):
            if len(self._earlier.get(number, ())) == self.options.row_tokens:
                self.keep(self._row(number))
            else:
                self._waiting.append(number)

    def _row(self, number: int) -> Row:
        row = self._begin(number)
        row.go_on_from(self._earlier.pop(number, row.wishes[:0]))
        return row

    def tell(self, in_flight: int) -> None:
        """Report tokens: of files, of full rows, and those of rows that are being written."""
        full = sum(map(len, self._kept.values())) * self.options.row_tokens
        self._report(self._done + full + in_flight)
        if time.monotonic() - self._saved_at > _KEEP_SECONDS:
            self.save_unfinished()

    def _next_shard(self) -> int | None:
        """The next shard that is still to be written by this process."""
        count = -(-self.options.rows // self.options.shard_rows)
        while not self._closed and self._next < count:
            number, self._next = self._next, self._next + 1
            if self._file(number).exists():
                self._done += len(self._numbers(number)) * self.options.row_tokens
            elif self.shards.mine(number):
                self._closed = not self.shards.may_start(number)
                return None if self._closed else number
        return None

    def _numbers(self, shard: int) -> range:
        options, first = self.options, shard * self.options.shard_rows
        begin = options.first_row + first
        return range(begin, begin + min(options.shard_rows, options.rows - first))

    def _file(self, shard: int) -> Path:
        return self.out / f"rows-{shard:05d}.npz"


def write_corpus(
    writer: Writer,
    turns: ChatTurns,
    options: CorpusOptions,
    out: Path,
    *,
    about: dict[str, Any],
    openings: Openings = UNASKED,
    shards: Shards | None = None,
    report: Callable[[int], None] = lambda done: None,
) -> None:
    """Write the corpus to `out`; shards already there are kept.

    Args:
        openings: what the user says in each row.
        report: called with tokens done, those found already there included.

    Raises:
        PlaygroundError: `out` holds a corpus made with other settings.
    """
    out.mkdir(parents=True, exist_ok=True)
    _same_corpus(out / "corpus.json", about | _settings(options, turns, openings))

    def begin(number: int) -> Row:
        (asked,) = openings.of(range(number, number + 1), options.seed, options.longest_prompt)
        return Row(number, turns, asked, options, writer.first_token)

    desk = Desk(out, options, shards or Shards(), begin, report)
    try:
        writer.write(desk, options.seed)
    finally:
        desk.save_unfinished()
    desk.tell(0)


def first_token(config: Any) -> int:
    """What a text of a transformers model begins with where nothing else does."""
    for name in ("bos_token_id", "eos_token_id"):
        found = getattr(config, name, None)
        if found is not None:
            return int(found[0] if isinstance(found, list | tuple) else found)
    return 0


def place_number(row: Row) -> int:
    """The row's next place among all places of a corpus: its noise hangs on the seed and on this."""
    return row.number * len(row.ids) + row.filled


def _settings(options: CorpusOptions, turns: ChatTurns, openings: Openings) -> dict[str, Any]:
    """What decides a shard's contents: all but the number of rows, so that a corpus can grow."""
    return {
        "row_tokens": options.row_tokens,
        "shard_rows": options.shard_rows,
        "answer_temperature": options.answer_temperature,
        "seed": options.seed,
        "longest_repetition": None if turns.plain else options.longest_repetition,
        "chat_template": not turns.plain,
        **openings.settings,
    }


def _same_corpus(file: Path, settings: dict[str, Any]) -> None:
    if not file.exists():
        write_json(file, settings)  # all processes write it, each the same
        return
    found = json.loads(file.read_text())
    different = [name for name in settings if found.get(name) != settings[name]]
    if different:
        name = different[0]
        raise PlaygroundError(
            f"{file.parent} holds a corpus with {name} = {found.get(name)!r}, but this one has {settings[name]!r}. "
            f"Choose an empty folder with --out, or delete that one."
        )


def _save(file: Path, rows: list[Row]) -> None:
    ids = np.stack([row.ids for row in rows])
    small = ids.astype(np.uint16 if ids.max() < 65_536 else np.int32)
    assistant, greedy = np.stack([row.assistant for row in rows]), np.array([row.greedy for row in rows])
    with written_whole(file) as partial, open(partial, "wb") as stream:
        np.savez_compressed(stream, ids=small, assistant=assistant, greedy=greedy)


def _read_unfinished(file: Path) -> dict[int, np.ndarray]:
    """What rows had when the writing was broken off; nothing where the file is damaged: they are written anew."""
    if not file.exists():
        return {}
    try:
        with np.load(file, allow_pickle=False) as archive:
            return {int(number): archive[number] for number in archive.files}
    except (ValueError, OSError, EOFError, zipfile.BadZipFile, zlib.error):
        return {}
