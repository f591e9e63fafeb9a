"""A sweep over beam shapes as a page sees it while it is measured: the surface grows with every shape."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

from playground.line import Line, Place
from playground.trace import SweepRecord
from playground.ui.live_work import LiveWork
from playground.views.page import SweepFrame
from playground.views.picture import surface_picture
from playground.views.sweep import sweep_info


class LiveSweep(LiveWork):
    """One sweep asked for by one page."""

    name = "sweep"
    after_failure = "What was measured stays."
    first = "running"

    def __init__(self, measure: Callable[[threading.Event, Place], Iterator[SweepRecord]], line: Line) -> None:
        super().__init__(line)
        self._measure = measure
        self._record: SweepRecord | None = None

    def frame(self, position: int = 0) -> SweepFrame:
        return {
            "kind": "sweep",
            "state": self._state,
            "stopped": self._stop.is_set(),
            "position": position,
            "message": self._message,
            "surface": surface_picture(sweep_info(self._record)) if self._record is not None else None,
        }

    def _records(self, place: Place) -> Iterator[SweepRecord]:
        return self._measure(self._stop, place)

    def _take(self, record: SweepRecord) -> None:
        self._record = record
