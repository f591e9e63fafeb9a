"""What a real Chromium makes of the page: when it draws the steps of a run, and how fast it can draw at all.

Used by `benchmarks.screen --browser`. Knows the page's own names (data-* attributes, ids) and nothing of the engine.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlencode

from playground.config import RunRequest

FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
NOTE_STEPS = """() => {
  window.drawnSteps = [];
  const app = document.querySelector('.rp-app');
  const before = app.dataset.run;
  new MutationObserver(() => {
    if (app.dataset.run === before) return;
    const steps = Number(app.dataset.steps);
    requestAnimationFrame(() => setTimeout(() => window.drawnSteps.push([steps, Date.now() / 1000]), 0));
  }).observe(app, { attributes: true, attributeFilter: ['data-drawn'] });
}"""
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


@contextmanager
def chromium() -> Iterator[Any]:
    """A browser, closed afterwards."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=FLAGS)
        yield browser
        browser.close()


def open_page(browser: Any, url: str, request: RunRequest) -> Any:
    """The page with its rail set to `request`, its pair ready."""
    shape = request.shape
    settings = {"w": shape.width, "l": shape.length, "n": request.max_new_tokens, "race": int(request.race)}
    page = browser.new_page(viewport={"width": 1440, "height": 1000})
    page.goto(f"{url}#{urlencode(settings)}")
    page.wait_for_selector(".rp-app[data-state=done]")
    page.wait_for_selector(".rp-pair[data-pair=ready]")
    page.get_by_label("Prompt", exact=True).fill(request.prompt)
    return page


def watch_run(page: Any) -> list[tuple[int, float]]:
    """Press Run; for every drawing the steps it shows and when it was painted (seconds since the epoch)."""
    page.evaluate(NOTE_STEPS)
    start(page)
    page.wait_for_selector(".rp-app[data-state=done]", timeout=120_000)
    page.wait_for_timeout(200)
    return [(int(steps), float(at)) for steps, at in page.evaluate("window.drawnSteps")]


def start(page: Any) -> None:
    """Press Run and wait for the first step."""
    run = page.get_attribute(".rp-app", "data-run")
    page.click("#rp-run")
    page.wait_for_function("key => document.querySelector('.rp-app').dataset.run !== key", arg=run)
    page.wait_for_selector(".rp-app[data-state=running]")


def page_figures(page: Any) -> dict[str, float]:
    """First paint, draws of a 200-node tree, and Stop in seconds."""
    first_paint = page.evaluate("performance.getEntriesByType('paint')[0]?.startTime ?? 0")
    start(page)
    begun = time.perf_counter()
    page.click("#rp-stop")
    page.wait_for_selector(".rp-app[data-state=done]")
    stop = time.perf_counter() - begun
    return {"first_paint_ms": round(first_paint, 1), "stop_seconds": round(stop, 3), **_draws(page)}


def _draws(page: Any) -> dict[str, float]:
    """Redraw a made-up 200-node step as fast as it goes, painted each time."""
    session = page.context.new_cdp_session(page)
    session.send("Performance.enable", {"timeDomain": "threadTicks"})

    def busy() -> float:
        metrics = session.send("Performance.getMetrics")["metrics"]
        return float(next(item["value"] for item in metrics if item["name"] == "TaskDuration"))

    page.evaluate(WIDE_STEP)
    before, draws = busy(), 40
    seconds = page.evaluate(REDRAW, draws) / 1000
    return {
        "draws_per_second": round(draws / seconds, 1),
        "main_thread_ms_per_draw": round((busy() - before) / draws * 1000, 1),
    }
