"""A run as moments: what each lane had written when, by its own clock, both lanes merged. Draws nothing."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import dataclass

from playground.trace import Lane, Trace
from playground.views.text import RunText


@dataclass(frozen=True)
class Moment:
    """New text of one lane."""

    clock_ms: float  # the lane's own, prompt excluded
    lane: Lane
    tokens: int  # written by then
    text: str  # new at this moment


def moments(trace: Trace) -> list[Moment]:
    """Every moment of both lanes, in the order of their clocks."""
    text = RunText().catch_up(trace)
    return list(heapq.merge(_drafting(trace, text), _plain(trace, text), key=lambda moment: moment.clock_ms))


def _drafting(trace: Trace, text: RunText) -> Iterator[Moment]:
    items = text.redrafter.items
    if not items:
        return
    yield Moment(0.0, "redrafter", 1, items[0].text)
    written = 1
    for step in trace.steps:
        new = items[written : written + len(step.emitted)]
        written += len(new)
        yield Moment(step.clock_ms, "redrafter", written, "".join(item.text for item in new))


def _plain(trace: Trace, text: RunText) -> Iterator[Moment]:
    for record, item in zip(trace.plain, text.plain.items, strict=True):
        yield Moment(record.clock_ms, "plain", record.index + 1, item.text)
