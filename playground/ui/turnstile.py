"""One device, many tabs: first come, first served, and everyone can see their place.

Knows nothing of what is done in a turn.
"""

from __future__ import annotations

import threading
from collections import OrderedDict

from playground.config import PlaygroundError


class Turnstile:
    """A fair lock whose waiters know their position."""

    def __init__(self, limit: int = 32) -> None:
        self._limit = limit
        self._condition = threading.Condition()
        self._line: OrderedDict[object, None] = OrderedDict()

    def join(self, ticket: object) -> bool:
        """Stand in line; False when the line is full."""
        with self._condition:
            if len(self._line) >= self._limit:
                return False
            self._line[ticket] = None
            return True

    def take_place(self, ticket: object) -> None:
        """Stand in line.

        Raises:
            PlaygroundError: the line is full.
        """
        if not self.join(ticket):
            raise PlaygroundError(
                f"{self._limit} runs are waiting for this device already. Try again when some have finished."
            )

    def position(self, ticket: object) -> int:
        """How many are before the ticket: 0 means it is its turn; -1 that it is not in the line."""
        with self._condition:
            for place, other in enumerate(self._line):
                if other is ticket:
                    return place
            return -1

    def wait(self, ticket: object, stop: threading.Event) -> bool:
        """Wait for the ticket's turn; False if `stop` was set before it came."""
        with self._condition:
            while not stop.is_set():
                if next(iter(self._line), None) is ticket:
                    return True
                self._condition.wait(0.1)
            return False

    def leave(self, ticket: object) -> None:
        with self._condition:
            self._line.pop(ticket, None)
            self._condition.notify_all()
