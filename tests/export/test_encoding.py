"""A line of a trace against the standard library's JSON of the record's plain values."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given, settings

from playground.export import encode, read_trace, to_json
from playground.export.encoding import line_of
from playground.trace import LINE_TYPES, PlainRecord, Record, SweepCell, SweepRecord, Trace
from tests.export.arbitrary import traces
from tests.views.synthetic import make_trace

EXAMPLES = sorted((Path(__file__).resolve().parents[2] / "assets" / "traces").glob("*.jsonl"))
NAMES = {kind: name for name, kind in LINE_TYPES.items()}


def refuse(word: str) -> float:
    raise AssertionError(f"{word} is not JSON")


def plainly(record: Record | SweepRecord) -> str:
    body = {"type": NAMES[type(record)], **to_json(record)}
    return json.dumps(body, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def check(trace: Trace) -> None:
    for record in trace.records():
        line = line_of(record)
        assert line.endswith(b"}\n") and line.count(b"\n") == 1 and encode(record) == line[:-1].decode()
        found: Any = json.loads(line, parse_constant=refuse, object_pairs_hook=list)  # order and doubles of keys, too
        assert found == json.loads(plainly(record), object_pairs_hook=list)


@settings(max_examples=60, deadline=None)
@given(traces())
def test_any_record_is_written_as_its_plain_values_are(trace: Trace) -> None:
    check(trace)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_recorded_runs_are_written_as_they_stand_to_the_byte(path: Path) -> None:
    trace = read_trace(path)
    assert [encode(record) for record in trace.records()] == [plainly(record) for record in trace.records()]


@pytest.mark.parametrize(
    ("number", "written"), [(math.nan, None), (math.inf, 1e30), (-math.inf, -1e30), (-1e30, -1e30), (1e-5, 1e-5)]
)
def test_numbers_that_json_cannot_say(number: float, written: float | None) -> None:
    """Also beside fields that are null by right, and beside a text that says null."""
    trace = make_trace(new_tokens=20)
    last = replace(trace.steps[-1], next_root=None)
    odd = replace(last, log_probability=(0.0, *(number for _ in last.log_probability[1:])), unsent=None, budget=None)
    found = json.loads(line_of(odd), parse_constant=refuse)
    assert set(found["log_probability"][1:]) == {written} and found["next_root"] is None and found["budget"] is None
    assert trace.footer is not None
    summary = replace(trace.footer.summary, tokens_per_step=number)
    footer = json.loads(line_of(replace(trace.footer, summary=summary, text="null null")), parse_constant=refuse)
    assert footer["summary"]["tokens_per_step"] == written and footer["text"] == "null null"


def test_what_is_no_part_of_a_record_is_refused() -> None:
    odd: Any = PlainRecord(0, 1, -0.5, 1.0, 1.0, {1: object()})  # type: ignore[dict-item]
    with pytest.raises(TypeError, match="A record holds object, which JSON cannot say"):
        line_of(odd)
    frozen = PlainRecord(0, 1, -0.5, 1.0, 1.0, MappingProxyType({1: b"\xff"}))
    assert json.loads(line_of(frozen))["token_bytes"] == {"1": "ff"}
    half = replace(make_trace(new_tokens=4).header, created="\ud800")
    with pytest.raises(ValueError, match="no Unicode text"):
        line_of(half)


def test_a_sweep_is_a_line_too() -> None:
    cell = SweepCell(1, 2, 2.0, 30.0, None, 3.0, make_trace(new_tokens=4).steps[0].ms, 4, True)
    record = SweepRecord((1,), (2,), (cell,), None, "null", True)
    assert encode(record) == plainly(record)
