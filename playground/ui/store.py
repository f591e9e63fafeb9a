"""The traces that open pages can look at, by unguessable key: runs made here, files loaded, bundled examples.

A key is the only way to a trace, so tabs cannot see each other's runs. Bounded: the oldest go first, examples never.
"""

from __future__ import annotations

import secrets
import threading
from collections import OrderedDict
from pathlib import Path

from playground.config import PlaygroundError
from playground.trace import Trace

ROOM = 256 * 2**20  # bytes of trace files together; in memory they take several times as much


class TraceStore:
    """Keeps up to `limit` traces, each owned by one page."""

    def __init__(self, limit: int = 100, room: int = ROOM) -> None:
        self._limit, self._room = limit, room
        self._lock = threading.Lock()
        self._traces: OrderedDict[str, tuple[str, Trace]] = OrderedDict()
        self._sizes: dict[str, int] = {}
        self._examples: dict[str, tuple[str, Trace]] = {}

    def add(self, trace: Trace, owner: str, *, size: int = 0) -> str:
        """Keep a trace (it may still grow) and return its key.

        Args:
            size: bytes of the file it came from.
        """
        key = secrets.token_urlsafe(12)
        with self._lock:
            self._traces[key], self._sizes[key] = (owner, trace), size
            while len(self._traces) > self._limit:
                self._drop(next(iter(self._traces)))
            while sum(self._sizes.values()) > self._room and len(self._traces) > 1:
                self._drop(next(old for old in self._traces if self._sizes[old]))
        return key

    def adopt(self, key: str, owner: str) -> None:
        """Make a trace that no page owns yet this page's: one that came from a file arrives without an owner."""
        with self._lock:
            if key in self._traces and not self._traces[key][0]:
                self._traces[key] = (owner, self._traces[key][1])

    def get(self, key: str) -> Trace:
        """The trace behind a key.

        Raises:
            PlaygroundError: it is no longer kept.
        """
        with self._lock:
            if key in self._examples:
                return self._examples[key][1]
            if key not in self._traces:
                raise PlaygroundError(
                    f"That run is gone: the server keeps the last {self._limit} runs. Download runs to keep them."
                )
            self._traces.move_to_end(key)
            return self._traces[key][1]

    def owner(self, key: str) -> str | None:
        """The page a trace belongs to, empty for none; None when it is not kept."""
        with self._lock:
            return self._traces[key][0] if key in self._traces else None

    def forget(self, owner: str) -> None:
        """Drop everything a closed page owned."""
        with self._lock:
            for key in [key for key, (who, _) in self._traces.items() if who == owner]:
                self._drop(key)

    def drop(self, key: str) -> None:
        """Forget one trace; examples stay, and a key that is not kept is forgotten already."""
        with self._lock:
            if key in self._traces:
                self._drop(key)

    def _drop(self, key: str) -> None:
        del self._traces[key], self._sizes[key]

    def add_example(self, name: str, trace: Trace) -> None:
        self._examples[f"example-{len(self._examples)}"] = (name, trace)

    @property
    def examples(self) -> dict[str, tuple[str, Trace]]:
        """key -> (name, trace), in order."""
        return dict(self._examples)


def load_examples(store: TraceStore, folder: Path) -> None:
    """Bundled traces, `1-name-of-it.jsonl` in name order."""
    from playground.export import read_trace

    for path in sorted(folder.glob("*.jsonl")):
        name = path.stem.split("-", 1)[-1].replace("-", " ")
        store.add_example(name[:1].upper() + name[1:], read_trace(path))
