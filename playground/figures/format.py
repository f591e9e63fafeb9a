"""Numbers as people read them, one way everywhere: `assets/js/format.js` does the same. Knows no figure."""

from __future__ import annotations

import math
import unicodedata
from decimal import ROUND_HALF_UP, Decimal

_LARGEST = 1e21  # from here on both write `1e+21`


def number(value: float, places: int = 1) -> str:
    """`1,234.5`; halves go up, as in the page's script; `–` where it is no number."""
    if not math.isfinite(value):
        return "–"
    if abs(value) >= _LARGEST:
        return repr(float(value))
    return f"{Decimal(value).quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP):,}"


def harmless(text: str, keep: str = "") -> str:
    """What a terminal would obey (controls, signs of direction, ends of lines) becomes U+FFFD, unless it is in `keep`:
    the text of a model, a trace or a file must not steer who shows it."""
    return "".join(char if char in keep or _has_shape(char) else "\ufffd" for char in text)


def _has_shape(char: str) -> bool:
    """Printable, or a space of any width."""
    return char.isprintable() or unicodedata.category(char) == "Zs"


def times(value: float) -> str:
    """A ratio of rates: `1.33×`."""
    return f"{number(value, 2)}×"


def small(value: float) -> str:
    """A difference of logits: `1.2`, `0.11`, `0.0021`, `<0.0001`."""
    if value >= 0.995:
        return number(value, 1)
    if value >= 0.0995:
        return number(value, 2)
    return number(value, 4) if value >= 0.0001 or value == 0 else "<0.0001"


def percent(share: float) -> str:
    """A share in percent: `41%`, `2.5%`, `<0.1%`; `–` where it is no number."""
    if math.isnan(share):
        return "–"
    if share >= 0.0995:
        return f"{number(share * 100, 0)}%"
    if share >= 0.001:
        return f"{number(share * 100, 1)}%"
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
