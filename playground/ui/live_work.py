"""Work between the engine and a page: a worker thread that waits its turn, one generator that takes its latest state.

The worker never waits for the screen and the screen never for the worker: frames may be dropped, records may not.
What the work is (a run, a sweep) the subclasses say; nothing here knows Gradio.

The worker is a thread that ends with its work, like the one that loads the pair. That matters on a CPU: every thread
that has once computed keeps its own team of OpenMP threads, and with more of those than cores libgomp no longer waits
for work by spinning. Engine work in a thread that stays (the server's, a pool's) would slow every later run by a third.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any, ClassVar

from playground.config import PlaygroundError
from playground.line import Line, Place
from playground.views.page import Message, WorkState

logger = logging.getLogger(__name__)

FRAME_SECONDS = 1.0 / 11.0


class LiveWork(ABC):
    """Something a page asked for that takes the device."""

    name: ClassVar[str]  # in messages
    after_failure: ClassVar[str]  # what to do then, or what stays
    first: ClassVar[WorkState]  # the state when its turn has come

    def __init__(self, line: Line) -> None:
        self._line = line
        self._place: Place
        self._stop = threading.Event()
        self._changed = threading.Event()
        self._state: WorkState = "queued"
        self._message = ""
        self._version = 0

    @abstractmethod
    def frame(self, position: int = 0) -> Message:
        """The state now; `position` counts those before it in the line."""

    @abstractmethod
    def _records(self, place: Place) -> Iterator[Any]:
        """The work itself, in the turn of a place in the line; ended early by `_stop`."""

    @abstractmethod
    def _take(self, record: Any) -> None:
        """Keep a record."""

    def last_frame(self) -> Message:
        """The state when all is over."""
        return self.frame()

    def start(self) -> None:
        """Stand in line and work when it is this one's turn.

        Raises:
            PlaygroundError: the line is full.
        """
        self._place = self._line.join()
        threading.Thread(target=self._work, name=self.name, daemon=True).start()

    def stop(self) -> None:
        """Ask the worker to end; it does so after the step at hand."""
        self._stop.set()
        self._changed.set()

    @property
    def over(self) -> bool:
        return self._state in ("done", "failed")

    def frames(self) -> Iterator[str]:
        """Frames as JSON strings, the latest state at most 11 times a second, and one at the end."""
        sent = (-1, -2)
        while not self.over:
            now = (self._version, self._place.position if self._state == "queued" else 0)
            if now == sent:
                self._changed.wait(0.25)
                self._changed.clear()
                continue
            sent = now
            begun = time.monotonic()
            yield encode(self.frame(max(now[1], 0)))
            time.sleep(max(0.0, FRAME_SECONDS - (time.monotonic() - begun)))
        yield encode(self.last_frame())

    def _work(self) -> None:
        try:
            if self._place.wait(self._stop):
                self._set(self.first)
                for record in self._records(self._place):
                    self._take(record)
                    self._tell()
            self._set("done")
        except PlaygroundError as error:
            self._set("failed", str(error))
        except Exception as error:
            logger.exception("a %s failed", self.name)
            told = f"The {self.name} broke off: {type(error).__name__}: {error}. {self.after_failure}"
            self._set("failed", told)
        finally:
            self._place.leave()

    def _set(self, state: WorkState, message: str = "") -> None:
        self._message = message
        self._state = state
        self._tell()

    def _tell(self) -> None:
        self._version += 1
        self._changed.set()


def encode(message: Message) -> str:
    """Compact JSON, non-ASCII kept."""
    return json.dumps(message, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
