"""Where the nodes of a prefix tree stand on a plane: left to right, a column a depth, parents centred.

Knows parents only. Leaves take one row each in the order of their first beam, so no two edges cross; a parent stands
midway between its first and last child.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class TreeLayout:
    """Columns and rows of N nodes, in units of one cell."""

    column: tuple[int, ...]  # [N] depth
    row: tuple[float, ...]  # [N]
    columns: int
    rows: int
    pick_row: float | None  # row of the pick that ended the step, one column right of its node


def tree_layout(parent: Sequence[int], pick_at: int | None = None) -> TreeLayout:
    """Lay out a tree whose parents stand before their children (parent[0] == -1).

    Args:
        parent: [N].
        pick_at: the node whose pick ended the step; the pick is laid out as its last child.
    """
    count = len(parent)
    children: list[list[int]] = [[] for _ in range(count)]
    column = [0] * count
    for node in range(1, count):
        children[parent[node]].append(node)
        column[node] = column[parent[node]] + 1
    row = [0.0] * count
    next_row = 0
    pick_row: float | None = None
    for node, leaving in _walk(children):
        if not leaving:
            continue
        rows = [row[child] for child in children[node]]
        if node == pick_at:
            pick_row = float(next_row)
            rows.append(pick_row)
            next_row += 1
        elif not rows:
            rows.append(float(next_row))
            next_row += 1
        row[node] = (rows[0] + rows[-1]) / 2
    columns = max(column) + 1
    if pick_at is not None:
        columns = max(columns, column[pick_at] + 2)
    return TreeLayout(tuple(column), tuple(row), columns, next_row, pick_row)


def _walk(children: list[list[int]]) -> list[tuple[int, bool]]:
    """Depth first without recursion: each node once on the way in (False) and once on the way out (True)."""
    order: list[tuple[int, bool]] = []
    stack = [(0, False)]
    while stack:
        node, leaving = stack.pop()
        order.append((node, leaving))
        if not leaving:
            stack.append((node, True))
            stack.extend((child, False) for child in reversed(children[node]))
    return order
