"""Tables of a trace, and CSV read back by Python's csv and by pandas: every cell, for any trace."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import math
import sys
from typing import Any, get_args

import pandas
import pytest
from hypothesis import given, settings

from playground.config import PlaygroundError
from playground.export import export
from playground.export.delimited import text_of_cell, to_csv
from playground.export.formats import Wish
from playground.export.parquet import to_parquet
from playground.export.tables import TableName, flat_names, flat_values, table
from playground.trace import StageMs, StepRecord, Trace
from tests.export.arbitrary import traces
from tests.views.synthetic import make_trace

NAMES: tuple[TableName, ...] = get_args(TableName)


def cells(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text, newline=""), strict=True))


def same(cell: str, value: Any) -> bool:
    """What a reader of the file gets is what stands in the trace."""
    if value is None:
        return cell == ""
    if isinstance(value, str):
        return text_of_cell(cell) == value
    return bool(json.loads(cell) == value)


@settings(max_examples=40, deadline=None)
@given(traces())
def test_csv_comes_back_cell_by_cell(trace: Trace) -> None:
    for name in NAMES:
        made = table(trace, name)
        rows, read = list(made.rows()), cells(to_csv(made))
        assert len(read) == len(rows)
        for row, found in zip(rows, read, strict=True):
            assert tuple(found) == made.columns == tuple(row)
            assert all(same(found[column], row[column]) for column in made.columns)


@settings(max_examples=40, deadline=None)
@given(traces())
def test_no_cell_is_a_formula_and_no_number_is_none(trace: Trace) -> None:
    for name in NAMES:
        made = table(trace, name)
        for row, found in zip(made.rows(), cells(to_csv(made)), strict=True):
            for column, cell in found.items():
                if isinstance(row[column], str):
                    assert not cell.startswith(("=", "+", "-", "@", "\t", "\r"))
                else:
                    assert cell.lower() not in {"nan", "inf", "-inf", "infinity", "-infinity"}


def test_the_steps_are_the_records() -> None:
    trace = make_trace(new_tokens=40, seed=3)
    rows = list(table(trace, "steps").rows())
    assert [row["index"] for row in rows] == [step.index for step in trace.steps]
    assert [row["accepted"] for row in rows] == [step.accepted for step in trace.steps]
    assert [row["ms_verify"] for row in rows] == [step.ms.verify for step in trace.steps]
    assert [row["emitted"] for row in rows] == [list(step.emitted) for step in trace.steps]
    nodes = list(table(trace, "nodes").rows())
    assert len(nodes) == sum(step.tree.nodes for step in trace.steps)
    assert sum(row["status"] == "accepted" for row in nodes) == sum(row["accepted"] for row in rows)
    beams = list(table(trace, "beams").rows())
    assert max(row["accepted"] for row in beams) == max(row["accepted"] for row in rows)
    assert [row["token"] for row in table(trace, "plain").rows()] == trace.plain_tokens


def test_the_text_of_the_steps_joins_to_the_answer() -> None:
    trace = make_trace(new_tokens=40, hostile=False, seed=3)
    words = b"".join(step.token_bytes[token] for step in trace.steps for token in step.emitted)
    assert "".join(row["text"] for row in table(trace, "steps").rows()) == words.decode()


def test_pandas_reads_it() -> None:
    trace = make_trace(new_tokens=40, seed=3)
    frame = pandas.read_csv(io.BytesIO(export(trace, "csv", Wish(table="nodes"))), keep_default_na=False)
    assert len(frame) == sum(step.tree.nodes for step in trace.steps)
    assert frame.groupby("step")["node"].count().tolist() == [step.tree.nodes for step in trace.steps]


def test_an_empty_run_has_its_columns() -> None:
    empty = Trace(make_trace(new_tokens=4).header)
    for name in NAMES[:-1]:  # the last is of the columns themselves
        assert cells(to_csv(table(empty, name))) == [] and to_csv(table(empty, name)).count("\r\n") == 1


def test_a_field_added_later_is_a_column_by_itself() -> None:
    @dataclasses.dataclass(frozen=True)
    class Budget:
        nodes: int
        ms: float

    @dataclasses.dataclass(frozen=True)
    class Later:
        index: int
        ms: StageMs
        note: str = ""
        budget: Budget | None = None

    globals()["Budget"] = Budget
    try:
        names = flat_names(Later)
        assert names[-3:] == ("note", "budget_nodes", "budget_ms")
        plain = flat_values(Later(1, StageMs(1, 2, 3, 4, 5)))
        full = flat_values(Later(1, StageMs(1, 2, 3, 4, 5), "x", Budget(7, math.nan)))
        assert tuple(plain) == names == tuple(full)
        assert plain["budget_nodes"] is None and full["budget_nodes"] == 7 and full["budget_ms"] is None
    finally:
        del globals()["Budget"]


def test_every_field_of_a_step_has_its_place() -> None:
    told = {*table(make_trace(new_tokens=4), "steps").columns, *table(make_trace(new_tokens=4), "nodes").columns}
    for field in dataclasses.fields(StepRecord):
        known = field.name in told or any(name.startswith(f"{field.name}_") for name in told)
        assert known or field.name in {"tree", "token_bytes"}, f"{field.name} is in no table"


def test_parquet_without_pyarrow_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(PlaygroundError, match=r"needs pyarrow.*pip install pyarrow.*export csv"):
        export(make_trace(new_tokens=4), "parquet")


@pytest.mark.parametrize("name", NAMES)
def test_parquet_has_the_same_rows(name: TableName) -> None:
    import pyarrow.parquet

    made = table(make_trace(new_tokens=40, seed=3), name)
    read = pyarrow.parquet.read_table(io.BytesIO(to_parquet(made)))
    assert tuple(read.column_names) == made.columns and read.to_pylist() == list(made.rows())


def test_every_column_of_every_table_says_where_it_comes_from() -> None:
    """As a table of its own, read back by pandas: the companion of a CSV file."""
    trace = make_trace(new_tokens=4)
    frame = pandas.read_csv(io.BytesIO(export(trace, "csv", Wish(table="columns"))))
    assert frame.notna().all().all() and set(frame["kind"]) == {"measured", "computed"}
    told = {name: tuple(rows["column"]) for name, rows in frame.groupby("table", sort=False)}
    assert told == {name: table(trace, name).columns for name in NAMES if name != "columns"}
    assert all(dict(table(trace, name).sources).keys() == set(table(trace, name).columns) for name in NAMES)
    by_column = frame.set_index(["table", "column"])["source"]
    assert by_column["steps", "ms_total"] == "ms_draft + ms_tree + ms_verify + ms_accept + ms_commit"
    clocks = frame[frame["column"].str.contains(r"(?:^|_)ms(?:$|_)")].set_index("column")["kind"]
    assert set(clocks.drop("ms_total")) == {"measured"} and clocks["ms_total"] == "computed"


def test_what_the_columns_say_of_sums_is_so() -> None:
    trace = make_trace(new_tokens=40, seed=3)
    steps = pandas.DataFrame(table(trace, "steps").rows())
    stages = steps[["ms_draft", "ms_tree", "ms_verify", "ms_accept", "ms_commit"]]
    assert (stages.sum(axis=1) - steps["ms_total"]).abs().max() < 1e-9
    assert (steps["drafted"] == steps["nodes"] - 1).all()
    assert [len(path) - 1 for path in steps["path"]] == steps["accepted"].tolist()
    assert [picks[-1]["token"] for picks in steps["picks"]][:-1] == steps["next_root"].tolist()[:-1]


@pytest.mark.parametrize("name", NAMES)
def test_parquet_fields_say_where_they_come_from(name: TableName) -> None:
    import pyarrow.parquet

    made = table(make_trace(new_tokens=40, seed=3), name)
    schema = pyarrow.parquet.read_schema(io.BytesIO(to_parquet(made)))
    for field in schema:
        source = made.sources[field.name]
        assert (field.metadata[b"kind"].decode(), field.metadata[b"source"].decode()) == (source.kind, source.words)
    empty = pyarrow.parquet.read_table(io.BytesIO(to_parquet(table(Trace(make_trace(new_tokens=4).header), name))))
    assert tuple(empty.column_names) == made.columns
