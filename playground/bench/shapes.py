"""Measures one prompt at every beam shape asked for: the same text each time, so the shapes compare.

Knows a session's runs; nothing of how the cells are drawn.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace

from playground.config import BeamShape, PlaygroundError, RunRequest
from playground.figures.summary import plain_rate
from playground.session import Session
from playground.trace import NoRecords, StageMs, SweepCell, SweepRecord, Trace


def sweep(
    session: Session,
    request: RunRequest,
    widths: Sequence[int],
    lengths: Sequence[int],
    stop: threading.Event,
) -> Iterator[SweepRecord]:
    """Run `request` at every shape, longer beams last; a record after each cell, holding all so far.

    The first run is a race and gives the plain rate that every speed-up is measured against (none if the request asks
    for no race). The other texts are compared with that plain lane's. Stopped, it yields nothing more: the last record
    has `finished` False.

    Raises:
        PlaygroundError: no shapes, or a shape or request that cannot run; before anything runs.
    """
    shapes = [BeamShape(width, length) for length in sorted(set(lengths)) for width in sorted(set(widths))]
    if not shapes:
        raise PlaygroundError("The sweep has no beam shape. Give at least one width and one length.")
    session.check(replace(request, shape=max(shapes, key=lambda shape: shape.slots)))
    return _cells(session, request, shapes, stop)


def _cells(
    session: Session, request: RunRequest, shapes: list[BeamShape], stop: threading.Event
) -> Iterator[SweepRecord]:
    cells: list[SweepCell] = []
    plain: list[int] | None = None
    plain_speed: float | None = None
    for shape in shapes:
        asked = replace(request, shape=shape, race=request.race and plain is None)
        try:
            trace = Trace.collect(session.run(asked, stop))
        except NoRecords:
            return
        if trace.stopped:
            return
        if plain is None and request.race:
            plain, plain_speed = trace.plain_tokens, plain_rate(trace)
        cells.append(_cell(trace, shape, plain, plain_speed))
        yield SweepRecord(
            widths=tuple(sorted({shape.width for shape in shapes})),
            lengths=tuple(sorted({shape.length for shape in shapes})),
            cells=tuple(cells),
            plain_tokens_per_second=plain_speed,
            prompt=request.prompt,
            finished=len(cells) == len(shapes),
        )


def _cell(trace: Trace, shape: BeamShape, plain: list[int] | None, plain_speed: float | None) -> SweepCell:
    assert trace.footer is not None
    summary, steps = trace.footer.summary, max(1, len(trace.steps))
    ours, stages = summary.redrafter_tokens_per_second, summary.stage_ms
    return SweepCell(
        width=shape.width,
        length=shape.length,
        tokens_per_step=summary.tokens_per_step,
        tokens_per_second=ours,
        speedup=ours / plain_speed if plain_speed else None,
        mean_nodes=1.0 + summary.num_draft_tokens / steps,
        step_ms=StageMs(
            draft=stages.draft / steps,
            tree=stages.tree / steps,
            verify=stages.verify / steps,
            accept=stages.accept / steps,
            commit=stages.commit / steps,
        ),
        new_tokens=summary.new_tokens,
        identical=None if plain is None else trace.redrafter_tokens == plain,
    )
