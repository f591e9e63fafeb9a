"""The nodes of a step as columns: what became of each, what both models thought of it, the beams that run through it.

A node's status is read off the accepted path: there is no second rule of acceptance here. Columns follow the records'
own fields: one added to a record is there without another word. Knows no token's text and nothing of pictures.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence
from typing import Any, Literal, get_args, get_origin, get_type_hints

from playground.trace import NodeOrigin, StepRecord, TreeRecord

Status = Literal["root", "accepted", "rejected", "unreached"]
ALONG_PATH = frozenset({"path", "picks", "emitted"})  # lists of a step that go along its path, not over its nodes
# Columns of their own below, as older traces say them otherwise.
TOLD_BELOW: dict[type[Any], frozenset[str]] = {TreeRecord: frozenset({"log_probability", "origin"})}


def node_statuses(step: StepRecord) -> tuple[Status, ...]:
    """Status of every node [N]: rejected where the base model looked and picked otherwise, else never reached."""
    path = set(step.path)
    looked = {pick.node for pick in step.picks}

    def status(node: int) -> Status:
        if node == 0:
            return "root"
        if node in path:
            return "accepted"
        return "rejected" if step.tree.parent[node] in looked else "unreached"

    return tuple(status(node) for node in range(step.tree.nodes))


def beams_through(step: StepRecord) -> tuple[tuple[int, ...], ...]:
    """The beams that run through every node [N], in order; all of them through the root."""
    through: list[list[int]] = [[] for _ in range(step.tree.nodes)]
    through[0] = list(range(step.beams.width))
    for beam, row in enumerate(step.tree.node_of):
        for node in row:
            if node >= 0:
                through[node].append(beam)
    return tuple(tuple(beams) for beams in through)


def node_origins(step: StepRecord) -> tuple[NodeOrigin, ...]:
    """Where every node [N] came from; before schema 1.1 there were beams alone."""
    return step.tree.origin or tuple("beam" if node else "root" for node in range(step.tree.nodes))


def draft_log_probabilities(step: StepRecord) -> tuple[float | None, ...]:
    """The drafter's own of every node [N]; None for the root. Before schema 1.1 the beams alone told them."""
    if step.tree.log_probability:
        return (None, *step.tree.log_probability[1:])
    found: list[float | None] = [None] * step.tree.nodes
    for row, values in zip(step.tree.node_of, step.beams.log_probabilities, strict=True):
        for node, log_probability in zip(row, values, strict=True):
            if node >= 0:
                found[node] = log_probability
    return tuple(found)


def node_columns(step: StepRecord) -> dict[str, Sequence[Any]]:
    """Every column of a step's nodes [N]: the records' own fields first, in their order, then what follows from them.

    A field that an older trace does not have gives a column of None.
    """
    nodes = step.tree.nodes
    columns: dict[str, Sequence[Any]] = {}
    for part in (step.tree, step):
        for name in _own_columns(type(part)):
            values = getattr(part, name)
            columns[name] = values if len(values) == nodes else (None,) * nodes
    return {
        **columns,
        "origin": node_origins(step),
        "draft_log_probability": draft_log_probabilities(step),
        "status": node_statuses(step),
        "beams": beams_through(step),
    }


def node_column_names() -> tuple[str, ...]:
    """The names of `node_columns`, in order."""
    return (
        *_own_columns(TreeRecord),
        *_own_columns(StepRecord),
        *("origin", "draft_log_probability", "status", "beams"),
    )


def _own_columns(record: Any) -> tuple[str, ...]:
    return tuple(name for name in fields_of_nodes(record) if name not in TOLD_BELOW.get(record, ()))


@functools.cache
def fields_of_nodes(record: type[Any]) -> tuple[str, ...]:
    """The fields of a record that hold one plain value a node."""
    hints = get_type_hints(record)
    names = [field.name for field in dataclasses.fields(record) if field.name not in ALONG_PATH]
    return tuple(name for name in names if is_list_of_plain(hints[name]))


def is_list_of_plain(hint: Any) -> bool:
    """A type like `tuple[int, ...]`."""
    if get_origin(hint) is not tuple or get_args(hint)[-1] is not Ellipsis:
        return False
    item = get_args(hint)[0]
    return item in (int, float, str, bool) or get_origin(item) is Literal
