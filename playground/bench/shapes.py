"""Measures one prompt at every beam shape asked for, in rounds: every shape once, then every shape again.

Each run races plain decoding, so a speed-up compares two lanes of one moment, and what a busy machine does to one
round it does to all shapes of it.

Knows a session's runs; nothing of how the cells are drawn.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import replace
from statistics import median
from typing import Protocol

from playground.config import SWEEP_REPEATS, BeamShape, PlaygroundError, RunRequest
from playground.figures.sweep import plain_rates, spread, sweep_cell
from playground.line import Line, Place
from playground.trace import NoRecords, Record, SweepRecord, Trace

MOST_REPEATS = 50


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
    repeats: int = SWEEP_REPEATS,
) -> Iterator[SweepRecord]:
    """Run `request` at every shape, longer beams last, `repeats` times over; a record after each run, holding all so
    far. Stopped, it yields nothing more: the last record has `finished` False.

    Args:
        place: in the session's line, one turn for the whole sweep; without one it takes its own.

    Raises:
        PlaygroundError: no shapes, or a shape, request or number of repeats that cannot run; before anything runs.
    """
    if not 1 <= repeats <= MOST_REPEATS:
        raise PlaygroundError(
            f"The repeats are {repeats}, but must be from 1 to {MOST_REPEATS}. Ask for {SWEEP_REPEATS} or more."
        )
    shapes = [
        replace(request.shape, width=width, length=length)
        for length in sorted(set(lengths))
        for width in sorted(set(widths))
    ]
    if not shapes:
        raise PlaygroundError("The sweep has no beam shape. Give at least one width and one length.")
    session.check(replace(request, shape=max(shapes, key=lambda shape: shape.max_nodes)))
    return _in_one_turn(session, request, shapes, repeats, stop, place)


def _in_one_turn(
    session: Measurable,
    request: RunRequest,
    shapes: list[BeamShape],
    repeats: int,
    stop: threading.Event,
    place: Place | None,
) -> Iterator[SweepRecord]:
    with session.line.join() if place is None else nullcontext(place) as turn:
        runs: dict[BeamShape, list[Trace]] = {shape: [] for shape in shapes}
        for _ in range(repeats):
            for shape in shapes:
                try:
                    trace = Trace.collect(session.run(replace(request, shape=shape), stop, turn))
                except NoRecords:
                    return
                if trace.stopped:
                    return
                runs[shape].append(trace)
                yield _record(request, runs, repeats)


def _record(request: RunRequest, runs: dict[BeamShape, list[Trace]], repeats: int) -> SweepRecord:
    """All that was measured so far."""
    every = [run for of_shape in runs.values() for run in of_shape]
    rates = plain_rates(every)
    return SweepRecord(
        widths=tuple(sorted({shape.width for shape in runs})),
        lengths=tuple(sorted({shape.length for shape in runs})),
        cells=tuple(sweep_cell(of_shape) for of_shape in runs.values() if of_shape),
        plain_tokens_per_second=median(rates) if rates else None,
        prompt=request.prompt,
        finished=len(every) == len(runs) * repeats,
        repeats=repeats,
        plain_spread=spread(rates),
    )
