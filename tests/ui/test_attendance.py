"""A client that goes away is noticed, whatever it closes and whether it ever held a heartbeat: its run ends, its traces
go, and the next one is served."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pytest

from playground.ui.attendance import GONE_SECONDS, Attendance
from playground.ui.host import SessionHost
from playground.ui.serving import serve
from playground.ui.store import TraceStore
from tests.ports import free_port
from tests.trust.tabs import Tab
from tests.ui.test_plumbing import Scripted
from tests.views.synthetic import make_trace

SECONDS = 1.0  # in place of GONE_SECONDS
LONG_RUN = make_trace(new_tokens=400)  # at a twentieth of a second a record it outlasts every test


@dataclass
class Site:
    url: str
    store: TraceStore
    session: Scripted

    @property
    def runs(self) -> int:
        return self.session.running

    @property
    def traces(self) -> int:
        return len(self.store._traces)


@pytest.fixture
def site() -> Iterator[Site]:
    store, session = TraceStore(), Scripted(LONG_RUN, seconds=0.05)
    session.info = SimpleNamespace(device="cpu", drafter="made up", shape="4x3")
    store.add_example("Made up", make_trace(new_tokens=6))
    host: Any = SessionHost(lambda *_: session)  # type: ignore[arg-type, return-value]
    server = serve(host, port=free_port(), block=False, store=store, gone_seconds=SECONDS)
    until(lambda: host.status.state == "ready")
    yield Site(server.url, store, session)
    server.close()


def until(true: Callable[[], bool]) -> float:
    """Seconds until it was."""
    begun = time.monotonic()
    while not true():
        assert time.monotonic() - begun < 60, "waited a minute in vain"
        time.sleep(0.02)
    return time.monotonic() - begun


def running(site: Site, tab: Tab) -> Iterator[dict[str, Any]]:
    """The tab's frames, its run well under way."""
    frames = tab.run("Hi", tokens=300)
    while next(frames)["state"] != "running":
        pass
    assert site.runs == 1 and site.traces == 1
    return frames


def assert_served(site: Site) -> None:
    """Nothing is left of who went, and another client gets its run."""
    until(lambda: site.runs == 0 and site.traces == 0 and len(site.session.line) == 0)
    tab = Tab(site.url)
    frames = running(site, tab)
    frames.close()  # type: ignore[attr-defined]
    tab.close()


def test_heartbeat_and_event_stream_are_dropped(site: Site) -> None:
    tab = Tab(site.url)
    frames = running(site, tab)
    frames.close()  # type: ignore[attr-defined]
    tab.close()
    assert_served(site)


def test_the_event_stream_alone_is_dropped(site: Site) -> None:
    """The heartbeat says that the page is still there: its run ends, and what it has is kept."""
    tab = Tab(site.url)
    frames = running(site, tab)
    frames.close()  # type: ignore[attr-defined]
    until(lambda: site.runs == 0 and len(site.session.line) == 0)
    time.sleep(2 * SECONDS)
    assert site.traces == 1
    tab.close()
    assert_served(site)


def test_the_heartbeat_alone_is_dropped(site: Site) -> None:
    """Gradio takes this for a closed page at once, as its own pages end both."""
    tab = Tab(site.url)
    frames = running(site, tab)
    tab.end_heartbeat()
    until(lambda: site.runs == 0)
    frames.close()  # type: ignore[attr-defined]
    assert_served(site)


def test_a_client_without_a_heartbeat_drops_its_event_stream(site: Site) -> None:
    tab = Tab(site.url, heartbeat=False)
    frames = running(site, tab)
    time.sleep(2 * SECONDS)
    assert site.runs == 1, "who listens is there"
    frames.close()  # type: ignore[attr-defined]
    assert_served(site)


def test_a_client_that_starts_a_run_and_never_listens(site: Site) -> None:
    tab = Tab(site.url, heartbeat=False)
    tab.begin("Hi", tokens=300)
    until(lambda: site.runs == 1)
    assert_served(site)


def test_a_client_that_runs_after_its_heartbeat_has_ended(site: Site) -> None:
    tab = Tab(site.url)
    tab.end_heartbeat()
    time.sleep(2 * SECONDS)
    frames = running(site, tab)
    frames.close()  # type: ignore[attr-defined]
    assert_served(site)


class OwnTime(asyncio.SelectorEventLoop):
    """A loop whose clock goes on by what would have been waited for, and by nothing else; its threads are itself."""

    def __init__(self) -> None:
        super().__init__()
        self.now, self.look = 0.0, self._selector.select  # type: ignore[attr-defined]
        self._selector.select = self.wait  # type: ignore[attr-defined]

    def wait(self, seconds: float | None) -> Any:
        self.now += seconds or 0.0
        return self.look(0)

    def time(self) -> float:
        return self.now

    def run_in_executor(self, _executor: Any, function: Any, *arguments: Any) -> Any:
        function(*arguments)


def test_a_page_has_left_when_its_last_stream_has_been_closed_for_a_while() -> None:
    gone: list[str] = []

    async def a_day() -> None:
        attendance = Attendance(gone.append, 20.0)
        with attendance.held("a"), attendance.held("a"):
            attendance.asked("a")
            attendance.asked("b")
            await asyncio.sleep(10)
            attendance.asked("b")
            await asyncio.sleep(15)
            assert gone == []
            await asyncio.sleep(10)
            assert gone == ["b"]
        await asyncio.sleep(10)
        with attendance.held("a"):  # it comes back in time
            await asyncio.sleep(30)
            assert gone == ["b"]
        await asyncio.sleep(30)
        assert gone == ["b", "a"]
        assert not attendance._held and not attendance._waits

    def in_own_time() -> None:
        with asyncio.Runner(loop_factory=OwnTime) as runner:
            runner.run(a_day())

    with ThreadPoolExecutor(1) as pool:  # a thread of its own: the browser's tests leave a loop running in this one
        pool.submit(in_own_time).result()
    assert gone == ["b", "a"] and GONE_SECONDS <= 60
