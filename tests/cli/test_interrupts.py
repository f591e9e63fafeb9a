"""Ctrl-C where a library swallows it: the program ends all the same, and says nothing that is not true."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path

import pytest

from playground import cli
from playground.cli.interrupts import INTERRUPTED, ends_on_interrupt
from playground.config import PlaygroundError

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def interruptible() -> Iterator[None]:
    """As in a terminal: a shell that starts the tests in the background lets them ignore Ctrl-C."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_a_swallowed_interrupt_comes_at_the_end_of_the_block() -> None:
    before = signal.getsignal(signal.SIGINT)
    went_on = False
    with pytest.raises(KeyboardInterrupt), ends_on_interrupt():
        try:
            signal.raise_signal(signal.SIGINT)
        except KeyboardInterrupt:
            went_on = True
    assert went_on and signal.getsignal(signal.SIGINT) is before


def test_an_error_that_an_interrupt_made_is_no_error() -> None:
    with pytest.raises(KeyboardInterrupt), ends_on_interrupt():
        try:
            signal.raise_signal(signal.SIGINT)
        except KeyboardInterrupt:
            raise ImportError("Could not import module") from None
    with pytest.raises(ImportError), ends_on_interrupt():
        raise ImportError("really")


def test_who_does_not_end_is_ended() -> None:
    """A program that takes every interrupt for something else is gone within seconds."""
    code = """
import signal, time
from playground.cli.interrupts import ends_on_interrupt
signal.signal(signal.SIGINT, signal.default_int_handler)
with ends_on_interrupt():
    try:
        signal.raise_signal(signal.SIGINT)
    except KeyboardInterrupt:
        pass
    time.sleep(60)
"""
    began = time.monotonic()
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=50)
    assert done.returncode == INTERRUPTED and "Interrupted." in done.stderr and 4 < time.monotonic() - began < 40


def test_a_verb_that_is_interrupted_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def verb(_chosen: object) -> int:
        try:
            signal.raise_signal(signal.SIGINT)
        except KeyboardInterrupt:
            raise PlaygroundError("The model could not be loaded.") from None
        return 0

    monkeypatch.setattr(cli.Parser, "parse_args", lambda *_: Namespace(verb=verb))
    assert cli.main([]) == INTERRUPTED
    told = capsys.readouterr().err
    assert "Interrupted." in told and "could not be loaded" not in told


def test_after_an_interrupt_the_interpreter_takes_nothing_apart(tmp_path: Path) -> None:
    """What was printed is there, the code too; a handler at the end of the program is not waited for."""
    code = f"""
import atexit, pathlib, sys
from playground.cli.interrupts import end
atexit.register(pathlib.Path({str(tmp_path / "taken apart")!r}).touch)
print("kept", end="")
print("said", end="", file=sys.stderr)
end(int(sys.argv[1]))
"""
    for number, takes_apart in ((INTERRUPTED, False), (2, True), (0, True)):
        done = subprocess.run([sys.executable, "-c", code, str(number)], cwd=ROOT, capture_output=True, text=True)
        assert (done.returncode, done.stdout, done.stderr) == (number, "kept", "said")
        assert (tmp_path / "taken apart").exists() == takes_apart
