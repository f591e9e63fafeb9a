"""Beside busy processes two threads of the native engine are not many times slower than one."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from playground.config import BeamShape, EngineOptions, Message, RunRequest
from playground.session import Session
from playground.trace import Footer
from tests.trust.conftest import Note

PER_CORE = 3  # busy processes
WORST = 4.0  # times slower; threads that spun were 13 times slower
pytestmark = [pytest.mark.trust, pytest.mark.timeout(1800)]


@contextmanager
def busy(count: int) -> Iterator[None]:
    """Beside so many processes that never rest, of the same standing as ours."""
    loops = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()


def rate(session: Session) -> float:
    """Tokens a second of the drafting lane."""
    asked = RunRequest((Message("user", "Tell me about rivers"),), shape=BeamShape(4, 4), max_new_tokens=64, race=False)
    footer = list(session.run(asked, threading.Event()))[-1]
    assert isinstance(footer, Footer) and footer.summary.new_tokens > 32
    found = footer.summary.redrafter_tokens_per_second
    assert found is not None
    return found


def test_two_threads_beside_busy_processes(record_property: Note) -> None:
    sessions = [Session.open(None, None, EngineOptions(engine="native", threads=threads)) for threads in (1, 2)]
    count = PER_CORE * (os.cpu_count() or 1)
    with busy(count):
        rounds = [[rate(session) for session in sessions] for _ in range(5)]
    one, two = (sorted(rates)[2] for rates in zip(*rounds, strict=True))
    record_property("busy processes", count)
    record_property("tokens/s with one thread, with two (medians of five)", f"{one:.1f}, {two:.1f}")
    assert two > one / WORST
