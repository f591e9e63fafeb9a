"""What serving the screen costs the engine: `python -m benchmarks.screen [--browser] [--out FILE]`.

Theory: a worker thread decodes, the page's generator takes the latest snapshot at most 11 times a second. A frame is
about 4 ms of Python beside steps of tens of milliseconds, so the engine should lose a few percent, whatever the rate
of its steps. Measured: the same greedy run (no plain lane) bare, with nothing served, then watched by a client that
reads the stream and draws nothing in a process of its own; in turn, so that a machine that warms or tires treats both
alike. The rate is the drafting lane's own, by the wall clock. Behind: the longest that any step took from the engine
to its viewer. With --browser the same once more with a real Chromium drawing on the same cores, reported apart, and
what it makes of a 200-node tree.

Bare and watched runs both decode in a thread that ends with the run, as the page's do, and the pair is loaded in one.
Were it loaded in the main thread, that thread's idle OpenMP team would make every watched run a third slower
(playground/ui/live_work.py says why), and the screen would be blamed for it.

Prints a table and one JSON line last.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from benchmarks.cpu.machine import processor
from benchmarks.screen_browser import chromium, open_page, page_figures, watch_run
from playground.config import BeamShape, EngineOptions, Message, RunRequest, nodes_name
from playground.line import Line, Place
from playground.session import Session
from playground.trace import Record, StepRecord
from playground.ui.settings import Widgets

PROMPT = "Write a short story about a lighthouse keeper who finds a message in a bottle."
Made = TypeVar("Made")
Seen = Sequence[tuple[int, float]]  # (steps shown, seconds since the epoch), rising


class Timed:
    """A session that notes when its steps were made."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self.made: list[float] = []  # by step, seconds since the epoch
        self.tokens = 0  # of all steps but the first

    @property
    def info(self) -> Any:
        return self._session.info

    @property
    def line(self) -> Line:
        return self._session.line

    @line.setter
    def line(self, line: Line) -> None:
        self._session.line = line

    @property
    def rate(self) -> float:
        """Tokens per second between the first step and the last."""
        return self.tokens / (self.made[-1] - self.made[0])

    def check(self, request: RunRequest) -> None:
        self._session.check(request)

    def run(self, request: RunRequest, stop: threading.Event, place: Place | None = None) -> Iterator[Record]:
        self.made, self.tokens = [], 0
        for record in self._session.run(request, stop, place):
            if isinstance(record, StepRecord):
                self.tokens += len(record.emitted) if self.made else 0
                self.made.append(time.time())
            yield record


@dataclass
class Watched:
    """Runs with somebody watching."""

    rates: list[float] = field(default_factory=list)
    behind: list[float] = field(default_factory=list)  # seconds, the longest of each run
    frames: list[float] = field(default_factory=list)  # per second

    def add(self, timed: Timed, seen: Seen) -> None:
        self.rates.append(timed.rate)
        self.behind.append(longest_behind(timed.made, seen))
        self.frames.append((len(seen) - 1) / (seen[-1][1] - seen[0][1]))
        print(f"  watched {self.rates[-1]:.2f} tok/s, behind {self.behind[-1]:.3f} s", file=sys.stderr, flush=True)


def longest_behind(made: Sequence[float], seen: Seen) -> float:
    """The longest time between a step's making and the first frame that shows it or a later one."""
    return max(next(at for steps, at in seen if steps > step) - when for step, when in enumerate(made))


def in_thread(work: Callable[[], Made]) -> Made:
    """Do it in a thread that ends."""
    done: list[Made] = []
    thread = threading.Thread(target=lambda: done.append(work()))
    thread.start()
    thread.join()
    return done[0]


def bare(timed: Timed, request: RunRequest) -> float:
    """Tokens per second with nothing served."""

    def decode() -> None:
        for _ in timed.run(request, threading.Event()):
            pass

    in_thread(decode)
    print(f"  bare {timed.rate:.2f} tok/s", file=sys.stderr, flush=True)
    return timed.rate


def read(url: str, request: RunRequest) -> Seen:
    """A run's frames as the reading client got them."""
    command = [sys.executable, "-m", "benchmarks.screen_reader", url]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as client:
        assert client.stdin is not None and client.stdout is not None
        client.stdout.readline()  # it has started, and costs nothing now
        client.stdin.write(json.dumps(widget_values(request)) + "\n")
        client.stdin.flush()
        return [(steps, at) for steps, at, _ in json.loads(client.stdout.readline())]


