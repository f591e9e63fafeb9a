"""A run as a page sees it while it is made: its trace grows in the store, its frames show the newest step."""

from __future__ import annotations

from collections.abc import Iterator

from playground.config import RunRequest
from playground.figures.totals import RunTotals
from playground.line import Place
from playground.trace import Trace
from playground.ui.host import SessionLike
from playground.ui.live_work import LiveWork
from playground.ui.store import TraceStore
from playground.views.page import RunFrame, RunState
from playground.views.picture import growing_picture, trace_picture
from playground.views.text import RunText

TAIL_TOKENS = 64  # of each lane in every frame: more than a device writes between frames; the page asks for the rest


class LiveRun(LiveWork):
    """One run asked for by one page."""

    name = "run"
    after_failure = "The page still works; run again."
    first = "prompt"

    def __init__(
        self, session: SessionLike, request: RunRequest, store: TraceStore, owner: str, *, again: str = ""
    ) -> None:
        """`again` is the key of the recorded run that this one makes again; empty for a run of its own."""
        super().__init__(session.line)
        self.key = ""
        self._again = again
        self.trace: Trace | None = None
        self._session, self._request, self._store, self._owner = session, request, store, owner
        self._text = RunText()
        self._totals = RunTotals(request.shape.length)

    def frame(self, position: int = 0) -> RunState | RunFrame:
        """The state now: figures, the tail of the texts, the latest step."""
        state, trace = self._now(position), self.trace
        if trace is None:
            return state
        return {**state, **growing_picture(trace, self._text, self._totals, tail=TAIL_TOKENS)}

    def last_frame(self) -> RunState | RunFrame:
        """The whole run, replay and all."""
        state = self._now(0)
        return state if self.trace is None else {**state, **trace_picture(self.trace)}

    def _now(self, position: int) -> RunState:
        return {
            "kind": "run",
            "key": self.key,
            "state": self._state,
            "message": self._message,
            "position": position,
            "again": self._again,
        }

    def _records(self, place: Place) -> Iterator[Trace]:
        return Trace.follow(self._session.run(self._request, self._stop, place))

    def _take(self, trace: Trace) -> None:
        if self.trace is None:
            self.key = self._store.add(trace, self._owner)
            self.trace = trace
        else:
            self._state = "running"
