"""Two lanes, one device: the lane whose own clock is behind runs next.

Knows when to run which lane and when to stop; nothing of what a step does. Holds no mode and no timer across a yield.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence

from playground.decode.engine import Lane, Step, Stopped
from playground.figures.parity import compare
from playground.trace import ParityRecord, PlainRecord, PromptRecord, StepRecord

LaneRecord = StepRecord | PlainRecord
RaceRecord = PromptRecord | LaneRecord | ParityRecord


def race(
    drafting: Lane[StepRecord],
    plain: Lane[PlainRecord] | None,
    prompt_ids: Sequence[int],
    should_stop: Callable[[], bool],
    *,
    hold_ms: float = 0.0,
) -> Iterator[RaceRecord]:
    """Run both lanes (or the drafting lane alone) to their ends; the parity report comes last, also when stopped.

    Args:
        should_stop: asked between slices; True ends the race at once.
        hold_ms: for how long steps may be kept as they are before their records are made, all in one go. What holds
            them back is only ever another step: none is held when a run ends, is stopped or breaks off.
    """
    lanes: list[Lane[LaneRecord]] = []
    for lane in (drafting, plain):
        if lane is None or (lanes and should_stop()):
            break
        try:
            yield lane.start(prompt_ids, should_stop)
        except Stopped:
            break
        first = lane.first()
        if first is not None:
            yield first
        lanes.append(lane)
    yield from _steps(lanes, should_stop, hold_ms / 1e3)
    if plain is None:
        yield compare(drafting.tokens, (), (), finished=False)
        return
    finished = drafting.finish_reason is not None and plain.finish_reason is not None
    yield compare(drafting.tokens, plain.tokens, plain.gaps, finished=finished)


def _steps(
    lanes: Sequence[Lane[LaneRecord]], should_stop: Callable[[], bool], hold_seconds: float
) -> Iterator[LaneRecord]:
    """The records of all steps, in order.

    A record touches hundreds of small things that a forward's weights have pushed out of the processor's caches. Made
    one behind the other, only the first has to fetch them.
    """
    held: list[tuple[Lane[LaneRecord], Step]] = []
    due = 0.0  # when what is held has been held for long enough
    while not should_stop():
        running = [lane for lane in lanes if lane.finish_reason is None]
        if not running:
            break
        lane = min(running, key=lambda lane: lane.clock_ms)
        try:
            held.append((lane, lane.advance()))
        except BaseException:
            yield from _records(held)
            raise
        if time.perf_counter() >= due:
            yield from _records(held)
            due = time.perf_counter() + hold_seconds
    yield from _records(held)


def _records(held: list[tuple[Lane[LaneRecord], Step]]) -> Iterator[LaneRecord]:
    """The records of what is held, which is let go."""
    made, held[:] = tuple(held), ()
    for lane, step in made:
        yield lane.record(step)