def widget_values(request: RunRequest) -> list[Any]:
    """The rail's values for a request, in the order of `settings.Widgets`."""
    shape, sampling = request.shape, request.sampling
    widgets = Widgets(
        prompt=request.prompt,
        width=shape.width,
        length=shape.length,
        nodes=nodes_name(shape.nodes),
        new_tokens=request.max_new_tokens,
        temperature=sampling.temperature,
        top_p=sampling.top_p,
        top_k=sampling.top_k,
        seed=sampling.seed,
        race=request.race,
        chat_template=request.chat_template,
        system="",
    )
    return list(vars(widgets).values())


def measure(pairs: int, request: RunRequest, *, browse: bool) -> dict[str, Any]:
    """Bare, read, and (with `browse`) drawn runs in turn."""
    timed = in_thread(lambda: Timed(Session.open(None, None, EngineOptions())))
    bare(timed, request)
    alone, reader, browser = [], Watched(), Watched()
    figures: dict[str, float] = {}
    for _ in range(pairs):
        alone.append(bare(timed, request))
        with_page(timed, lambda url: reader.add(timed, read(url, request)))
        if browse:
            with_page(timed, lambda url: _draw(timed, url, request, browser, figures))
    found: dict[str, Any] = {"bare": _rounded(alone, 2), **_told(reader, alone)}
    return {**found, "browser": {**_told(browser, alone), **figures}} if browse else found


def with_page(timed: Timed, work: Callable[[str], None]) -> None:
    """Serve the page for as long as `work` takes: bare runs have no server beside them."""
    from playground.ui import SessionHost
    from playground.ui.serving import serve

    host = SessionHost(lambda *_: timed)
    served = serve(host, port=None, block=False)
    work(served.url)
    served.close()


def _draw(timed: Timed, url: str, request: RunRequest, browser: Watched, figures: dict[str, float]) -> None:
    with chromium() as opened:
        page = open_page(opened, url, request)
        browser.add(timed, watch_run(page))
        figures.update(figures or page_figures(page))


def _told(watched: Watched, alone: Sequence[float]) -> dict[str, Any]:
    return {
        "served": _rounded(watched.rates, 2),
        "loss": round(1 - statistics.median(watched.rates) / statistics.median(alone), 4),
        "behind_seconds": _rounded(watched.behind, 3),
        "frames_per_second": _rounded(watched.frames, 1),
    }


def _rounded(values: Sequence[float], places: int) -> list[float]:
    return [round(value, places) for value in values]


def show(result: dict[str, Any]) -> None:
    """The table."""
    print(f"{'bare':16} {statistics.median(result['bare']):8.2f} tok/s   {result['bare']}")
    for name, part in (("reader", result), ("Chromium", result.get("browser"))):
        if part:
            print(f"{name:16} {statistics.median(part['served']):8.2f} tok/s   {part['served']}")
            print(f"{'  loss':16} {part['loss']:8.1%}{'   (target: at most 5%)' if part is result else ''}")
            print(f"{'  behind':16} {max(part['behind_seconds']):8.3f} s       (target: at most 0.5 s)")
            print(f"{'  frames':16} {statistics.median(part['frames_per_second']):8.1f} a second")
    for name, value in result.get("browser", {}).items():
        if isinstance(value, float) and name != "loss":
            print(f"{name:24} {value:8.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=3, help="bare and watched runs each")
    parser.add_argument("--tokens", type=int, default=128, help="new tokens a run")
    parser.add_argument("--browser", action="store_true", help="also watch with Chromium")
    parser.add_argument("--out", type=Path, help="write the result there")
    chosen = parser.parse_args()
    request = RunRequest((Message("user", PROMPT),), BeamShape(), max_new_tokens=chosen.tokens, race=False)
    result = measure(chosen.pairs, request, browse=chosen.browser)
    show(result)
    print(json.dumps(result))
    if chosen.out:
        command = "python -m benchmarks.screen " + " ".join(sys.argv[1:])
        commit = subprocess.run(
            ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=True
        ).stdout.strip()
        told = {"command": command, "commit": commit, **processor(), "unit": "tokens/s", **result}
        chosen.out.write_text(json.dumps(told, indent=1) + "\n")


if __name__ == "__main__":
    main()
