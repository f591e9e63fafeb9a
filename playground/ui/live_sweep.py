"""A sweep over beam shapes between the engine and the page: the same turns and the same stop as a run."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from typing import Any

from playground.config import PlaygroundError
from playground.trace import SweepRecord
from playground.ui.live import State, encode
from playground.ui.turnstile import Turnstile
from playground.views.picture import surface_picture
from playground.views.sweep import sweep_info

logger = logging.getLogger(__name__)


class LiveSweep:
    """One sweep asked for by one page."""

    def __init__(self, measure: Callable[[threading.Event], Iterator[SweepRecord]], turns: Turnstile) -> None:
        self._measure, self._turns = measure, turns
        self._stop = threading.Event()
        self._changed = threading.Event()
        self._state: State = "queued"
        self._message = ""
        self._record: SweepRecord | None = None

    def start(self) -> None:
        """Stand in line and measure when it is this sweep's turn.

        Raises:
            PlaygroundError: the line is full.
        """
        self._turns.take_place(self)
        threading.Thread(target=self._work, name="sweep", daemon=True).start()

    def stop(self) -> None:
        self._stop.set()
        self._changed.set()

    @property
    def over(self) -> bool:
        return self._state in ("done", "failed")

    def frames(self) -> Iterator[str]:
        """The surface as JSON strings whenever it grew, and once more at the end."""
        yield encode(self.frame())
        while not self.over:
            if self._changed.wait(0.25):
                self._changed.clear()
                if not self.over:
                    yield encode(self.frame())
        yield encode(self.frame())

    def frame(self) -> dict[str, Any]:
        surface = surface_picture(sweep_info(self._record)) if self._record is not None else None
        position = max(self._turns.position(self), 0)
        return {
            "kind": "sweep",
            "state": self._state,
            "stopped": self._stop.is_set(),
            "position": position,
            "message": self._message,
            "surface": surface,
        }

    def _work(self) -> None:
        try:
            if self._turns.wait(self, self._stop):
                self._state = "running"
                self._changed.set()
                for record in self._measure(self._stop):
                    self._record = record
                    self._changed.set()
            self._state = "done"
        except PlaygroundError as error:
            self._message, self._state = str(error), "failed"
        except Exception as error:
            logger.exception("a sweep failed")
            self._message = f"The sweep broke off: {type(error).__name__}: {error}. What was measured stays."
            self._state = "failed"
        finally:
            self._turns.leave(self)
            self._changed.set()
