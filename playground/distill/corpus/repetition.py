"""How long an answer has been going round in circles, told token by token.

The same measure as `figures.loops`, within one answer: what it copies from the user's words is no repetition.
"""

from __future__ import annotations

from collections import deque

from playground.figures.loops import WINDOW


class Repetition:
    """Counts an answer's latest tokens whose last eight predecessors already stood together in it."""

    def __init__(self, window: int = WINDOW) -> None:
        self.length = 0  # tokens in a row, up to the latest
        self._last: deque[int] = deque(maxlen=window)
        self._seen: set[tuple[int, ...]] = set()

    def add(self, token: int) -> int:
        """Take the answer's next token; the length with it."""
        before = tuple(self._last)
        if len(before) == self._last.maxlen:
            self.length = self.length + 1 if before in self._seen else 0
            self._seen.add(before)
        self._last.append(token)
        return self.length
