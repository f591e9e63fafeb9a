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
from playground.trace import BeamsRecord, Pick, StageMs, StepRecord, TreeRecord
from playground.views.picture import step_picture

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
WIDE_STEP = """(step) => {
  window.wideStep = (index) => (
    { ...step, index, nodes: { ...step.nodes, label: step.nodes.label.map((_, node) => '·tok' + (node + index)) } });
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


def wide_step(nodes: int = 200) -> StepRecord:
    """A step whose tree has so many nodes, three children each; its first child was accepted."""
    parent = (-1, *((node - 1) // 3 for node in range(1, nodes)))
    paths: list[tuple[int, ...]] = [()]  # of nodes, the root left out
    for node in range(1, nodes):
        paths.append((*paths[parent[node]], node))
    beams = [path for node, path in enumerate(paths) if node not in parent]
    length = max(map(len, beams))
    rows = tuple((*beam, *[-1] * (length - len(beam))) for beam in beams)  # [W][L], and every node is its own token
    chances = tuple((-0.5,) * length for _ in beams)
    picks = (Pick(0, 1, -0.5, 1), Pick(1, nodes, -0.5, 1))
    return StepRecord(
        index=0,
        position=10,
        beams=BeamsRecord(rows, chances, (-0.5 * length,) * len(beams)),
        tree=TreeRecord(tuple(range(nodes)), parent, tuple(map(len, paths)), rows),
        log_probability=(-1.0,) * nodes,
        rank=(3,) * nodes,
        picks=picks,
        path=(0, 1),
        emitted=(1, nodes),
        next_root=nodes,
        ms=StageMs(1.0, 1.0, 1.0, 1.0, 1.0),
        clock_ms=5.0,
        token_bytes={token: b" tok" for token in range(nodes + 1)},
    )


def _draws(page: Any) -> dict[str, float]:
    """Redraw a made-up 200-node step as fast as it goes, painted each time."""
    session = page.context.new_cdp_session(page)
    session.send("Performance.enable", {"timeDomain": "threadTicks"})

    def busy() -> float:
        metrics = session.send("Performance.getMetrics")["metrics"]
        return float(next(item["value"] for item in metrics if item["name"] == "TaskDuration"))

    page.evaluate(WIDE_STEP, step_picture(wide_step(), sampled=False))
    before, draws = busy(), 40
    seconds = page.evaluate(REDRAW, draws) / 1000
    return {
        "draws_per_second": round(draws / seconds, 1),
        "main_thread_ms_per_draw": round((busy() - before) / draws * 1000, 1),
    }
