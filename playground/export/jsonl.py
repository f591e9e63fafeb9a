"""Traces as JSON Lines: one header, one object a record, one footer.

Every line carries `type`; the header carries `schema` and `schema_version`. A reader ignores keys and record
types it does not know, refuses a newer major version, and loads what was cut off (`notice` says so).
Knows nothing of engines and screens.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Any

from playground.config import PlaygroundError
from playground.export.check import step_problems, trace_problems
from playground.export.codec import CodecError, from_json, to_json
from playground.trace import (
    SCHEMA,
    SCHEMA_VERSION,
    Footer,
    Header,
    ParityRecord,
    PlainRecord,
    PromptRecord,
    Record,
    StepRecord,
    SweepRecord,
    Trace,
)

SCHEMA_FILE = Path(__file__).with_name("trace.schema.json")
LONGEST_LINE = 64 * 2**20  # bytes; the widest and longest beams make lines of about 0.3 MB

TYPES: dict[str, type[Any]] = {
    "header": Header,
    "prompt": PromptRecord,
    "step": StepRecord,
    "plain": PlainRecord,
    "parity": ParityRecord,
    "footer": Footer,
}
_NAMES: dict[type[Any], str] = {record: name for name, record in TYPES.items()} | {SweepRecord: "sweep"}


class TraceError(PlaygroundError):
    """A trace that cannot be read, with the line and what to do."""


def encode(record: Record | SweepRecord) -> str:
    """One line of a trace, without its newline."""
    body = {"type": _NAMES[type(record)], **to_json(record)}
    return json.dumps(body, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def records(trace: Trace) -> Iterator[Record]:
    """The records of a trace in the order they are written: the two lanes one after the other."""
    yield trace.header
    yield from trace.prompts
    yield from trace.steps
    yield from trace.plain
    if trace.parity is not None:
        yield trace.parity
    if trace.footer is not None:
        yield trace.footer


def write_records(stream: IO[str], items: Iterable[Record | SweepRecord]) -> None:
    """Write each record as it comes, so that a run cut off leaves a trace that loads."""
    for item in items:
        stream.write(encode(item) + "\n")
        stream.flush()


def write_trace(trace: Trace, target: str | Path | IO[str]) -> None:
    """Write a whole trace; a path is replaced at once or not at all.

    Raises:
        TraceError: the file cannot be written.
    """
    if not isinstance(target, str | Path):
        write_records(target, records(trace))
        return
    path = Path(target)
    try:
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        with open(handle, "w", encoding="utf-8") as stream:
            stream.writelines(encode(item) + "\n" for item in records(trace))
        os.chmod(name, 0o644)
        os.replace(name, path)
    except OSError as error:
        raise TraceError(
            f"The trace cannot be written to {path}: {error.strerror}. Choose a folder that exists and has room."
        ) from error


def read_trace(path: str | Path) -> Trace:
    """Load a trace; one without a footer loads too, and `notice` tells of it.

    Raises:
        TraceError: not a trace, a newer major version, or a broken line, which is named.
    """
    name = Path(path).name
    try:
        with open(path, "rb") as stream:
            return _assemble(name, _numbered(name, stream))
    except OSError as error:
        raise TraceError(f"{name} cannot be opened: {error.strerror}. Check the path and its permissions.") from error


def notice(trace: Trace) -> str | None:
    """What to tell about a trace that loaded but is not whole."""
    if trace.complete:
        return None
    return (
        f"This trace has no footer: the run was cut off after {len(trace.steps)} steps and "
        f"{len(trace.redrafter_tokens)} tokens. What was recorded is shown; run it again for the summary."
    )


def _numbered(name: str, stream: IO[bytes]) -> Iterator[tuple[int, dict[str, Any]]]:
    """(line number, object) of each line; a half-written last line is left out."""
    number = 0
    while line := stream.readline(LONGEST_LINE):
        number += 1
        whole = line.endswith(b"\n")
        if not line.strip():
            continue
        try:
            value = json.loads(line.decode("utf-8"), parse_constant=_no_constant)
        except (UnicodeDecodeError, ValueError, RecursionError) as error:
            if number > 1 and not whole and len(line) < LONGEST_LINE:
                return
            raise _not_a_trace(name, number, "it is not JSON") from error
        if not isinstance(value, dict):
            raise _not_a_trace(name, number, "it is not a JSON object")
        yield number, value


def _no_constant(text: str) -> float:
    raise ValueError(f"{text} is not JSON")


def _not_a_trace(name: str, line: int, why: str) -> TraceError:
    remedy = (
        "Choose a .jsonl file that this playground wrote." if line == 1 else "Remove that line, or save the trace anew."
    )
    return TraceError(f"{name}, line {line}: {why}. {remedy}")


def _assemble(name: str, lines: Iterator[tuple[int, dict[str, Any]]]) -> Trace:
    first = next(lines, None)
    if first is None:
        raise TraceError(f"{name} is empty: it holds no header. Choose a .jsonl file that this playground wrote.")
    trace = Trace(_header(name, *first))
    for number, value in lines:
        _add(name, trace, number, value)
    for problem in trace_problems(trace):
        raise TraceError(f"{name}: {problem}. The file was changed or mixed; save the trace anew.")
    return trace


def _header(name: str, line: int, value: dict[str, Any]) -> Header:
    if value.get("type") != "header" or value.get("schema") != SCHEMA:
        raise TraceError(
            f'{name}, line {line}: no header with "schema": "{SCHEMA}". '
            "Choose a .jsonl file that this playground wrote."
        )
    version = value.get("schema_version")
    major = str(version).split(".")[0]
    ours = SCHEMA_VERSION.split(".")[0]
    if not major.isdecimal():
        raise _not_a_trace(name, line, f"schema_version is {version!r}, not a version like {SCHEMA_VERSION}")
    if int(major) > int(ours):
        raise TraceError(
            f"{name} has schema version {version}, newer than the {ours}.x that this playground reads. "
            "Update the playground to open it."
        )
    header: Header = _decode(name, line, Header, value)
    missing = set(header.prompt_ids) - header.token_bytes.keys()
    if missing:
        raise _not_a_trace(name, line, f"token_bytes lacks token {min(missing)}")
    return header


def _add(name: str, trace: Trace, line: int, value: dict[str, Any]) -> None:
    kind = value.get("type")
    if kind == "header":
        raise _not_a_trace(name, line, "a second header")
    if not isinstance(kind, str):
        raise _not_a_trace(name, line, f"its type is {kind!r}, not a name")
    if trace.complete:
        raise _not_a_trace(name, line, "a record after the footer")
    if kind not in TYPES:
        return
    record = _decode(name, line, TYPES[kind], value)
    if isinstance(record, StepRecord):
        for problem in step_problems(record):
            raise _not_a_trace(name, line, problem)
    trace.add(record)


def _decode(name: str, line: int, expected: type[Any], value: dict[str, Any]) -> Any:
    try:
        return from_json(expected, value)
    except CodecError as error:
        raise _not_a_trace(name, line, str(error)) from error
