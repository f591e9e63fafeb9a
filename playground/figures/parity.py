"""Did the two lanes write the same text? Compares what each lane emitted on its own.

Knows token ids and the plain lane's gaps; nothing of how they came about.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from playground.trace import ParityRecord

Value = TypeVar("Value")


def compare(redrafter: Sequence[int], plain: Sequence[int], gaps: Sequence[float], *, finished: bool) -> ParityRecord:
    """Compare new tokens one by one.

    Args:
        redrafter, plain: new tokens of each lane so far.
        gaps: for each plain token, the plain lane's difference between the two best values it was picked from.
        finished: both lanes ran to their own end; without it `identical` is None.
    """
    compared = min(len(redrafter), len(plain))
    differs = (index for index in range(compared) if redrafter[index] != plain[index])
    first = next(differs, None)
    if first is None and finished and len(redrafter) != len(plain):
        first = compared
    return ParityRecord(
        identical=first is None if finished else None,
        compared=compared,
        first_difference=first,
        redrafter_token=_at(redrafter, first),
        plain_token=_at(plain, first),
        gap=_at(gaps, first),
    )


def _at(values: Sequence[Value], index: int | None) -> Value | None:
    return values[index] if index is not None and index < len(values) else None
