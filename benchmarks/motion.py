"""How smoothly a step moves: `python -m benchmarks.motion [--seconds 6] [--out FILE]`.

Theory: a step in motion sets a transform and an opacity for each of at most some sixty pills and edges a frame. That is
a few milliseconds of the browser's main thread, so 60 frames a second fit on two idle cores without a GPU, where
Chromium paints in software. Measured: in a real Chromium over the bundled examples and a made-up wide tree, while Play
films one step after the other, the time between two frames (requestAnimationFrame; 16.7 ms is every frame of 60 a
second) and the main thread's work in one, with its parts. Beside it the same for a page that stands still: what this
machine gives to frames that have nothing to draw. Nothing is decoded meanwhile.

Prints a table and one JSON line last.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.cpu.machine import load, processor
from benchmarks.screen_browser import chromium, wide_step
from playground.config import EngineOptions
from playground.session import Session
from playground.ui.host import SessionHost
from playground.ui.serving import serve
from playground.views.picture import step_picture

FRAME_MS = 1000 / 60
LATE_MS = 1.5 * FRAME_MS  # a frame was left out
SPEEDS = ("0.25", "1", "8")
PARTS = {"script": "ScriptDuration", "style": "RecalcStyleDuration", "layout": "LayoutDuration"}
FRAMES = """(seconds) => new Promise((resolve) => {
  const times = [];
  const note = (now) => {
    times.push(now);
    if (now - times[0] < seconds * 1000) requestAnimationFrame(note);
    else resolve(times.slice(1).map((time, at) => time - times[at]));
  };
  requestAnimationFrame(note);
})"""
WIDE = """(step) => {
  const { store } = ReDrafter;
  store.goTo(0);
  for (let at = 0; at < store.run.steps; at += 1) store.run.cache.set(at, { ...step, index: at });
  store.emit('run');
}"""


def frames(page: Any, seconds: float) -> dict[str, float]:
    """Between frames and within them, while whatever the page does goes on."""
    session = page.context.new_cdp_session(page)
    session.send("Performance.enable", {"timeDomain": "threadTicks"})
    before = _busy(session)
    between: list[float] = page.evaluate(FRAMES, seconds)
    after = _busy(session)
    session.detach()
    each = {name: round((after[name] - before[name]) / len(between) * 1000, 2) for name in after}
    return {**told(between), **{f"{name}_ms": value for name, value in each.items()}}


def told(between: Sequence[float]) -> dict[str, float]:
    """Median, 95th percentile and the share of frames left out, of times between frames in ms."""
    ordered = sorted(between)
    return {
        "frames": len(ordered),
        "median_ms": round(statistics.median(ordered), 2),
        "p95_ms": round(ordered[int(0.95 * (len(ordered) - 1))], 2),
        "late": round(sum(value > LATE_MS for value in ordered) / len(ordered), 4),
    }


def _busy(session: Any) -> dict[str, float]:
    """Seconds of the main thread so far: in all, and in parts of it."""
    found = {item["name"]: float(item["value"]) for item in session.send("Performance.getMetrics")["metrics"]}
    return {"main_thread": found["TaskDuration"], **{name: found[metric] for name, metric in PARTS.items()}}


def measure(seconds: float) -> dict[str, Any]:
    """Standing still, then in motion at several speeds: the first example's trees, then a tree of 200 nodes."""
    served = serve(SessionHost(Session.open, None, None, EngineOptions()), port=None, block=False)
    try:
        with chromium() as browser:
            page = browser.new_page(viewport={"width": 1440, "height": 900})
            page.goto(served.url)
            page.wait_for_selector(".rp-app[data-state=done]")
            page.wait_for_selector(".rp-pair[data-pair=ready]", timeout=300_000)
            page.wait_for_timeout(1000)
            still = frames(page, seconds)
            example = in_motion(page, seconds)
            page.evaluate(WIDE, step_picture(wide_step(), sampled=False))
            return {"still": still, "example": example, "wide": in_motion(page, seconds)}
    finally:
        served.close()


def in_motion(page: Any, seconds: float) -> dict[str, dict[str, float]]:
    """Frames by speed, while Play films the run from its first step."""
    found = {}
    for speed in SPEEDS:
        page.get_by_label("Speed of play").select_option(speed)
        page.click("[data-act=first]")
        page.click("[data-act=play]")
        page.wait_for_selector(".rp-live .rp-tree[data-phase]")
        found[speed] = frames(page, seconds)
        if page.get_attribute("[data-act=play]", "aria-label") == "Pause":
            page.click("[data-act=play]")
    return found


def show(result: dict[str, Any]) -> None:
    """The table."""
    rows = [("still", result["still"])]
    rows += [(f"{name} {speed}x", row) for name in ("example", "wide") for speed, row in result[name].items()]
    names = list(rows[0][1])
    print(f"{'':16}" + "".join(f"{name:>16}" for name in names))
    for title, row in rows:
        print(f"{title:16}" + "".join(f"{row[name]:16g}" for name in names))
    print(f"target: 60 frames a second, so a median of {FRAME_MS:.1f} ms, and no frame later than {LATE_MS:.0f} ms")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=6.0, help="of each measurement")
    parser.add_argument("--out", type=Path, help="write the result there")
    chosen = parser.parse_args()
    result = {**processor(), "load": load(), "unit": "ms", "step_in_motion": measure(chosen.seconds)}
    show(result["step_in_motion"])
    print(json.dumps(result))
    if chosen.out:
        command = "python -m benchmarks.motion " + " ".join(sys.argv[1:])
        chosen.out.write_text(json.dumps({"command": command, **result}, indent=1) + "\n")


if __name__ == "__main__":
    main()
