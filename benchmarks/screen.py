"""What serving the screen costs the engine: `python -m benchmarks.screen [--browser]`.

Theory: a worker thread decodes, the page's generator takes the latest snapshot at most 11 times a second. A frame is
a few milliseconds of Python beside steps of tens of milliseconds, so the engine should lose a few percent, whatever the
rate of its steps. Measured: the same greedy run (no plain lane) bare, then with a client that reads the stream and
draws nothing, alternating; the drafting lane's own tokens/s by the wall clock. With --browser also the main-thread time
of a real Chromium for a draw of the page, how many draws a second it makes of a 200-node tree, and what Stop takes.

Prints a table and one JSON line last.
"""

from __future__ import annotations

import argparse
import json
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from playground.config import BeamShape, EngineOptions, Message, RunRequest
from playground.session import Session
from playground.trace import Record, StepRecord

PROMPT = "Write a short story about a lighthouse keeper who finds a message in a bottle."


class Timed:
    """A session that notes the wall time between its first and last step."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self.rate = 0.0

    @property
    def info(self) -> Any:
        return self._session.info

    def check(self, request: RunRequest) -> None:
        self._session.check(request)

    def run(self, request: RunRequest, stop: threading.Event) -> Iterator[Record]:
        begun, tokens, latest = 0.0, 0, 0.0
        for record in self._session.run(request, stop):
            if isinstance(record, StepRecord):
                latest = time.perf_counter()
                tokens = tokens + len(record.emitted) if begun else 0
                begun = begun or latest
            yield record
        self.rate = tokens / (latest - begun) if latest > begun else 0.0


def bare(timed: Timed, request: RunRequest) -> float:
    """Tokens per second with nobody watching."""
    for _ in timed.run(request, threading.Event()):
        pass
    return timed.rate


def served_rate(timed: Timed, url: str, request: RunRequest) -> tuple[float, int]:
    """Tokens per second while a client reads every frame, and the frames it read."""
    from gradio_client import Client

    client = Client(url, verbose=False)
    job = client.submit(*widget_values(request), api_name="/run")
    frames = sum(1 for _ in job)
    client.close()
    return timed.rate, frames


def widget_values(request: RunRequest) -> list[Any]:
    """The rail's values for a request, in the order of `settings.Widgets`."""
    shape, sampling = request.shape, request.sampling
    return [
        request.prompt,
        shape.width,
        shape.length,
        request.max_new_tokens,
        sampling.temperature,
        sampling.top_p,
        sampling.top_k,
        sampling.seed,
        request.race,
        request.chat_template,
        "",
    ]


