"""The verb `replay`: a recorded run in the terminal, both lanes at the speed they had.

On a terminal each lane has its lines, drawn over and over; elsewhere every moment is a line. Knows moments and clocks.
"""

from __future__ import annotations

import argparse
import math
import shutil
import sys
import time
from collections.abc import Callable
from typing import IO, Any

from playground.cli.options import add_verb
from playground.cli.terminal import printable
from playground.config import PlaygroundError
from playground.export import read_trace
from playground.trace import Lane, Trace
from playground.views.replay import Moment, moments
from playground.views.token_text import cells

NAMES: dict[Lane, str] = {"redrafter": "ReDrafter", "plain": "Plain"}
FRAME_SECONDS = 0.05
LINES = 7  # of text a lane


def add_verbs(verbs: Any) -> None:
    parser = add_verb(verbs, "replay", run_replay, "show a recorded run in the terminal, both lanes at true speed")
    parser.add_argument("trace", metavar="TRACE", help="a trace (JSON Lines, packed or not)")
    parser.add_argument("--speed", type=float, default=1.0, metavar="X", help="times as fast; 0 shows the end at once")


def run_replay(chosen: argparse.Namespace) -> int:
    if not math.isfinite(chosen.speed) or chosen.speed < 0:
        raise PlaygroundError(f"Speed is {chosen.speed:g}, but must be a number from 0 up. Use 1 for true speed.")
    trace = read_trace(chosen.trace)
    painter = Panes(sys.stdout) if sys.stdout.isatty() else Lines(sys.stdout)
    play(trace, painter, chosen.speed)
    if trace.footer is not None:
        print(printable(trace.footer.sentence))
    return 0


class Lines:
    """A line a moment, for files and pipes."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream

    def take(self, moment: Moment) -> None:
        text = printable(moment.text).replace("\n", "↵")
        self._stream.write(
            f"{moment.clock_ms / 1000:8.3f} s  {NAMES[moment.lane]:<9} {moment.tokens:5d} tokens  {text}\n"
        )

    def paint(self) -> None:
        self._stream.flush()


class Panes:
    """A pane a lane, drawn over itself."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream
        self._last: dict[Lane, Moment] = {}
        self._text: dict[Lane, str] = dict.fromkeys(NAMES, "")
        self._drawn = 0  # lines

    def take(self, moment: Moment) -> None:
        self._last[moment.lane] = moment
        self._text[moment.lane] += printable(moment.text)

    def paint(self) -> None:
        width = shutil.get_terminal_size().columns
        lines = [line for lane in NAMES if lane in self._last for line in self._pane(lane, width)]
        up = f"\x1b[{self._drawn}A\r" if self._drawn else ""
        self._stream.write(up + "".join(f"\x1b[2K{line}\n" for line in lines))
        self._stream.flush()
        self._drawn = len(lines)

    def _pane(self, lane: Lane, width: int) -> list[str]:
        moment = self._last[lane]
        seconds = moment.clock_ms / 1000
        rate = f", {(moment.tokens - 1) / seconds:.1f} tokens/s" if seconds > 0 and moment.tokens > 1 else ""
        body = wrapped(self._text[lane], width - 1)[-LINES:]
        return [f"{NAMES[lane]}: {seconds:.2f} s, {moment.tokens} tokens{rate}"[: width - 1], *body, *_blank(body)]


def _blank(body: list[str]) -> list[str]:
    return [""] * (LINES - len(body))


def wrapped(text: str, width: int) -> list[str]:
    """Lines of at most `width` cells."""
    lines = []
    for paragraph in text.replace("\t", "    ").split("\n"):
        line, filled = "", 0
        for char in paragraph:
            took = cells(char)
            if filled + took > width:
                lines.append(line)
                line, filled = "", 0
            line, filled = line + char, filled + took
        lines.append(line)
    return lines


def play(
    trace: Trace,
    painter: Lines | Panes,
    speed: float,
    *,
    now: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Hand every moment over when it is due, `speed` times as fast as it was; all at once at speed 0."""
    start = painted = now()
    for moment in moments(trace):
        due = start + moment.clock_ms / 1000 / speed if speed else start
        while (early := due - now()) > 0:
            painter.paint()
            sleep(min(early, FRAME_SECONDS))
            painted = now()
        painter.take(moment)
        if now() - painted > FRAME_SECONDS and speed:
            painter.paint()
            painted = now()
    painter.paint()
