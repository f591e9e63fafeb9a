"""Which pages are still there: those that hold a stream open, and for a while those that asked for something.

A browser's page holds a heartbeat, and Gradio tells at once when it ends. A client that never opened one, or that asks
for more after it has closed it, nobody would notice: what it started would run to its end, and what it was sent would
be kept. Here such a page has left once it has held no stream for `GONE_SECONDS`. Knows pages by name and a clock;
nothing of HTTP and of what pages own.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

GONE_SECONDS = 30.0


class Attendance:
    """To be used in one event loop.

    Args:
        leave: called in a thread with each page that has left.
        seconds: for which a page may hold no stream.
    """

    def __init__(self, leave: Callable[[str], None], seconds: float = GONE_SECONDS) -> None:
        self._leave, self._seconds = leave, seconds
        self._held: Counter[str] = Counter()
        self._waits: dict[str, asyncio.TimerHandle] = {}

    @contextmanager
    def held(self, page: str) -> Iterator[None]:
        """While one of the page's streams is open."""
        self._held[page] += 1
        self._forget_wait(page)
        try:
            yield
        finally:
            self._held[page] -= 1
            if self._held[page] <= 0:
                del self._held[page]
                self._wait(page)

    def asked(self, page: str) -> None:
        """The page has asked for something, with or without a stream."""
        if page not in self._held:
            self._wait(page)

    def _wait(self, page: str) -> None:
        self._forget_wait(page)
        self._waits[page] = asyncio.get_running_loop().call_later(self._seconds, self._gone, page)

    def _forget_wait(self, page: str) -> None:
        if (timer := self._waits.pop(page, None)) is not None:
            timer.cancel()

    def _gone(self, page: str) -> None:
        del self._waits[page]
        asyncio.get_running_loop().run_in_executor(None, self._leave, page)
