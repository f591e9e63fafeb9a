"""Two lanes, one device: the lane whose own clock is behind runs next.

Knows when to run which lane and when to stop; nothing of what a step does. Holds no mode and no timer across a yield.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from playground.decode.captured import CapturedDecoder, CapturedPlain
from playground.decode.engine import RecurrentDecoder
from playground.decode.plain import PlainDecoder
from playground.figures.parity import compare
from playground.trace import ParityRecord, PlainRecord, PromptRecord, StepRecord

DraftingLane = RecurrentDecoder | CapturedDecoder
PlainLane = PlainDecoder | CapturedPlain
RaceRecord = PromptRecord | StepRecord | PlainRecord | ParityRecord


def race(
    drafting: DraftingLane,
    plain: PlainLane | None,
    prompt_ids: Sequence[int],
    should_stop: Callable[[], bool],
) -> Iterator[RaceRecord]:
    """Run both lanes (or the drafting lane alone) to their ends; the parity report comes last, also when stopped.

    Args:
        should_stop: asked between slices; True ends the race at once.
    """
    yield drafting.start(prompt_ids)
    lanes: list[DraftingLane | PlainLane] = [drafting]
    if plain is not None and not should_stop():
        yield plain.start(prompt_ids)
        yield plain.first()
        lanes.append(plain)
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
