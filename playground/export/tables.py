"""A trace as tables: its steps, its nodes, its beams and the plain lane's tokens, one dictionary a row; and a table of
where all their columns come from.

Columns follow the records' own fields, in their order, so that a field added to a record is a column without another
word; what follows from them (counts, the text) stands behind. Values are what JSON can say: no number that is none, no
infinity. Knows no file format.
"""

from __future__ import annotations

import dataclasses
import functools
import types
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from playground.export.columns import COLUMN_SOURCES, OWN_SOURCES
from playground.export.values import to_json
from playground.figures.nodes import fields_of_nodes, node_column_names, node_columns
from playground.figures.provenance import Source
from playground.trace import PlainRecord, StepRecord, Trace
from playground.views.text import LaneText, RunText
from playground.views.token_text import hex_bytes, token_label

TableName = Literal["steps", "nodes", "beams", "plain", "columns"]
Row = dict[str, Any]

ELSEWHERE = frozenset({"beams", "tree", "token_bytes"})  # fields of a step that have rows of their own, or the text


@dataclasses.dataclass(frozen=True)
class Table:
    """Columns, and rows that have them all, made as they are read."""

    columns: tuple[str, ...]
    rows: Callable[[], Iterator[Row]]
    sources: Mapping[str, Source]  # where a column comes from


def table(trace: Trace, name: TableName) -> Table:
    """One table of a trace."""
    columns, rows = _TABLES[name]
    return Table(columns(), lambda: rows(trace), OWN_SOURCES if name == "columns" else COLUMN_SOURCES[name])


def _step_columns() -> tuple[str, ...]:
    counted = ("ms_total", "beam_width", "beam_length", "nodes", "drafted", "accepted", "text")
    return tuple(dict.fromkeys((*flat_names(StepRecord, _left_out()), *counted)))


def _steps(trace: Trace) -> Iterator[Row]:
    texts = _texts_by_step(RunText().catch_up(trace).redrafter)
    for step in trace.steps:
        yield {
            **flat_values(step, _left_out()),
            "ms_total": to_json(step.ms.total),
            "beam_width": step.beams.width,
            "beam_length": step.beams.length,
            "nodes": step.tree.nodes,
            "drafted": step.tree.nodes - 1,
            "accepted": step.accepted,
            "text": texts.get(step.index, ""),
        }


def _left_out() -> frozenset[str]:
    return ELSEWHERE | set(fields_of_nodes(StepRecord))


def _node_columns() -> tuple[str, ...]:
    return ("step", "node", *node_column_names(), "label", "bytes")


def _nodes(trace: Trace) -> Iterator[Row]:
    for step in trace.steps:
        columns = node_columns(step)
        for node in range(step.tree.nodes):
            raw = step.token_bytes.get(step.tree.token[node], b"")
            yield {
                "step": step.index,
                "node": node,
                **{name: to_json(values[node]) for name, values in columns.items()},
                "label": token_label(raw),
                "bytes": hex_bytes(raw),
            }


def _beam_columns() -> tuple[str, ...]:
    return ("step", "beam", "score", "log_probability", "tokens", "log_probabilities", "nodes", "accepted")


def _beams(trace: Trace) -> Iterator[Row]:
    for step in trace.steps:
        path = set(step.path)
        beams = zip(step.beams.tokens, step.beams.log_probabilities, step.beams.scores, step.tree.node_of, strict=True)
        for beam, (tokens, log_probabilities, score, nodes) in enumerate(beams):
            valid = [place for place, node in enumerate(nodes) if node >= 0]
            yield {
                "step": step.index,
                "beam": beam,
                "score": to_json(score),
                "log_probability": to_json(sum(log_probabilities[place] for place in valid)),
                "tokens": [tokens[place] for place in valid],
                "log_probabilities": to_json([log_probabilities[place] for place in valid]),
                "nodes": [nodes[place] for place in valid],
                "accepted": sum(nodes[place] in path for place in valid),
            }


def _plain_columns() -> tuple[str, ...]:
    return (*flat_names(PlainRecord, ELSEWHERE), "text")


def _plain(trace: Trace) -> Iterator[Row]:
    items = RunText().catch_up(trace).plain.items
    for record, item in zip(trace.plain, items, strict=True):
        yield {**flat_values(record, ELSEWHERE), "text": item.text}


def _sources(_: Trace) -> Iterator[Row]:
    """The same of every trace."""
    for name, sources in COLUMN_SOURCES.items():
        for column in _TABLES[name][0]():
            yield {"table": name, "column": column, "kind": sources[column].kind, "source": sources[column].words}


_TABLES: dict[TableName, tuple[Callable[[], tuple[str, ...]], Callable[[Trace], Iterator[Row]]]] = {
    "steps": (_step_columns, _steps),
    "nodes": (_node_columns, _nodes),
    "beams": (_beam_columns, _beams),
    "plain": (_plain_columns, _plain),
    "columns": (lambda: tuple(OWN_SOURCES), _sources),
}


def flat_names(record: Any, left_out: frozenset[str] = frozenset()) -> tuple[str, ...]:
    """The columns of a record's fields; those of a record inside it are named `field_inner`."""
    names: list[str] = []
    for field, inner in _fields(record):
        if field not in left_out:
            names += [f"{field}_{name}" for name in flat_names(inner)] if inner else [field]
    return tuple(names)


def flat_values(record: Any, left_out: frozenset[str] = frozenset()) -> Row:
    """The values under `flat_names`; those of a record that is absent are None."""
    row: Row = {}
    kind: Any = type(record)
    for field, inner in _fields(kind):
        if field in left_out:
            continue
        value = getattr(record, field)
        if inner is None:
            row[field] = to_json(value)
        elif value is None:
            row |= {f"{field}_{name}": None for name in flat_names(inner)}
        else:
            row |= {f"{field}_{name}": found for name, found in flat_values(value).items()}
    return row


@functools.cache
def _fields(record: Any) -> tuple[tuple[str, type[Any] | None], ...]:
    """The fields of a record, each with the record it holds, if it holds one."""
    hints = get_type_hints(record)
    return tuple((field.name, _record_in(hints[field.name])) for field in dataclasses.fields(record))


def _record_in(hint: Any) -> type[Any] | None:
    """The record a field holds, also where it may be absent; None where it holds anything else."""
    kinds = get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)
    return next((kind for kind in kinds if isinstance(kind, type) and dataclasses.is_dataclass(kind)), None)


def _texts_by_step(lane: LaneText) -> dict[int, str]:
    texts: dict[int, str] = {}
    for item in lane.items:
        texts[item.step] = texts.get(item.step, "") + item.text
    return texts
