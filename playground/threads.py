"""How many threads PyTorch's operations get: no more than there are cores that nothing else works on.

Their threads wait for each other many times a step, and a thread whose core is taken makes all of them wait: on two
cores with other work on both, two threads wrote 1.4 tokens a second and one wrote 18. Knows the system's counters.
"""

from __future__ import annotations

import os
import time

LOOK_SECONDS = 0.3


def cores() -> int:
    """Cores this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # macOS, Windows
        return os.cpu_count() or 1


def free_cores() -> int:
    """Cores that nothing else works on at this moment, at least one; it takes a moment to look."""
    before = _seconds()
    time.sleep(LOOK_SECONDS)
    clock, busy, own = (later - earlier for later, earlier in zip(_seconds(), before, strict=True))
    return free(cores(), os.cpu_count() or 1, max(0.0, busy - own) / clock)


def free(ours: int, all_of_them: int, others: float) -> int:
    """Of `ours` cores those left by other work that keeps `others` of all cores busy, spread evenly."""
    return max(1, min(ours, round(ours - others * ours / all_of_them)))


def _seconds() -> tuple[float, float, float]:
    """By the clock, of all cores at work, of this process at work."""
    import psutil

    machine, own = psutil.cpu_times(), psutil.Process().cpu_times()
    busy = machine.user + machine.system + getattr(machine, "nice", 0.0)
    return time.monotonic(), busy, own.user + own.system
