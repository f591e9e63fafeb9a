"""A run between the engine and the page: a worker thread fills the trace, one generator takes its latest state.

The worker never waits for the screen and the screen never for the worker: frames may be dropped, records may not.
Knows nothing of Gradio.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Iterator
from typing import Any, Literal

from playground.config import PlaygroundError, RunRequest
from playground.trace import Header, Trace
from playground.ui.host import SessionLike
from playground.ui.store import TraceStore
from playground.ui.turnstile import Turnstile
from playground.views.picture import head_picture, run_picture, step_picture, trace_picture
from playground.views.text import RunText
from playground.views.totals import RunTotals

logger = logging.getLogger(__name__)

FRAME_SECONDS = 1.0 / 11.0
TAIL_TOKENS = 64  # of each lane in every frame: more than a device writes between frames; the page asks for the rest

State = Literal["queued", "prompt", "running", "done", "failed"]


class LiveRun:
    """One run asked for by one page."""

    def __init__(self, session: SessionLike, request: RunRequest, turns: Turnstile, store: TraceStore, owner: str):
        self.key = ""
        self.trace: Trace | None = None
        self._session, self._request, self._turns, self._store, self._owner = session, request, turns, store, owner
        self._stop = threading.Event()
        self._state: State = "queued"
        self._message = ""
        self._version = 0
        self._changed = threading.Event()
        self._text: RunText = RunText()
        self._totals = RunTotals(request.shape.length)

    def start(self) -> None:
        """Stand in line and run when it is this run's turn.

        Raises:
            PlaygroundError: the line is full.
        """
        self._turns.take_place(self)
        threading.Thread(target=self._work, name="run", daemon=True).start()

    def stop(self) -> None:
        """Ask the worker to end; it does so after the step at hand."""
        self._stop.set()
        self._changed.set()

    @property
    def over(self) -> bool:
        return self._state in ("done", "failed")

    def frames(self) -> Iterator[str]:
        """The run as JSON strings, the latest state at most 11 times a second, the whole run at the end."""
        sent = -1
        last_position = -2
        while not self.over:
            self._changed.wait(0.25)
            self._changed.clear()
            position = self._turns.position(self) if self._state == "queued" else 0
            if self.over or (self._version == sent and position == last_position):
                continue
            sent, last_position = self._version, position
            begun = time.monotonic()
            yield encode(self.frame(position))
            time.sleep(max(0.0, FRAME_SECONDS - (time.monotonic() - begun)))
        yield encode(self.last_frame())

    def frame(self, position: int = 0) -> dict[str, Any]:
        """The state now: figures, the tail of the texts, the latest step."""
        frame = self._base()
        frame["position"] = position
        trace = self.trace
        if trace is not None:
            frame["head"] = head_picture(trace.header)
            frame.update(run_picture(trace, self._text, self._totals, tail=TAIL_TOKENS))
            if trace.steps:
                frame["step"] = step_picture(trace.steps[-1], sampled=not self._request.sampling.greedy)
        return frame

    def last_frame(self) -> dict[str, Any]:
        """The whole run, replay and all."""
        frame = self._base()
        if self.trace is not None:
            frame.update(trace_picture(self.trace))
        return frame

    def _base(self) -> dict[str, Any]:
        return {"kind": "run", "key": self.key, "state": self._state, "message": self._message}

    def _work(self) -> None:
        try:
            if self._turns.wait(self, self._stop):
                self._set("prompt")
                for record in self._session.run(self._request, self._stop):
                    self._take(record)
            self._set("done")
        except PlaygroundError as error:
            self._set("failed", str(error))
        except Exception as error:
            logger.exception("a run failed")
            self._set("failed", f"The run broke off: {type(error).__name__}: {error}. The page still works; run again.")
        finally:
            self._turns.leave(self)

    def _take(self, record: Any) -> None:
        if isinstance(record, Header):
            trace = Trace(record)
            self.key = self._store.add(trace, self._owner)
            self.trace = trace
        elif self.trace is not None:
            self.trace.add(record)
            self._state = "running"
        self._version += 1
        self._changed.set()

    def _set(self, state: State, message: str = "") -> None:
        self._message = message
        self._state = state
        self._version += 1
        self._changed.set()


def encode(value: dict[str, Any]) -> str:
    """Compact JSON, non-ASCII kept."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
