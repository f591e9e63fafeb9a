"""What pages can ask of the server: the runs of each page, the store of traces, the pair's state.

Everything the page's own script calls goes through `Pages`; answers are plain JSON values, errors are sentences under
"error". Knows no Gradio.
"""

from __future__ import annotations

import io
import threading
from collections.abc import Callable, Iterator

from playground.config import EngineOptions, PlaygroundError, RunRequest
from playground.engine_options import exactly
from playground.export import notice, parse_trace, write_trace
from playground.figures.again import request_again, require_base
from playground.line import Place
from playground.trace import SweepRecord, Trace
from playground.ui.host import SessionHost, SessionLike
from playground.ui.live import LiveRun
from playground.ui.live_sweep import LiveSweep
from playground.ui.live_work import LiveWork
from playground.ui.store import TraceStore
from playground.views.cards import pair_picture
from playground.views.page import RunFrame, RunState, StatusPicture, StepPicture
from playground.views.picture import step_picture, trace_picture

Sweeper = Callable[
    [SessionLike, RunRequest, tuple[int, ...], tuple[int, ...], threading.Event, Place], Iterator[SweepRecord]
]


class Pages:
    """The pages of one server."""

    def __init__(
        self, host: SessionHost, sweeper: Sweeper, store: TraceStore | None = None, *, may_load: bool = True
    ) -> None:
        self.host = host
        self.may_load = may_load
        self.store = store or TraceStore()
        self._sweeper = sweeper
        self._reading = threading.Lock()  # one file at a time: a second would only take memory
        self._busy: dict[str, LiveWork] = {}
        self._waiting: set[str] = set()

    def wait_for_pair(self, owner: str) -> Iterator[None]:
        """Yields until the first pair is there or could not be loaded, or the page stops waiting."""
        self._waiting.add(owner)
        while owner in self._waiting and self.host.coming:
            yield
        self._waiting.discard(owner)

    def begin_run(self, owner: str, request: RunRequest) -> LiveRun:
        """Start a run for a page.

        Raises:
            PlaygroundError: no model yet, the request cannot run, or the device's line is full.
        """
        session = self._checked(owner, request)
        run = LiveRun(session, request, self.store, owner)
        self._begin(owner, run)
        return run

    def begin_again(self, owner: str, key: str) -> LiveRun:
        """Start the run of a kept trace again, with its settings, on the pair that is loaded.

        Raises:
            PlaygroundError: as `begin_run`; the trace is gone or still grows, or another base model made it.
        """
        session, recorded = self._session_with_drafter(owner), self.store.get(key)
        live = self._busy.get(owner)
        if isinstance(live, LiveRun) and live.trace is recorded and not live.over:
            raise PlaygroundError("That run is still going. Wait for its end, or stop it, then run it again.")
        require_base(recorded.header, session.info.base, "Load the trace's pair under Models, then try again.")
        request = request_again(recorded)
        session.check(request)
        run = LiveRun(session, request, self.store, owner, again=key)
        self._begin(owner, run)
        return run

    def begin_sweep(
        self, owner: str, request: RunRequest, widths: tuple[int, ...], lengths: tuple[int, ...]
    ) -> LiveSweep:
        """Start a sweep for a page.

        Raises:
            PlaygroundError: no model yet, the request cannot run, or the device's line is full.
        """
        session = self._checked(owner, request)

        def measure(stop: threading.Event, place: Place) -> Iterator[SweepRecord]:
            return self._sweeper(session, request, widths, lengths, stop, place)

        sweep = LiveSweep(measure, session.line)
        self._begin(owner, sweep)
        return sweep

    def _checked(self, owner: str, request: RunRequest) -> SessionLike:
        session = self._session_with_drafter(owner)
        session.check(request)
        return session

    def _session_with_drafter(self, owner: str) -> SessionLike:
        session = self.host.require(owner)
        if session.info.drafter is None:
            base = session.info.base.name
            raise PlaygroundError(
                f"No drafter is loaded for {base}. Name one under Models, or train one: {session.info.training}"
                if self.host.tells_place(owner)
                else f"No drafter is loaded for {base}, which another page loaded. Load a pair under Models, or wait "
                "until that page has named a drafter."
            )
        return session

    def stop(self, owner: str) -> None:
        """End what a page has going, after the step at hand."""
        self._waiting.discard(owner)
        live = self._busy.get(owner)
        if live is not None:
            live.stop()

    def ended(self, owner: str, live: LiveWork) -> None:
        """The page's generator is over, finished or closed: so is its work."""
        live.stop()
        if self._busy.get(owner) is live:
            del self._busy[owner]

    def leave(self, owner: str) -> None:
        """A page was closed."""
        self.stop(owner)
        self.store.forget(owner)

    def status(self, owner: str = "") -> StatusPicture:
        """How far the pair is, and what it is; why a load failed is for the page that asked for it."""
        status, session = self.host.status, self.host.session
        return {
            "state": status.state,
            "stage": status.stage,
            "done": round(status.done, 4),
            "message": status.message,
            "error": status.error_for(owner),
            "revision": status.revision,
            "pair": pair_picture(session.info, tells_place=self.host.tells_place(owner)) if session else None,
        }

    def step(self, key: str, index: int) -> StepPicture:
        """One step of a kept trace, drawn."""
        trace = self.store.get(key)
        if not 0 <= index < len(trace.steps):
            raise PlaygroundError(f"Step {index} does not exist: the run has {len(trace.steps)} steps.")
        return step_picture(trace.steps[index], sampled=trace.sampled)

    def open_trace(self, key: str) -> RunFrame:
        """A kept trace, whole."""
        trace = self.store.get(key)
        state: RunState = {"kind": "run", "key": key, "state": "done", "message": "", "position": 0, "again": ""}
        return {**state, **trace_picture(trace)}

    def load_trace(self, name: str, text: str) -> RunFrame:
        """Take in a trace file's text and show it.

        Raises:
            PlaygroundError: it is not a trace.
        """
        with self._reading:
            trace = parse_trace(name, text)
        key = self.store.add(trace, owner="", size=len(text))
        return {**self.open_trace(key), "message": notice(trace) or ""}

    def download(self, key: str) -> str:
        """A kept trace as JSON Lines."""
        buffer = io.StringIO()
        write_trace(self.store.get(key), buffer)
        return buffer.getvalue()

    def load_pair(
        self,
        base: str | None,
        drafter: str | None,
        device: str | None,
        dtype: str | None,
        device_map: str | None = None,
        *,
        owner: str | None = None,
    ) -> None:
        """Load another pair in the background.

        Empty names mean the default pair, an empty device or map the one in use; the map "none" is one device.

        Raises:
            PlaygroundError: one is loading already, an option is wrong, or pages may not load.
        """
        self._require_may_load()
        current = self.host.options
        asked = (device_map or "").strip()
        spread = None if asked.lower() == "none" else asked or current.device_map
        options = EngineOptions(
            device=(device or "").strip() or ("auto" if spread else current.device),
            dtype=dtype or "auto",  # type: ignore[arg-type]
            engine=current.engine,
            kernels=current.kernels,
            exact=current.exact,
            threads=current.threads,
            device_map=spread,
        )
        self.host.open((base or "").strip() or None, (drafter or "").strip() or None, options, owner)

    def load_exactly(self, owner: str) -> None:
        """Load the pair in use again so that both lanes write the same text, in the background.

        Raises:
            PlaygroundError: one is loading already, or pages may not load.
        """
        self._require_may_load()
        device = self.host.require(owner).info.device
        self.host.open(*self.host.wanted, exactly(self.host.options, device), owner)

    def _require_may_load(self) -> None:
        if not self.may_load:
            raise PlaygroundError(
                "This server is open to others, so pages cannot load models. Start it with --allow-loading to let them."
            )

    def _begin(self, owner: str, live: LiveWork) -> None:
        self.stop(owner)
        live.start()
        self._busy[owner] = live


def first_trace(store: TraceStore) -> tuple[str, Trace] | None:
    """The example a fresh page shows."""
    for key, (_, trace) in store.examples.items():
        return key, trace
    return None
