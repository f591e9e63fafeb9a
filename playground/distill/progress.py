"""Progress of long work: bars on standard error, and the wish to stop.

Knows stages by name only; nothing of what they do.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

Report = Callable[[int], None]
"""Called with how much is done of the stage's total."""


class Stopped(Exception):
    """The person asked to stop; everything finished so far is kept, and the same command goes on from there."""


class Bars:
    """One tqdm bar a stage, with rate and time left; silent for all but the first of several processes."""

    def __init__(self, *, silent: bool = False, stop: Callable[[], bool] = lambda: False) -> None:
        self.silent, self.stop = silent, stop
        self._bar: Any = None

    @contextmanager
    def stage(
        self, name: str, total: int | None, unit: str, initial: int = 0, *, stops: bool = True
    ) -> Iterator[Report]:
        """A bar for one stage; `report` moves it.

        Args:
            total: None where only time limits the stage.
            initial: done by an earlier run, so not part of this one's rate.
            stops: `report` raises `Stopped` once that is wished; False where the stage itself looks for it.
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

    def note(self, **figures: str) -> None:
        """Figures beside the bar, such as the loss."""
        if self._bar is not None:
            self._bar.set_postfix(figures, refresh=False)

    def _move(self, done: int) -> None:
        if self._bar is not None:
            self._bar.update(done - self._bar.n)

    def _move_or_stop(self, done: int) -> None:
        self._move(done)
        if self.stop():
            raise Stopped


def say(text: str) -> None:
    """A line for people, above whatever bar is drawn."""
    from tqdm import tqdm

    tqdm.write(text, file=sys.stderr)
