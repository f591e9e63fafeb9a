"""Two lanes, one device: the lane whose own clock is behind runs next.

Knows when to run which lane and when to stop; nothing of what a step does. Holds no mode and no timer across a yield.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from playground.decode.engine import Lane, Stopped
from playground.figures.parity import compare
from playground.trace import ParityRecord, PlainRecord, PromptRecord, StepRecord

LaneRecord = StepRecord | PlainRecord
RaceRecord = PromptRecord | LaneRecord | ParityRecord


def race(
    drafting: Lane[StepRecord],
    plain: Lane[PlainRecord] | None,
    prompt_ids: Sequence[int],
    should_stop: Callable[[], bool],
) -> Iterator[RaceRecord]:
    """Run both lanes (or the drafting lane alone) to their ends; the parity report comes last, also when stopped.

    Args:
        should_stop: asked between slices; True ends the race at once.
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
    while not should_stop():
        running = [lane for lane in lanes if lane.finish_reason is None]
        if not running:
            break
        yield min(running, key=lambda lane: lane.clock_ms).step()
    if plain is None:
        yield compare(drafting.tokens, (), (), finished=False)
        return
    finished = drafting.finish_reason is not None and plain.finish_reason is not None
    yield compare(drafting.tokens, plain.tokens, plain.gaps, finished=finished)
