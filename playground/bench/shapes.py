"""Measures one prompt at every beam shape asked for: the same text each time, so the shapes compare.

Knows a session's runs; nothing of how the cells are drawn.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import replace
from typing import Protocol

from playground.config import BeamShape, PlaygroundError, RunRequest
from playground.figures.sweep import sweep_cell
from playground.figures.totals import RunTotals
from playground.line import Line, Place
from playground.trace import NoRecords, Record, SweepCell, SweepRecord, Trace


class Measurable(Protocol):
    """What a sweep needs of a session."""

    line: Line

    def check(self, request: RunRequest) -> None: ...

    def run(self, request: RunRequest, stop: threading.Event, place: Place | None = None) -> Iterator[Record]: ...


def sweep(
    session: Measurable,
    request: RunRequest,
    widths: Sequence[int],
    lengths: Sequence[int],
    stop: threading.Event,
    place: Place | None = None,
) -> Iterator[SweepRecord]:
    """Run `request` at every shape, longer beams last; a record after each cell, holding all so far.

    The first run is a race and gives the plain rate that every speed-up is measured against (none if the request asks
    for no race). The other texts are compared with that plain lane's. Stopped, it yields nothing more: the last record
    has `finished` False.

    Args:
        place: in the session's line, one turn for the whole sweep; without one it takes its own.

    Raises:
        PlaygroundError: no shapes, or a shape or request that cannot run; before anything runs.
    """
    shapes = [
        replace(request.shape, width=width, length=length)
        for length in sorted(set(lengths))
        for width in sorted(set(widths))
    ]
    if not shapes:
        raise PlaygroundError("The sweep has no beam shape. Give at least one width and one length.")
    session.check(replace(request, shape=max(shapes, key=lambda shape: shape.max_nodes)))
    return _in_one_turn(session, request, shapes, stop, place)


def _in_one_turn(
    session: Measurable, request: RunRequest, shapes: list[BeamShape], stop: threading.Event, place: Place | None
) -> Iterator[SweepRecord]:
    with session.line.join() if place is None else nullcontext(place) as turn:
        yield from _cells(session, request, shapes, stop, turn)


def _cells(
    session: Measurable, request: RunRequest, shapes: list[BeamShape], stop: threading.Event, place: Place
) -> Iterator[SweepRecord]:
    cells: list[SweepCell] = []
    race: Trace | None = None  # the first run, where one was asked for
    for shape in shapes:
        try:
            asked = replace(request, shape=shape, race=request.race and race is None)
            trace = Trace.collect(session.run(asked, stop, place))
        except NoRecords:
            return
        if trace.stopped:
            return
        race = race or (trace if request.race else None)
        cells.append(sweep_cell(trace, race))
        yield SweepRecord(
            widths=tuple(sorted({shape.width for shape in shapes})),
            lengths=tuple(sorted({shape.length for shape in shapes})),
            cells=tuple(cells),
            plain_tokens_per_second=RunTotals.of(race).plain.tokens_per_second if race else None,
            prompt=request.prompt,
            finished=len(cells) == len(shapes),
        )
