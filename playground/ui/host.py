"""The loaded pair behind the page: opened in the background, replaced on request, its progress readable at any time.

Knows how to call an opener and nothing of Gradio. The pair in use stays until its replacement has been loaded, so a
mistyped name costs nothing.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Protocol

from playground.config import BeamShape, EngineOptions, PlaygroundError, RunRequest
from playground.line import Line, Place
from playground.trace import Progress, Record, SessionInfo
from playground.views.page import PairState

logger = logging.getLogger(__name__)


class SessionLike(Protocol):
    """What the page needs of a session."""

    line: Line

    @property
    def info(self) -> SessionInfo: ...

    def check(self, request: RunRequest) -> None: ...

    def run(self, request: RunRequest, stop: threading.Event, place: Place | None = None) -> Iterator[Record]: ...


Opener = Callable[[str | None, str | None, EngineOptions, Callable[[Progress], None]], SessionLike]


@dataclass(frozen=True)
class HostStatus:
    """How far the pair is."""

    state: PairState
    stage: str = ""
    done: float = 0.0
    message: str = ""
    revision: int = 0  # grows with every loaded pair
    error: str = ""  # why the last load failed; the pair loaded before it, if any, is still in use
    asker: str | None = None  # the page that asked for that load, None for whoever started the server

    def error_for(self, page: str) -> str:
        """The error as a page is told it: in full to the one that asked, and to all where the server's own load failed.

        It names paths and hub ids that the page typed; others learn no more than that there is no model.
        """
        if not self.error or self.asker in (None, page):
            return self.error
        return (
            "No model is loaded: the one another page asked for could not be loaded." if self.state == "failed" else ""
        )


class SessionHost:
    """Holds at most one session and loads the next one beside it."""

    def __init__(
        self,
        opener: Opener,
        base: str | None = None,
        drafter: str | None = None,
        options: EngineOptions | None = None,
    ) -> None:
        self._opener = opener
        self._options = options or EngineOptions()
        self._wanted = (base, drafter)
        self._asker: str | None = None  # of the pair in use
        self._lock = threading.Lock()
        self._session: SessionLike | None = None
        self._status = HostStatus("idle")

    @property
    def status(self) -> HostStatus:
        return self._status

    @property
    def session(self) -> SessionLike | None:
        return self._session

    @property
    def coming(self) -> bool:
        """Whether the first pair is on its way."""
        return self._session is None and self._status.state == "loading"

    @property
    def options(self) -> EngineOptions:
        return self._options

    @property
    def wanted(self) -> tuple[str | None, str | None]:
        """Base model and drafter of the pair in use, as they were asked for; None means the default."""
        return self._wanted

    def tells_place(self, page: str) -> bool:
        """Whether a page may know where the pair in use lies: it named it, or whoever started the server did."""
        return self._asker in (None, page)

    @property
    def shape(self) -> BeamShape | None:
        """The beam shape of the pair in use; None while there is none."""
        return BeamShape.parse(self._session.info.shape) if self._session else None

    def start(self) -> None:
        """Load the pair given at construction, once."""
        if self._status.state == "idle":
            self.open(*self._wanted, self._options)

    def open(self, base: str | None, drafter: str | None, options: EngineOptions, asker: str | None = None) -> None:
        """Load a pair in the background; `asker` is the page that wants it.

        Raises:
            PlaygroundError: another pair is still loading.
        """
        with self._lock:
            if self._status.state == "loading":
                raise PlaygroundError("A model is still loading. Wait until it is ready, then load another.")
            self._status = replace(
                self._status, state="loading", stage="Loading", done=0.0, message="", error="", asker=asker
            )
        thread = threading.Thread(target=self._load, args=(base, drafter, options), name="load-pair", daemon=True)
        thread.start()

    def require(self, page: str = "") -> SessionLike:
        """The session, ready to run.

        Raises:
            PlaygroundError: it is not there yet, or could not be loaded.
        """
        if self._session is not None:
            return self._session
        if self._status.state == "failed":
            raise PlaygroundError(f"No model is loaded. {self._status.error_for(page)}".strip())
        raise PlaygroundError("The model is still loading. The example stays open meanwhile; try again in a moment.")

    def _load(self, base: str | None, drafter: str | None, options: EngineOptions) -> None:
        try:
            session = self._opener(base, drafter, options, self._progress)
        except PlaygroundError as error:
            self._failed(str(error))
        except Exception as error:
            logger.exception("loading %s failed", base or "the default pair")
            self._failed(f"{type(error).__name__}: {error}")
        else:
            if self._session is not None:
                session.line = self._session.line  # one device, one line: what runs on the old pair goes first
            self._session, self._options, self._wanted = session, options, (base, drafter)
            self._asker = self._status.asker
            revision = self._status.revision + 1
            self._status = HostStatus("ready", done=1.0, revision=revision)

    def _failed(self, error: str) -> None:
        state: PairState = "failed" if self._session is None else "ready"
        self._status = replace(self._status, state=state, message="", error=error)

    def _progress(self, progress: Progress) -> None:
        self._status = replace(self._status, stage=progress.stage, done=progress.done, message=progress.message)
