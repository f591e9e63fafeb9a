"""The base model writes a corpus of its own, up to a number of rows or for a time, alone or with other processes.

Knows shards and clocks; neither what stands in a row nor what it is for.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from playground.distill.corpus.openings import UNASKED, Openings
from playground.distill.corpus.writing import CorpusOptions, Shards, write_corpus
from playground.distill.request import Author
from playground.distill.training.processes import Processes
from playground.progress import Bars

ENDLESS_ROWS = 1 << 20
"""Where only time limits a corpus."""


def write_own_corpus(
    author: Author,
    options: CorpusOptions,
    folder: Path,
    bars: Bars,
    *,
    openings: Openings = UNASKED,
    seconds: float | None = None,
    spend: Callable[[float, int], None] = lambda seconds, tokens: None,
) -> None:
    """Let the base model write a corpus; shards already there are kept.

    Args:
        seconds: no shard is started that would end after this time; one is written in any case.
        spend: told the seconds and the tokens of whole shards, also when the work is broken off.
    """
    processes = Processes.launched(author.base.device)
    began, before, started = time.perf_counter(), tokens_in(folder, options), 0

    def may_start(_number: int) -> bool:
        nonlocal started
        elapsed = time.perf_counter() - began
        if seconds is not None and (started or before) and elapsed * (started + 1) / max(started, 1) > seconds:
            return False
        started += 1
        return True

    total = options.rows * options.row_tokens if options.rows < ENDLESS_ROWS else None
    shards = Shards(lambda number: number % processes.world == processes.rank, may_start)
    try:
        with bars.stage("corpus", total, "tok", before) as report, author.base.stock() as model:
            write_corpus(
                model,
                author.turns,
                options,
                folder,
                about=author.about,
                openings=openings,
                shards=shards,
                report=report,
            )
    finally:
        spend(time.perf_counter() - began, tokens_in(folder, options) - before)
    processes.wait()


def tokens_in(folder: Path, options: CorpusOptions) -> int:
    """Tokens of the whole shards in a folder."""
    rows = min(options.rows, len(list(folder.glob("rows-*.npz"))) * options.batch)
    return rows * options.row_tokens
