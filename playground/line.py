"""The line for one device: first come, first served, and everyone in it knows their place.

Knows nothing of what is done in a turn.
"""

from __future__ import annotations

import threading

from playground.config import PlaygroundError

LIMIT = 32  # places, the one whose turn it is included
LOOK_SECONDS = 0.1  # how often a waiting one looks whether it was stopped


class Line:
    """A fair lock whose waiters know their position."""

    def __init__(self, limit: int = LIMIT) -> None:
        self._limit = limit
        self._changed = threading.Condition()
        self._places: list[Place] = []

    def __len__(self) -> int:
        return len(self._places)

    def join(self) -> Place:
        """Stand in line, last.

        Raises:
            PlaygroundError: the line is full.
        """
        with self._changed:
            if len(self._places) >= self._limit:
                raise PlaygroundError(
                    f"{self._limit} runs are waiting for this device already. Try again when some have finished."
                )
            place = Place(self)
            self._places.append(place)
            return place

    def position(self, place: Place) -> int:
        """How many are before a place: 0 means it is its turn, -1 that it is no longer in the line."""
        with self._changed:
            return self._places.index(place) if place in self._places else -1

    def wait(self, place: Place, stop: threading.Event) -> bool:
        """Wait for the place's turn; False where it left the line or `stop` was set before."""
        with self._changed:
            while place in self._places and not stop.is_set():
                if self._places[0] is place:
                    return True
                self._changed.wait(LOOK_SECONDS)
            return False

    def leave(self, place: Place) -> None:
        """Give the place up, its turn come or not."""
        with self._changed:
            if place in self._places:
                self._places.remove(place)
                self._changed.notify_all()


class Place:
    """A place in a line, kept until it is left: one turn may hold several runs."""

    def __init__(self, line: Line) -> None:
        self._line = line

    @property
    def position(self) -> int:
        """How many are before it: 0 means it is its turn, -1 that it is no longer in the line."""
        return self._line.position(self)

    def wait(self, stop: threading.Event) -> bool:
        """Wait for its turn; False where it was left or `stop` was set before."""
        return self._line.wait(self, stop)

    def leave(self) -> None:
        self._line.leave(self)

    def __enter__(self) -> Place:
        return self

    def __exit__(self, *_: object) -> None:
        self.leave()
