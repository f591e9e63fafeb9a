"""What people and programs read: one JSON object or words on standard output, progress on standard error."""

from __future__ import annotations

import json
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from types import FrameType
from typing import IO, TYPE_CHECKING, Any

from playground.figures.format import harmless
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
            text = json.dumps(value, ensure_ascii=False, allow_nan=False)
            if not _is_unicode(text):  # a file's name may be any bytes; JSON can escape what UTF-8 cannot say
                text = json.dumps(value, allow_nan=False)
            self._stream.write(text + "\n")
            self._stream.flush()

    def words(self, text: str = "", end: str = "\n") -> None:
        """Words for people; nothing where JSON was asked for."""
        if not self.as_json:
            self._stream.write(text.encode("utf-8", "replace").decode() + end)
            self._stream.flush()


def _is_unicode(text: str) -> bool:
    return text == text.encode("utf-8", "ignore").decode()


@contextmanager
def output(as_json: bool) -> Iterator[Output]:
    """Standard output for one verb; what anything else prints meanwhile goes to standard error."""
    real = sys.stdout
    with redirect_stdout(sys.stderr):
        yield Output(real, as_json)


class LoadingBar:
    """Loading and measuring, on standard error: a tqdm bar, or a plain line a stage where that is a file."""

    def __init__(self) -> None:
        from tqdm import tqdm

        self._drawn = sys.stderr.isatty()
        self._stage = ""
        looks: dict[str, Any] = {"bar_format": "[{bar:20}] {desc}", "ascii": " #", "dynamic_ncols": True}
        self._bar = tqdm(total=1.0, miniters=0, leave=False, disable=not self._drawn, **looks)

    def __call__(self, progress: Progress) -> None:
        if self._drawn:
            self._bar.set_description_str(f"{progress.stage}: {progress.message}", refresh=False)
            self._bar.update(progress.done - self._bar.n)
        elif progress.stage != self._stage:
            print(f"{progress.stage}: {progress.message}", file=sys.stderr)
        self._stage = progress.stage

    def close(self) -> None:
        """Clear the bar."""
        self._bar.close()


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
    """A text of several lines, as a terminal may be sent it."""
    return harmless(text, keep="\n\t")
