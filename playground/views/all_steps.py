"""A whole run in one picture: the accepted tokens as one line, every dead branch hanging from it where it was drafted.

Record -> info. A column is a place in the text, so branches of steps that follow each other closely lie over the same
columns; each takes the first row that is free there. Knows no colour and no chart library.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from playground.figures.format import percent
from playground.figures.nodes import Status, node_statuses
from playground.trace import StepRecord, Trace
from playground.views.chart_table import ChartTable
from playground.views.token_text import token_label


@dataclass(frozen=True)
class Spot:
    """One token of the picture."""

    column: int  # new tokens before it in the text
    row: int  # 0 is the text itself, dead branches lie below
    above: int  # index of the spot it follows, -1 for the first
    label: str
    status: Status
    step: int
    share: float | None  # the base model's probability, None for a root
    rank: int


@dataclass(frozen=True)
class AllStepsInfo:
    """The run, spot by spot; a spot stands behind the one it follows."""

    spots: tuple[Spot, ...]

    @property
    def rows(self) -> int:
        return 1 + max((spot.row for spot in self.spots), default=-1)

    @property
    def table(self) -> ChartTable:
        """One row a step: what it drafted, accepted and lost."""
        counts: dict[int, list[int]] = {}
        for spot in self.spots:
            row = counts.setdefault(spot.step, [0, 0, 0])
            row[0] += spot.status != "root"
            row[1] += spot.status == "accepted"
            row[2] += spot.status in ("rejected", "unreached")
        rows = [(str(step + 1), *map(str, row), percent(row[1] / max(1, row[0]))) for step, row in counts.items()]
        return ChartTable(("Step", "Drafted", "Accepted", "Dead", "Share"), tuple(rows))


class _Rows:
    """The rows below the text, each taken up to a column."""

    def __init__(self) -> None:
        self._taken: list[int] = []

    def take(self, first: int, last: int) -> int:
        """The first row that is free from column `first` on, now taken up to `last`."""
        for row, taken in enumerate(self._taken):
            if taken < first:
                self._taken[row] = last
                return row + 1
        self._taken.append(last)
        return len(self._taken)


def all_steps_info(trace: Trace) -> AllStepsInfo:
    """Where drafting worked along the text and where not."""
    spots: list[Spot] = []
    rows = _Rows()
    column, before = 0, -1
    for step in trace.steps:
        at = _add_step(spots, rows, step, column, before)
        column += len(step.path)
        before = at[step.path[-1]]
    return AllStepsInfo(tuple(spots))


def _add_step(spots: list[Spot], rows: _Rows, step: StepRecord, column: int, before: int) -> list[int]:
    """Append a step's nodes; the index of each node's spot."""
    tree, statuses = step.tree, node_statuses(step)
    row = _rows_of(step, rows, column)
    at: list[int] = []
    for node in range(tree.nodes):
        share = math.exp(step.log_probability[node]) if node else None
        at.append(len(spots))
        spots.append(
            Spot(
                column=column + tree.depth[node],
                row=row[node],
                above=at[tree.parent[node]] if node else before,
                label=token_label(step.token_bytes.get(tree.token[node], b"")),
                status=statuses[node],
                step=step.index,
                share=share if share is None or math.isfinite(share) else None,
                rank=step.rank[node],
            )
        )
    return at


def _rows_of(step: StepRecord, rows: _Rows, column: int) -> list[int]:
    """The row of every node: a dead branch keeps its row to its end, its own branches take others."""
    tree, path = step.tree, set(step.path)
    heir: dict[int, int] = {}  # a dead node's first child goes on in its row
    for node in range(1, tree.nodes):
        if tree.parent[node] not in path:
            heir.setdefault(tree.parent[node], node)
    row = [0] * tree.nodes
    for node in range(1, tree.nodes):
        parent = tree.parent[node]
        if node in path:
            continue
        if parent not in path and heir[parent] == node:
            row[node] = row[parent]
            continue
        end = node
        while end in heir:
            end = heir[end]
        row[node] = rows.take(column + tree.depth[parent] + 1, column + tree.depth[end])
    return row
