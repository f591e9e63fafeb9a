"""Every format a trace can be kept in, by name: what page and terminal offer, and the one function both call.

Knows what each format asks for (a step, a table) and nothing of who asks. Formats are imported when they are used.
"""

from __future__ import annotations

import gzip
import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import get_args

from playground.config import PlaygroundError
from playground.export.jsonl import write_trace
from playground.export.tables import TableName, table
from playground.trace import Detail, StepRecord, Trace, in_detail


@dataclass(frozen=True)
class Wish:
    """What of a trace is wanted, where a format can hold only a part of it."""

    step: int | None = None  # from 0; formats of one step take the last where none is named
    table: TableName = "steps"
    detail: Detail = "full"  # of the trace itself, where a format carries it

    def __post_init__(self) -> None:
        if self.table not in get_args(TableName):
            raise PlaygroundError(f"Table is {self.table!r}, but must be one of: {', '.join(get_args(TableName))}.")
        if self.detail not in get_args(Detail):
            raise PlaygroundError(f"Detail is {self.detail!r}, but must be one of: {', '.join(get_args(Detail))}.")


@dataclass(frozen=True)
class Format:
    """One way to keep a trace."""

    suffix: str  # of the file's name
    media_type: str
    words: str  # what it is good for
    write: Callable[[Trace, Wish], bytes]


def export(trace: Trace, name: str, wish: Wish | None = None) -> bytes:
    """A trace in the format of that name.

    Raises:
        PlaygroundError: no such format, table or step, or a library it needs is not installed.
    """
    if name == "png":
        raise PlaygroundError(
            "PNG is drawn by a browser. Open the trace on the page and export from there, or take svg."
        )
    if name not in FORMATS:
        raise PlaygroundError(f"Format is {name!r}, but must be one of: {', '.join(FORMATS)}.")
    return FORMATS[name].write(trace, wish or Wish())


def step_at(trace: Trace, index: int | None) -> StepRecord:
    """The step of that index, the last where None.

    Raises:
        PlaygroundError: the trace has no such step.
    """
    steps = len(trace.steps)
    if not steps:
        raise PlaygroundError("The trace has no step, so there is no tree to draw. Choose a run that got further.")
    at = steps - 1 if index is None else index
    if not 0 <= at < steps:
        raise PlaygroundError(f"Step is {at}, but the trace has steps 0 to {steps - 1}. Choose one of them.")
    return trace.steps[at]


def _jsonl(trace: Trace, wish: Wish) -> bytes:
    stream = io.StringIO()
    write_trace(in_detail(trace, wish.detail), stream)
    return stream.getvalue().encode()


def _jsonl_gz(trace: Trace, wish: Wish) -> bytes:
    return gzip.compress(_jsonl(trace, wish), 9, mtime=0)


def _csv(trace: Trace, wish: Wish) -> bytes:
    from playground.export.delimited import to_csv

    return to_csv(table(trace, wish.table)).encode()


def _parquet(trace: Trace, wish: Wish) -> bytes:
    from playground.export.parquet import to_parquet

    return to_parquet(table(trace, wish.table))


def _perfetto(trace: Trace, _: Wish) -> bytes:
    from playground.export.perfetto import to_perfetto

    return to_perfetto(trace).encode()


def _graphml(trace: Trace, wish: Wish) -> bytes:
    from playground.export.graphml import to_graphml

    return to_graphml(trace if wish.step is None else step_at(trace, wish.step))


def _summary(trace: Trace, _: Wish) -> bytes:
    from playground.export.summary import to_summary

    return to_summary(trace).encode()


def _svg(trace: Trace, wish: Wish) -> bytes:
    from playground.export.picture import to_svg

    return to_svg(step_at(trace, wish.step), sampled=trace.sampled, run_id=trace.header.run_id).encode()


def _html(trace: Trace, wish: Wish) -> bytes:
    from playground.export.offline import to_html

    return to_html(in_detail(trace, wish.detail)).encode()


FORMATS: dict[str, Format] = {
    "jsonl": Format(".jsonl", "application/jsonl", "the trace itself, JSON Lines", _jsonl),
    "jsonl.gz": Format(".jsonl.gz", "application/gzip", "the same, packed", _jsonl_gz),
    "csv": Format(".csv", "text/csv", "one table: steps, nodes, beams or plain", _csv),
    "parquet": Format(".parquet", "application/vnd.apache.parquet", "the same columns, for pyarrow", _parquet),
    "perfetto": Format(".perfetto.json", "application/json", "a timeline for ui.perfetto.dev", _perfetto),
    "graphml": Format(".graphml", "application/xml", "the trees as a graph, of one step or of all", _graphml),
    "json": Format(".summary.json", "application/json", "the figures and where they come from", _summary),
    "svg": Format(".svg", "image/svg+xml", "the tree of one step as a picture", _svg),
    "html": Format(".html", "text/html", "the run in one file that opens anywhere", _html),
}
