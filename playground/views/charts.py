"""Series for the small charts: rate over time, acceptance by position.

Record -> info; the page draws them. Knows no chart library.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from playground.figures.totals import RunTotals


@dataclass(frozen=True)
class RatePoint:
    """Tokens per second of one lane around one moment of its own clock."""

    clock_ms: float
    tokens_per_second: float


@dataclass(frozen=True)
class PositionBar:
    """How often a drafted token at one depth was accepted."""

    depth: int  # 1..L
    accepted: int  # steps that accepted at least this deep
    drafted: int  # steps whose beams reached this deep

    @property
    def share(self) -> float:
        return self.accepted / self.drafted if self.drafted else 0.0


def rate_points(events: Sequence[tuple[float, int]], points: int = 48) -> tuple[RatePoint, ...]:
    """Rate over a sliding eighth of the run (at least 0.25 s of the lane's clock), at up to `points` moments.

    Args:
        events: (clock in ms, tokens written by then), rising.
    """
    if len(events) < 2:
        return ()
    window = max(events[-1][0] / 8.0, 250.0)
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


def acceptance_by_position(totals: RunTotals) -> tuple[PositionBar, ...]:
    """One bar for each drafted depth 1..L."""
    depths = range(1, len(totals.drafted_at))
    return tuple(PositionBar(depth, totals.accepted_at[depth], totals.drafted_at[depth]) for depth in depths)
