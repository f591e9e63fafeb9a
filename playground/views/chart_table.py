"""What every chart says, as a table. Knows no chart."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ChartTable:
    """A chart in words and numbers, for those who read better than they see."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
