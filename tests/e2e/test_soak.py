"""Tabs come, run and go, as in a day of use: the server's memory, threads, open files and kept traces stay flat."""

from __future__ import annotations

import gc
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from playground.config import EngineOptions
from tests.e2e.conftest import serving, start_run
from tests.trust.conftest import Note

MEMORY_BYTES = 64 << 20
"""More than this after the warm-up is a leak."""


@dataclass(frozen=True)
class Held:
    """What the server's process holds."""

    memory: int  # bytes
    threads: int
    files: int

    @classmethod
    def now(cls) -> Held:
        gc.collect()
        process = psutil.Process()
        return cls(process.memory_info().rss, threading.active_count(), process.num_fds())


@contextmanager
def tab(browser: Any, url: str) -> Iterator[Any]:
    """A tab of a window of its own, ready to run."""
    window = browser.new_context(viewport={"width": 1440, "height": 1000})
    page = window.new_page()
    page.goto(url)
    page.wait_for_selector(".rp-app[data-state=done]")
    page.wait_for_selector(".rp-pair[data-pair=ready]")
    yield page
    window.close()


def use(browser: Any, url: str, store: Any, tabs: int, runs: int) -> int:
    """Open tabs one after the other, run in each, close it; how many traces the tabs had on the server in all."""
    kept: list[str] = []
    for number in range(tabs):
        with tab(browser, url) as page:
            for run in range(runs):
                kept.append(start_run(page, f"Tab {number}, run {run}", tokens=20))
                page.wait_for_selector(".rp-app[data-state=done]")
            assert all(store.owner(key) for key in kept[-runs:])
    deadline = time.monotonic() + 60
    while any(store.owner(key) is not None for key in kept):
        assert time.monotonic() < deadline, "traces of closed tabs are still kept after a minute"
        time.sleep(0.1)
    return len(set(kept))


def soak(browser: Any, tiny_base: Path, tiny_drafter: Path, note: Note, *, tabs: int, runs: int) -> None:
    from playground.session import Session
    from playground.ui.store import TraceStore
    from tests.views.synthetic import make_trace

    session = Session.open(str(tiny_base), str(tiny_drafter), EngineOptions(device="cpu", dtype="float32"))
    store = TraceStore()
    store.add_example("Made up", make_trace(new_tokens=30, seed=2))
    with serving(lambda *_: session, store) as url:
        use(browser, url, store, 2, 2)  # what a server builds once
        before = Held.now()
        assert use(browser, url, store, tabs, runs) == tabs * runs
        deadline = time.monotonic() + 30
        while True:  # connections of closed tabs time out
            after = Held.now()
            flat = after.threads <= before.threads + 4 and after.files <= before.files + 8
            if flat or time.monotonic() > deadline:
                break
            time.sleep(0.5)
        assert flat, f"{before} became {after}"
        assert after.memory - before.memory < MEMORY_BYTES, f"{before} became {after}"
        assert len(session.line) == 0
        note("runs", f"{tabs * runs} in {tabs} tabs")
        note("resident memory, MB", f"{before.memory / 1e6:.0f} became {after.memory / 1e6:.0f}")
        note("threads", f"{before.threads} became {after.threads}")
        note("open files", f"{before.files} became {after.files}")


def test_tabs_come_and_go(
    own_cache: Path, browser: Any, tiny_base: Path, tiny_drafter: Path, record_property: Note
) -> None:
    soak(browser, tiny_base, tiny_drafter, record_property, tabs=3, runs=3)


@pytest.mark.trust
@pytest.mark.timeout(1800)
def test_two_hundred_runs_in_twenty_tabs(
    own_cache: Path, browser: Any, tiny_base: Path, tiny_drafter: Path, record_property: Note
) -> None:
    soak(browser, tiny_base, tiny_drafter, record_property, tabs=20, runs=10)
