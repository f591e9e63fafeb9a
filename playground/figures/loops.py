"""Tokens inside loops: those whose last eight predecessors already stood together earlier in the text.

A small model's greedy text repeats itself; loops are easy to draft and flatter every figure. Knows ids only.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

WINDOW = 8


def looped(ids: np.ndarray | Sequence[int], window: int = WINDOW) -> np.ndarray:
    """[T] bool: tokens whose last `window` predecessors already stood together earlier in `ids` [T]."""
    row = np.ascontiguousarray(ids, dtype=np.int32)
    flags = np.zeros(len(row), bool)
    seen: set[bytes] = set()
    for place in range(window, len(row)):
        key = row[place - window : place].tobytes()
        flags[place] = key in seen
        seen.add(key)
    return flags
