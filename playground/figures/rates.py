"""How fast a lane writes: tokens per second over its own clock, as a whole and along the run.

Knows clocks and counts of tokens only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

Event = tuple[float, int]  # (the lane's own clock in ms, tokens written by then)

SHORTEST_WINDOW_MS = 250.0


@dataclass(frozen=True)
class RatePoint:
    """Tokens per second of one lane around one moment of its own clock."""

    clock_ms: float
    tokens_per_second: float


def rate(tokens: int, clock_ms: float) -> float | None:
    """Tokens per second of a lane; its first token came with the prompt and does not count. None before a second."""
    return (tokens - 1) * 1000.0 / clock_ms if tokens > 1 and clock_ms > 0.0 else None


def rate_points(events: Sequence[Event], points: int = 48) -> tuple[RatePoint, ...]:
    """Rate over a sliding eighth of the run (at least 0.25 s of the lane's clock), at up to `points` moments.

    Args:
        events: rising.
    """
    if len(events) < 2:
        return ()
    window = max(events[-1][0] / 8.0, SHORTEST_WINDOW_MS)
    stride = max(1, -(-len(events) // points))
    chosen = [*range(stride, len(events), stride)]
    if not chosen or chosen[-1] != len(events) - 1:
        chosen.append(len(events) - 1)
    series, start = [], 0
    for at in chosen:
        clock, tokens = events[at]
        while start < at - 1 and events[start + 1][0] <= clock - window:
            start += 1
        span = clock - events[start][0]
        if span > 0:
            series.append(RatePoint(clock, (tokens - events[start][1]) / span * 1000.0))
    return tuple(series)
