"""What people and programs read: one JSON object or words on standard output, progress on standard error."""

from __future__ import annotations

import json
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from types import FrameType
from typing import IO, TYPE_CHECKING, Any

from playground.views.token_text import RunningText

if TYPE_CHECKING:
    from playground.trace import Progress


class Output:
    """Standard output, kept for the result: with --json nothing else reaches it."""

    def __init__(self, stream: IO[str], as_json: bool) -> None:
        self._stream, self.as_json = stream, as_json

    def result(self, value: dict[str, Any]) -> None:
        """The one JSON object; nothing where words were asked for."""
        if self.as_json:
            json.dump(value, self._stream, ensure_ascii=False, allow_nan=False)
            self._stream.write("\n")
            self._stream.flush()

    def words(self, text: str = "", end: str = "\n") -> None:
        """Words for people; nothing where JSON was asked for."""
        if not self.as_json:
            self._stream.write(text + end)
            self._stream.flush()


@contextmanager
def output(as_json: bool) -> Iterator[Output]:
    """Standard output for one verb; what anything else prints meanwhile goes to standard error."""
    real = sys.stdout
    with redirect_stdout(sys.stderr):
        yield Output(real, as_json)


class ProgressLine:
    """Loading and measuring, on standard error: a line that redraws itself, or plain lines where that is a file."""

    def __init__(self) -> None:
        self._stream = sys.stderr
        self._tty = self._stream.isatty()
        self._stage, self._drawn, self._width = "", 0.0, 0

    def __call__(self, progress: Progress) -> None:
        now = time.monotonic()
        if self._tty:
            if now - self._drawn > 0.1 or progress.done >= 1.0:
                self._draw(f"[{'#' * round(20 * progress.done):<20}] {progress.stage}: {progress.message}")
                self._drawn = now
        elif progress.stage != self._stage:
            self._stream.write(f"{progress.stage}: {progress.message}\n")
        self._stage = progress.stage

    def close(self) -> None:
        """Clear the line."""
        if self._tty and self._width:
            self._draw("")
            self._stream.write("\r")
            self._stream.flush()

    def _draw(self, text: str) -> None:
        self._stream.write("\r" + text[:110].ljust(self._width))
        self._stream.flush()
        self._width = len(text[:110])


@contextmanager
def stop_on_interrupt() -> Iterator[threading.Event]:
    """An event that the first Ctrl-C sets, so that a run ends between two steps; the second ends the program."""
    stop = threading.Event()

    def first(_number: int, _frame: FrameType | None) -> None:
        stop.set()
        signal.signal(signal.SIGINT, previous)
        print("\nStopping after this step.", file=sys.stderr)

    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    previous = signal.signal(signal.SIGINT, first)
    try:
        yield stop
    finally:
        signal.signal(signal.SIGINT, previous)


class TextStream:
    """Bytes of tokens as text, as soon as a character is whole; what a terminal would obey is shown, not sent."""

    def __init__(self) -> None:
        self._text = RunningText()

    def feed(self, piece: bytes) -> str:
        return printable(self._text.feed(piece))

    def rest(self) -> str:
        return printable(self._text.rest())


def printable(text: str) -> str:
    """Control characters but newline and tab become U+FFFD: a model's text must not steer the terminal."""
    return "".join(char if char in "\n\t" or char.isprintable() or char.isspace() else "\ufffd" for char in text)
