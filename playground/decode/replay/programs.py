"""Programs kept from run to run: captures cost seconds, and memory that two can have.

Knows when to let one go; nothing of what a program is.
"""

from __future__ import annotations

import gc
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any, TypeVar

Kept = TypeVar("Kept")


class Programs:
    """Holds up to `places` of them; the least recently used one goes first."""

    def __init__(self, places: int = 2) -> None:
        self._places = places
        self._held: OrderedDict[Hashable, Any] = OrderedDict()

    def get(self, key: Hashable, build: Callable[[], Kept]) -> Kept:
        """What is held under `key`, built if nothing is; makes room before it builds."""
        if key not in self._held:
            if len(self._held) >= self._places:
                while len(self._held) >= self._places:
                    self._held.popitem(last=False)
                gc.collect()  # a program and its stages refer to each other, so nothing else lets their memory go
            self._held[key] = build()
        self._held.move_to_end(key)
        found: Kept = self._held[key]
        return found

    def clear(self) -> None:
        """Let every buffer go."""
        self._held.clear()
        gc.collect()