def browser_figures(url: str) -> dict[str, float]:
    """Draws of a 200-node tree in Chromium: milliseconds of main thread each, draws a second, and Stop in seconds."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        flags = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=flags)
        page = browser.new_page(viewport={"width": 1440, "height": 1000})
        page.goto(url)
        page.wait_for_selector(".rp-app[data-state=done]")
        page.wait_for_selector(".rp-pair[data-pair=ready]")
        first_paint = page.evaluate("performance.getEntriesByType('paint')[0]?.startTime ?? 0")
        drawing = _draws(page)
        stop = _stop_seconds(page)
        browser.close()
    return {"first_paint_ms": first_paint, **drawing, "stop_seconds": stop}


def _draws(page: Any) -> dict[str, float]:
    """Redraw a made-up 200-node step as fast as it goes, painted each time."""
    session = page.context.new_cdp_session(page)
    session.send("Performance.enable", {"timeDomain": "threadTicks"})

    def busy() -> float:
        metrics = session.send("Performance.getMetrics")["metrics"]
        return float(next(item["value"] for item in metrics if item["name"] == "TaskDuration"))

    page.evaluate(WIDE_STEP)
    before, draws, seconds = busy(), 40, 0.0
    seconds = page.evaluate(REDRAW, draws) / 1000
    return {
        "draws_per_second": draws / seconds,
        "main_thread_ms_per_draw": (busy() - before) / draws * 1000,
    }


WIDE_STEP = """() => {
  const parent = [-1], depth = [0];
  for (let node = 1; node < 200; node += 1) {
    parent.push(Math.floor((node - 1) / 3));
    depth.push(depth[parent[node]] + 1);
  }
  const each = (make) => parent.map((_, node) => make(node));
  const step = {
    position: 10, columns: 6, rows: 140, pick: null, path: [0, 1], beams: [], mask: [], slots: 400, saving: '',
    verdict: '', ms: [1, 1, 1, 1, 1], emitted: 2,
  };
  const nodes = {
    parent, depth, row: each((node) => (node * 7) % 140), token: each((node) => node), hex: each(() => '20'),
    status: 'ra' + 'xu'.repeat(99), draft: each(() => 0.2), base: each(() => 0.1), rank: each(() => 3),
    reason: each(() => 'Rejected'), beams: each(() => [0]),
  };
  window.wideStep = (index) => (
    { ...step, index, nodes: { ...nodes, label: each((node) => '·tok' + (node + index)) } });
}"""
REDRAW = """(draws) => new Promise((resolve) => {
  const store = ReDrafter.store; const begun = performance.now(); let left = draws;
  const next = () => {
    if (!left) { resolve(performance.now() - begun); return; }
    left -= 1; store.index = 0; store.run.cache.set(0, window.wideStep(left)); store.emit('run');
    requestAnimationFrame(() => requestAnimationFrame(next));
  };
  next();
})"""


def _stop_seconds(page: Any) -> float:
    run = page.get_attribute(".rp-app", "data-run")
    page.click("#rp-run")
    page.wait_for_function("key => document.querySelector('.rp-app').dataset.run !== key", arg=run)
    page.wait_for_selector(".rp-app[data-state=running]")
    begun = time.perf_counter()
    page.click("#rp-stop")
    page.wait_for_selector(".rp-app[data-state=done]")
    return time.perf_counter() - begun


def measure(pairs: int, request: RunRequest, look: Callable[[str], dict[str, float]] | None) -> dict[str, Any]:
    """Bare and served runs in turn, so that a machine that warms or tires treats both alike."""
    from playground.ui import SessionHost
    from playground.ui.serving import serve

    timed = Timed(Session.open(None, None, EngineOptions()))
    host = SessionHost(lambda *_: timed)
    served = serve(host, port=None, block=False)
    bare(timed, request)
    alone, watched, frames = [], [], 0
    for _ in range(pairs):
        alone.append(bare(timed, request))
        rate, frames = served_rate(timed, served.url, request)
        watched.append(rate)
    seen = look(served.url) if look else {}
    served.close()
    loss = 1 - statistics.median(watched) / statistics.median(alone)
    return {"bare": alone, "served": watched, "frames": frames, "loss": loss, **seen}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=3, help="bare and served runs each")
    parser.add_argument("--tokens", type=int, default=128, help="new tokens a run")
    parser.add_argument("--browser", action="store_true", help="also look with Chromium")
    chosen = parser.parse_args()
    request = RunRequest((Message("user", PROMPT),), BeamShape(), max_new_tokens=chosen.tokens, race=False)
    result = measure(chosen.pairs, request, browser_figures if chosen.browser else None)
    for name, rates in (("bare", result["bare"]), ("served", result["served"])):
        print(f"{name:8} {statistics.median(rates):8.2f} tok/s   ({', '.join(f'{rate:.2f}' for rate in rates)})")
    print(f"loss     {result['loss']:8.1%}   (target: at most 5%; {result['frames']} frames read)")
    for name in ("first_paint_ms", "draws_per_second", "main_thread_ms_per_draw", "stop_seconds"):
        if name in result:
            print(f"{name:24} {result[name]:8.2f}")
    print(json.dumps(result))


if __name__ == "__main__":
    main()
