"""Progress of long work: what is told, bars on standard error, and the wish to stop.

Knows stages by name only; nothing of what they do.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

Report = Callable[[float, str], None]
"""Called with the share of the work that is done, 0..1, and a message."""

Count = Callable[[int], None]
"""Called with how much is done of a stage's total."""


class Stopped(Exception):
    """The person asked to stop; everything finished so far is kept, and the same command goes on from there."""


def silent(_share: float, _message: str) -> None:
    """Nobody asked for progress."""


class Bars:
    """One tqdm bar a stage, with rate and time left; silent for all but the first of several processes."""

    def __init__(self, *, silent: bool = False, stop: Callable[[], bool] = lambda: False) -> None:
        self.silent, self.stop = silent, stop
        self._bar: Any = None

    @contextmanager
    def stage(
        self, name: str, total: int | None, unit: str, initial: int = 0, *, stops: bool = True
    ) -> Iterator[Count]:
        """A bar for one stage; the count yielded moves it.

        Args:
            total: None where only time limits the stage.
            initial: done by an earlier run, so not part of this one's rate.
            stops: the count raises `Stopped` once that is wished; False where the stage itself looks for it.
        """
        from tqdm import tqdm

        every = 0.2 if sys.stderr.isatty() else 15.0  # a log file wants few lines
        looks: dict[str, Any] = {"unit": f" {unit}", "unit_scale": total is None or total > 10_000, "desc": name}
        with tqdm(total=total, initial=initial, disable=self.silent, mininterval=every, **looks) as bar:
            self._bar = bar
            try:
                yield self._move_or_stop if stops else self._move
            finally:
                self._bar = None

    def total(self, amount: int) -> None:
        """Another total than was said at the beginning of the stage."""
        if self._bar is not None:
            self._bar.total = amount

    def look(self) -> None:
        """Between two pieces of work that no bar counts.

        Raises:
            Stopped: that is wished.
        """
        if self.stop():
            raise Stopped

    def note(self, **figures: str) -> None:
        """Figures beside the bar, such as the loss."""
        if self._bar is not None:
            self._bar.set_postfix(figures, refresh=False)

    def say(self, line: str) -> None:
        """A line for the person who waits, above the bar."""
        if not self.silent:
            from tqdm import tqdm

            tqdm.write(line, file=sys.stderr)

    def _move(self, done: int) -> None:
        if self._bar is not None:
            self._bar.update(done - self._bar.n)

    def _move_or_stop(self, done: int) -> None:
        self._move(done)
        self.look()


def told_bar(tell: Callable[[float, str], None]) -> Any:
    """A class that libraries take for tqdm: its bars draw nothing and tell how much is done, and of what unit.

    `tell` is called with the largest count that any bar of a unit has reached, never by two threads at once: libraries
    draw several bars over the same bytes.
    """
    from tqdm.auto import tqdm

    lock, largest = threading.Lock(), dict[str, float]()

    class ToldBar(tqdm):  # type: ignore[misc]
        def __init__(self, *arguments: Any, **named: Any) -> None:
            named.pop("name", None)
            self._unit, self._count = str(named.get("unit", "it")), float(named.get("initial", 0) or 0)
            super().__init__(*arguments, **{**named, "disable": True})

        def __iter__(self) -> Iterator[Any]:
            for item in self.iterable:
                yield item
                self.update()

        def update(self, n: float | None = 1) -> bool | None:
            with lock:
                self._count += n or 0
                largest[self._unit] = max(self._count, largest.get(self._unit, 0.0))
                tell(largest[self._unit], self._unit)
            return None

    return ToldBar
