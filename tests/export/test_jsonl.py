"""Traces survive the way out and back; what is no trace is refused with the line and the remedy."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path

import jsonschema
import pytest

from playground.export import TraceError, encode, notice, read_trace, write_trace
from playground.export.jsonl import SCHEMA_FILE
from playground.trace import LINE_TYPES, BeamsRecord, SweepCell, SweepRecord, Trace
from tests.views.synthetic import make_trace

EXAMPLES = Path(__file__).resolve().parents[2] / "assets" / "traces"


OLD = Path(__file__).with_name("trace-1.0.jsonl")


def lines_of(trace: Trace, path: Path) -> list[str]:
    write_trace(trace, path)
    return path.read_text(encoding="utf-8").splitlines()


def rewritten(path: Path, lines: list[str]) -> Path:
    path.write_text("".join(line + "\n" for line in lines), encoding="utf-8")
    return path


def changed(line: str, **keys: object) -> str:
    return json.dumps(json.loads(line) | keys)


@pytest.fixture(scope="module")
def schema() -> jsonschema.Draft202012Validator:
    body = json.loads(SCHEMA_FILE.read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(body)
    return jsonschema.Draft202012Validator(body)


def test_round_trip(trace: Trace, tmp_path: Path) -> None:
    lines_of(trace, tmp_path / "run.jsonl")
    assert read_trace(tmp_path / "run.jsonl") == trace
    assert notice(trace) is None
    assert sorted(p.name for p in tmp_path.iterdir()) == ["run.jsonl"]  # no temporary file stays


def test_every_line_fits_the_schema(trace: Trace, tmp_path: Path, schema: jsonschema.Draft202012Validator) -> None:
    for line in lines_of(trace, tmp_path / "run.jsonl"):
        schema.validate(json.loads(line))
    cell = SweepCell(1, 2, 1.5, 20.0, None, 3.0, trace.steps[0].ms, 8, None)
    schema.validate(json.loads(encode(SweepRecord((1,), (2,), (cell,), None, "Hi", True))))
    broken = json.loads(encode(trace.steps[0])) | {"path": "0"}
    assert not schema.is_valid(broken)


def test_schema_names_every_field() -> None:
    definitions = json.loads(SCHEMA_FILE.read_text(encoding="utf-8"))["$defs"]
    for record in LINE_TYPES.values():
        stated = definitions[record.__name__]
        assert set(stated["properties"]) == {field.name for field in dataclasses.fields(record)}


def test_cut_off_trace_loads_with_a_notice(trace: Trace, tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    lines = lines_of(trace, path)
    kept = [line for line in lines if json.loads(line)["type"] in {"header", "prompt", "step"}]
    path.write_text("\n".join(kept) + "\n" + kept[-1][:40], encoding="utf-8")  # half a line at the end
    loaded = read_trace(path)
    assert loaded.steps == trace.steps and not loaded.complete
    told = notice(loaded)
    assert told is not None and "cut off after 2 steps" in told


def test_unknown_keys_and_record_types_are_ignored(trace: Trace, tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    lines = lines_of(trace, path)
    lines[0] = changed(lines[0], schema_version="1.9", colour="blue")
    lines.insert(1, '{"type": "energy", "joules": 3}')
    loaded = read_trace(rewritten(path, lines))
    assert loaded.steps == trace.steps and loaded.footer == trace.footer


def test_a_trace_of_the_first_version_is_read() -> None:
    """Recorded before budgets: its trees are those of the surviving beams."""
    old = read_trace(OLD)
    assert old.header.schema_version == "1.0" and len(old.steps) == 3 and not old.complete
    assert old.header.settings.nodes is None and not old.header.settings.copy_tail and old.header.costs is None
    assert all(step.budget is None and step.unsent is None and step.tree.origin == () for step in old.steps)


def test_a_trace_of_the_second_version_is_read() -> None:
    """Recorded before details: every digit, and 32 candidates that were not sent."""
    old = read_trace(OLD.with_name("trace-1.1.jsonl"))
    assert old.header.schema_version == "1.1" and old.header.detail == "full" and len(old.steps) == 3
    assert all(step.unsent is not None and len(step.unsent.token) == 32 for step in old.steps)
    assert old.steps[0].ms.draft == pytest.approx(1.5, abs=1.5) and old.plain[2].index == 2


def test_newer_major_version_is_refused(trace: Trace, tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    lines = lines_of(trace, path)
    lines[0] = changed(lines[0], schema_version="2.0")
    with pytest.raises(TraceError, match=r"line 1: schema version 2\.0 is newer than the 1\.x.*Update the playground"):
        read_trace(rewritten(path, lines))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "empty"),
        (b"\n\n", "empty"),
        (b"\x89PNG\r\n\x1a\n\x00", r"line 1: it is not JSON\. Choose a \.jsonl"),
        (b"[1, 2]\n", "line 1: it is not a JSON object"),
        (b'{"type": "header", "schema": "other"}\n', "line 1: no header"),
        (b"[" * 30_000 + b"\n", "line 1: it is not JSON"),
        (b'{"type": "header", "schema": "redrafter-trace", "schema_version": "x"}\n', "schema_version is 'x'"),
        (b'{"type": "header", "schema": "redrafter-trace", "schema_version": "1.0"}\n', "line 1: run_id is"),
        (b'{"type": "header", "schema": "redrafter-trace", "schema_version": NaN}\n', "line 1: it is not JSON"),
    ],
)
def test_what_is_no_trace_is_refused(content: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "picture.png"
    path.write_bytes(content)
    with pytest.raises(TraceError, match=message):
        read_trace(path)


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(TraceError, match=r"none\.jsonl cannot be opened: No such file"):
        read_trace(tmp_path / "none.jsonl")
    with pytest.raises(TraceError, match="cannot be opened"):
        read_trace(tmp_path)


STEP = 3  # the line of the first step, from 0
BEST = 4  # of the second, under a budget
TREE = {"token": [5, 6, 7], "parent": [-1, 0, 1], "depth": [0, 1, 2], "node_of": [[1, 2], [1, -1]]}


def picks(*tokens: int) -> list[dict[str, object]]:
    return [{"node": node, "token": token, "log_probability": -0.1, "rank": 1} for node, token in enumerate(tokens)]


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"path": [0, 2]}, "line 4: path goes from node 0 to 2"),
        ({"path": [0, 9]}, "line 4: path"),
        ({"path": []}, "line 4: path"),
        ({"rank": [0, 1]}, "line 4: rank has 2 entries for 3 nodes"),
        ({"index": "0"}, "line 4: index is '0', not a whole number"),
        ({"clock_ms": True}, "line 4: clock_ms is True, not a number"),
        ({"emitted": [7]}, "line 4: emitted"),
        ({"tree": None}, "line 4: tree is None, not an object"),
        ({"tree": {"token": [5], "parent": [], "depth": [], "node_of": []}}, "line 4: tree lists differ"),
        ({"token_bytes": {"5": "zz"}}, "line 4: token_bytes.5 is 'zz', not bytes"),
        ({"token_bytes": {}}, "line 4: token_bytes lacks token 5"),
        ({"type": 3}, "line 4: its type is 3"),
        ({"index": 4}, "step 4 stands where step 0 should"),
        ({"position": 2}, "step 0 starts at position 2, but 3 tokens were committed"),
        ({"next_root": 6}, "step 0 does not lead to step 1"),
        ({"log_probability": [0.0, 710.0, -0.2]}, r"line 4: log_probability\[1\] is 710.0, not a number up to 1"),
        ({"rank": [0, -1, 1]}, r"line 4: rank\[1\] is -1, not a number from 0 up"),
        ({"picks": []}, r"line 4: picks stand at nodes \[\], but the path is \[0, 1, 2\]"),
        ({"picks": picks(7, 7, 8)}, "line 4: node 1 was accepted with token 6, but the pick there is 7"),
        ({"tree": TREE | {"node_of": [[2, 1], [1, -1]]}}, r"line 4: node_of\[0\]\[0\] is 2, which is no node with"),
        (
            {"tree": TREE | {"parent": [-1, 0, 0], "depth": [0, 1, 1]}},
            r"line 4: node_of\[0\]\[1\] is 2, which does not",
        ),
    ],
)
def test_a_broken_step_names_its_line(keys: dict[str, object], message: str, trace: Trace, tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    lines = lines_of(trace, path)
    lines[STEP] = changed(lines[STEP], **keys)
    with pytest.raises(TraceError, match=message):
        read_trace(rewritten(path, lines))


UNSENT = {"token": [9, 5], "parent": [1, -1], "depth": [2, 3], "score": [-2.5, -4.0], "total": 40}
GROWN = {"token": [8, 6, 7], "parent": [-1, 0, 1], "depth": [0, 1, 2], "node_of": [[1, 2], [1, -1]]}


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"budget": 2}, "line 5: the tree has 3 nodes, more than its budget of 2"),
        ({"budget": "many"}, "line 5: budget is 'many'"),
        ({"tree": GROWN | {"origin": ["root", "beam"]}}, "line 5: tree.origin has 2 entries for 3 nodes"),
        ({"tree": GROWN | {"origin": ["root", "root", "copy"]}}, r"line 5: tree.origin\[1\] is 'root'"),
        ({"tree": GROWN | {"origin": ["root", "beam", "guess"]}}, r"line 5: tree.origin\[2\] is 'guess', not one of"),
        ({"tree": GROWN | {"copied": [0]}}, "line 5: tree.copied has 1 entries"),
        ({"unsent": UNSENT | {"parent": [1]}}, "line 5: the lists of unsent differ in length"),
        ({"unsent": UNSENT | {"parent": [1, 3]}}, "line 5: unsent names parent 3, but the tree has 3 nodes"),
        ({"unsent": UNSENT | {"token": [9, 99]}}, "line 5: token_bytes lacks token 99"),
    ],
)
def test_a_broken_budget_names_its_line(keys: dict[str, object], message: str, trace: Trace, tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    lines = lines_of(trace, path)
    lines[BEST] = changed(lines[BEST], **keys)
    with pytest.raises(TraceError, match=message):
        read_trace(rewritten(path, lines))


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"beam_width": 0}, "line 1: settings.beam_width is 0, not a number from 1 up"),
        ({"beam_length": 2**62}, rf"line 1: settings.beam_length is {2**62}, not a number up to 16"),
        ({"beam_length": -5}, "line 1: settings.beam_length is -5"),
        ({"temperature": None}, "line 1: settings.temperature is None, not a number"),
        ({"top_p": 0.0}, "line 1: settings.top_p is 0.0, not a number above 0"),
        ({"seed": 2**32}, "line 1: settings.seed is 4294967296, not a number up to 4294967295"),
        ({"race": 1}, "line 1: settings.race is 1, not true or false"),
    ],
)
def test_settings_out_of_range_are_refused(keys: dict[str, object], message: str, trace: Trace, tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    lines = lines_of(trace, path)
    lines[0] = changed(lines[0], settings=json.loads(lines[0])["settings"] | keys)
    with pytest.raises(TraceError, match=message):
        read_trace(rewritten(path, lines))


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"schema_version": "9" * 5000 + ".0"}, r"schema_version is '9{20}\.\.\.', not a version"),
        ({"schema_version": "1"}, "schema_version is '1', not a version"),
        ({"messages": [["user", "\ud800"]]}, "line 1: Invalid JSON"),
        ({"messages": [["robot", "Hi"]]}, r"line 1: messages\[0\]\[0\] is 'robot', not one of 'system', 'user' or"),
        ({"messages": [["user"]]}, r"line 1: messages\[0\]\[1\] is missing"),
        ({"prompt_ids": [5, 6, 10**30]}, r"line 1: prompt_ids\[2\] is 10{30}, not a number up to"),
        ({"token_bytes": {"x": "20"}}, "line 1: token_bytes.x is 'x', not under a token id"),
        ({"token_bytes": {}}, "line 1: token_bytes lacks token 5"),
        ({"base": None}, "line 1: base is None, not an object"),
    ],
)
def test_a_broken_header_is_refused(keys: dict[str, object], message: str, trace: Trace, tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    lines = lines_of(trace, path)
    lines[0] = changed(lines[0], **keys)
    with pytest.raises(TraceError, match=message):
        read_trace(rewritten(path, lines))


def test_a_missing_step_a_second_header_and_a_late_record_are_seen(trace: Trace, tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    lines = lines_of(trace, path)
    with pytest.raises(TraceError, match=rf"line {STEP + 1}: step 1 stands where step 0 should"):
        read_trace(rewritten(path, lines[:STEP] + lines[STEP + 1 :]))
    with pytest.raises(TraceError, match="line 2: a second header"):
        read_trace(rewritten(path, [lines[0], *lines]))
    with pytest.raises(TraceError, match="after the footer"):
        read_trace(rewritten(path, [*lines, lines[STEP]]))
    with pytest.raises(TraceError, match="line 5: it is not JSON"):
        read_trace(rewritten(path, [*lines[:4], lines[4][:30], *lines[5:]]))
    with pytest.raises(TraceError, match="new_tokens is 7, the records say 4"):
        read_trace(rewritten(path, lines[: STEP + 1] + lines[STEP + 2 :]))


def test_two_runs_in_one_file_are_told_apart_at_the_line_where_they_meet(tmp_path: Path) -> None:
    """Each line is sound by itself; what does not fit is the run before it, and nothing is read beyond."""
    ours = [encode(record) for record in make_trace(new_tokens=40, seed=4).records()]
    others = [encode(record) for record in make_trace(new_tokens=40, seed=5).records()]
    steps = [number for number, line in enumerate(ours) if '"type":"step"' in line]
    for cut in steps[1:4]:
        mixed = [*ours[:cut], *others[cut:]]
        told = rf"line {cut + 1}: step \d+ (does not lead to|starts at position|stands where).*changed or mixed"
        with pytest.raises(TraceError, match=told):
            read_trace(rewritten(tmp_path / "mixed.jsonl", mixed))
    doubled = [*ours[: steps[2]], *[ours[steps[1]]] * 50_000]
    with pytest.raises(TraceError, match=rf"line {steps[2] + 1}: step 1 stands where step 2 should"):
        read_trace(rewritten(tmp_path / "doubled.jsonl", doubled))
    plain = [number for number, line in enumerate(ours) if '"type":"plain"' in line]
    with pytest.raises(TraceError, match=rf"line {plain[3] + 1}: the plain lane's tokens are not in order: 4 stands"):
        read_trace(rewritten(tmp_path / "short.jsonl", [*ours[: plain[3]], *ours[plain[3] + 1 :]]))


def test_numbers_that_json_cannot_say(trace: Trace, tmp_path: Path) -> None:
    step = trace.steps[0]
    odd = dataclasses.replace(step, log_probability=(0.0, -math.inf, math.nan), beams=unused_beams(step.beams))
    trace.steps[0] = odd
    write_trace(trace, tmp_path / "run.jsonl")
    read = read_trace(tmp_path / "run.jsonl").steps[0]
    assert read.log_probability[:2] == (0.0, -1e30) and math.isnan(read.log_probability[2])
    assert read.beams.scores == odd.beams.scores


def unused_beams(beams: BeamsRecord) -> BeamsRecord:
    """Scores as float32 rounds them: -1e30 becomes a little less."""
    return dataclasses.replace(beams, scores=(-1.5, -1.0000000150474662e30))


def test_a_folder_that_is_not_there_is_named(trace: Trace, tmp_path: Path) -> None:
    with pytest.raises(TraceError, match=r"cannot be written to .*none.*Choose a folder"):
        write_trace(trace, tmp_path / "none" / "run.jsonl")
