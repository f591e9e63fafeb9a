"""Numbers as people read them, one way everywhere. Knows no figure in particular."""

from __future__ import annotations

import math


def percent(share: float) -> str:
    """A share in percent: `41%`, `2.5%`, `<0.1%`; `–` where it is no number."""
    if math.isnan(share):
        return "–"
    if share >= 0.0995:
        return f"{share * 100:.0f}%"
    if share >= 0.001:
        return f"{share * 100:.1f}%"
    return "<0.1%" if share > 0 else "0%"


def ordinal(rank: int) -> str:
    """`1st`, `2nd`, `3rd`, `11th`."""
    if rank % 100 in (11, 12, 13):
        return f"{rank:,}th"
    return f"{rank:,}" + {1: "st", 2: "nd", 3: "rd"}.get(rank % 10, "th")


def plural(count: int, noun: str) -> str:
    """`1 node`, `23 nodes`."""
    return f"{count:,} {noun}" + ("" if count == 1 else "s")


def compact(count: int) -> str:
    """`135 M`, `7.2 B`."""
    for size, letter in ((1_000_000_000, "B"), (1_000_000, "M"), (1_000, "k")):
        if count >= size:
            return f"{count / size:.3g} {letter}"
    return str(count)
