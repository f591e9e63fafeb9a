"""A run as a page sees it while it is made: its trace grows in the store, its frames show the newest step."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from playground.config import RunRequest
from playground.figures.totals import RunTotals
from playground.trace import Trace
from playground.ui.host import SessionLike
from playground.ui.live_work import LiveWork
from playground.ui.store import TraceStore
from playground.ui.turnstile import Turnstile
from playground.views.picture import head_picture, run_picture, step_picture, trace_picture
from playground.views.text import RunText

TAIL_TOKENS = 64  # of each lane in every frame: more than a device writes between frames; the page asks for the rest


class LiveRun(LiveWork):
    """One run asked for by one page."""

    name = "run"
    after_failure = "The page still works; run again."
    first = "prompt"

    def __init__(self, session: SessionLike, request: RunRequest, turns: Turnstile, store: TraceStore, owner: str):
        super().__init__(turns)
        self.key = ""
        self.trace: Trace | None = None
        self._session, self._request, self._store, self._owner = session, request, store, owner
        self._text = RunText()
        self._totals = RunTotals(request.shape.length)

    def frame(self, position: int = 0) -> dict[str, Any]:
        """The state now: figures, the tail of the texts, the latest step."""
        frame = {**self._base(), "position": position}
        trace = self.trace
        if trace is not None:
            frame["head"] = head_picture(trace.header)
            frame.update(run_picture(trace, self._text, self._totals, tail=TAIL_TOKENS))
            if trace.steps:
                frame["step"] = step_picture(trace.steps[-1], sampled=not self._request.sampling.greedy)
        return frame

    def last_frame(self) -> dict[str, Any]:
        """The whole run, replay and all."""
        return {**self._base(), **(trace_picture(self.trace) if self.trace is not None else {})}

    def _base(self) -> dict[str, Any]:
        return {"kind": "run", "key": self.key, "state": self._state, "message": self._message}

    def _records(self) -> Iterator[Trace]:
        return Trace.follow(self._session.run(self._request, self._stop))

    def _take(self, trace: Trace) -> None:
        if self.trace is None:
            self.key = self._store.add(trace, self._owner)
            self.trace = trace
        else:
            self._state = "running"
