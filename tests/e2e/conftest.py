"""A real page over a tiny pair, driven by a real Chromium.

Under CI the browser must be there; elsewhere its absence skips these tests with a sentence. Every page is watched:
requests to other hosts and errors in its console fail the test that used it.
"""

from __future__ import annotations

import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from playground.config import BeamShape, EngineOptions, RunRequest
from playground.line import Line, Place
from playground.trace import Record
from tests.ports import free_port

BROWSER = "/usr/bin/chromium"
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]


class Slowed:
    """A session whose records take at least so long each: room to stop, queue and close in."""

    def __init__(self, session: Any, seconds: float) -> None:
        self._session, self.seconds = session, seconds
        self.closed = threading.Event()  # a run was over before its end

    @property
    def info(self) -> Any:
        return self._session.info

    @property
    def shape(self) -> BeamShape:
        return self._session.shape

    @property
    def line(self) -> Line:
        return self._session.line

    @line.setter
    def line(self, line: Line) -> None:
        self._session.line = line

    @property
    def pair(self) -> Any:
        return self._session.pair

    def check(self, request: RunRequest) -> None:
        self._session.check(request)

    def run(self, request: RunRequest, stop: threading.Event, place: Place | None = None) -> Iterator[Record]:
        try:
            for record in self._session.run(request, stop, place):
                yield record
                time.sleep(self.seconds)
        finally:
            if stop.is_set():
                self.closed.set()


@dataclass
class Site:
    """A served page and what is behind it."""

    url: str
    session: Slowed
    store: Any

    def wait(self, true: Callable[[], bool], seconds: float = 20.0) -> None:
        """Look until it is true."""
        deadline = time.monotonic() + seconds
        while not true():
            assert time.monotonic() < deadline, f"waited {seconds:g} s in vain"
            time.sleep(0.02)


@dataclass
class Watched:
    """A browser page and what it did that it should not have."""

    page: Any
    outside: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    if not os.environ.get("CI") and not Path(BROWSER).exists():
        pytest.skip("No Chromium here. Install Debian's: apt-get install chromium")
    assert shutil.which(BROWSER), f"CI needs a browser at {BROWSER}."
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=BROWSER, args=FLAGS)
        yield launched
        launched.close()


@pytest.fixture(scope="session")
def site(own_cache: Path, tiny_base: Path, tiny_drafter: Path) -> Iterator[Site]:
    """The page over the tiny pair, with a hostile made-up trace as its example."""
    from playground.session import Session
    from playground.ui.store import TraceStore
    from tests.views.synthetic import differing, make_trace, timed

    options = EngineOptions(device="cpu", dtype="float32")
    session = Slowed(Session.open(str(tiny_base), str(tiny_drafter), options), 0.01)
    store = TraceStore()
    store.add_example("Made up", make_trace(new_tokens=60, seed=4))
    store.add_example("Wide", make_trace(width=48, length=6, new_tokens=20, seed=1))
    store.add_example("Widest", make_trace(width=64, length=5, new_tokens=40, seed=4, hostile=False))
    store.add_example("Long beams", make_trace(width=16, length=8, new_tokens=300, seed=4, hostile=False))
    store.add_example("Lost", timed(make_trace(width=16, length=5, new_tokens=80, seed=4), node_ms=1.2))
    store.add_example("Differs", differing(make_trace(new_tokens=60, seed=4, hostile=False), 20))

    def opener(base: str | None, drafter: str | None, wanted: EngineOptions, progress: Any) -> Any:
        return session if base is None else Session.open(base, drafter, wanted, progress)

    with serving(opener, store) as url:
        yield Site(url, session, store)


@contextmanager
def serving(opener: Callable[..., Any], store: Any = None) -> Iterator[str]:
    """The page over what `opener` opens, at the address given; made-up examples where there is no `store`."""
    from playground.ui import SessionHost
    from playground.ui.serving import serve
    from playground.ui.store import TraceStore
    from tests.views.synthetic import make_trace

    if store is None:
        store = TraceStore()
        store.add_example("Made up", make_trace(new_tokens=30, seed=2))
    served = serve(SessionHost(opener), port=free_port(), block=False, store=store)
    try:
        yield served.url
    finally:
        served.close()


@pytest.fixture
def open_page(browser: Any, site: Site) -> Iterator[Callable[..., Any]]:
    """Opens pages; at the end every one of them must have kept quiet and to itself."""
    opened: list[tuple[Any, Watched]] = []

    def open_one(path: str = "", *, wait: bool = True, **context: Any) -> Any:
        made = browser.new_context(viewport={"width": 1440, "height": 1000}, **context)
        page = made.new_page()
        watched = Watched(page)
        opened.append((made, watched))
        page.on("request", lambda request: watch_request(watched, site.url, request.url))
        page.on("console", lambda message: message.type == "error" and watched.errors.append(message.text))
        page.on("pageerror", lambda error: watched.errors.append(str(error)))
        page.goto(site.url + path)
        if wait:
            page.wait_for_selector(".rp-app[data-state=done]")
            page.wait_for_selector(".rp-pair[data-pair=ready]")
        return page

    site.session.seconds = 0.01
    yield open_one
    for context, watched in opened:
        context.close()
        assert not watched.outside, f"requests to other hosts: {watched.outside}"
        assert not watched.errors, f"errors in the console: {watched.errors}"


def watch_request(watched: Watched, own: str, url: str) -> None:
    if not url.startswith((own, "data:", "blob:")):
        watched.outside.append(url)


def run_prompt(page: Any, prompt: str = "Hello there", *, tokens: int = 40) -> None:
    """Ask for a run and wait until it is over."""
    start_run(page, prompt, tokens=tokens)
    page.wait_for_selector(".rp-app[data-state=done]")


def start_run(page: Any, prompt: str = "Hello there", *, tokens: int = 40) -> str:
    """Ask for a run and wait until its first step is drawn; the run's key."""
    before = page.get_attribute(".rp-app", "data-run")
    page.get_by_label("Prompt", exact=True).fill(prompt)
    set_slider(page, "New tokens", tokens)
    page.click("#rp-run")
    page.wait_for_function(
        "before => { const app = document.querySelector('.rp-app').dataset;"
        " return app.run && app.run !== before && Number(app.steps) > 0; }",
        arg=before,
    )
    return str(page.get_attribute(".rp-app", "data-run"))


def set_slider(page: Any, name: str, value: float) -> None:
    """Type a slider's number and leave it."""
    box = page.get_by_role("spinbutton", name=name)
    box.fill(str(value))
    box.press("Tab")


def box_of(page: Any, selector: str) -> dict[str, float]:
    """Where the first such element stands, once it is drawn: views are drawn anew at any time, and a locator's own box
    is None in between."""
    found = page.evaluate(
        """async (selector) => {
          for (let look = 0; look < 100; look++) {
            const box = document.querySelector(selector)?.getBoundingClientRect();
            if (box?.width && box?.height) return { x: box.x, y: box.y, width: box.width, height: box.height };
            await new Promise((resolve) => setTimeout(resolve, 50));
          }
          return null;
        }""",
        selector,
    )
    assert found, f"{selector} is not drawn"
    return dict(found)


def show_example(page: Any, name: str) -> None:
    """Open a bundled example by its name."""
    view(page, "traces")
    page.get_by_role("button", name=name, exact=True).click()
    page.wait_for_function("() => !document.querySelector('.rp-app').dataset.run.endsWith('-0')")
    view(page, "live")


def view(page: Any, name: str) -> None:
    page.click(f"[role=tab][data-view={name}]")
    page.wait_for_selector(f".rp-app[data-shown={name}]")
