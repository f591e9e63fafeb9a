"""The base model writes a corpus of its own, up to a number of rows or for a time, alone or with other processes.

Knows shards and clocks; neither what stands in a row nor what it is for.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from playground.distill.author import Author
from playground.distill.corpus.conversation import CorpusOptions
from playground.distill.corpus.openings import UNASKED, Openings
from playground.distill.corpus.writing import Shards, write_corpus
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
    together: int | None = None,
    seconds: Callable[[float], float] | None = None,
    spend: Callable[[float, int], None] = lambda seconds, tokens: None,
    stage: str = "corpus",
) -> None:
    """Let the base model write a corpus; shards already there are kept.

    Args:
        together: rows that the eager engine writes at once; None: as many as fit.
        seconds: given the tokens a second so far (0 where nobody knows), how long the writing may take; no shard is
            begun that would not end in time, but one is written in any case.
        spend: told the seconds and the tokens of whole shards, also when the work is broken off.
    """
    processes = Processes.launched(author.base.device)
    began, before, latest = time.perf_counter(), tokens_in(folder, options), 0

    def report(done: int) -> None:
        nonlocal latest
        latest = done
        count(done)

    with author.writer(together, bars.say) as writer:

        def may_start(_shard: int) -> bool:
            elapsed = time.perf_counter() - began
            if seconds is None or not (latest or before):
                return True
            written = max(0, latest - before)
            return elapsed + writer.row_seconds <= seconds(written / elapsed if written else 0.0)

        shards = Shards(lambda number: number % processes.world == processes.rank, processes.rank, may_start)
        total = options.rows * options.row_tokens if seconds is None else None
        try:
            with bars.stage(stage, total, "tok", before) as count:
                write_corpus(
                    writer,
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
    rows = min(options.rows, len(list(folder.glob("rows-*.npz"))) * options.shard_rows)
    return rows * options.row_tokens
