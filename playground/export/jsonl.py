"""Traces as JSON Lines: one header, one object a record, one footer.

Every line carries `type`; the header carries `schema` and `schema_version`. A reader ignores keys and record
types it does not know, refuses a newer major version, and loads what was cut off (`notice` says so). A file that gzip
packed is read as what it holds.
Knows nothing of engines and screens.
"""

from __future__ import annotations

import io
import json
import os
import re
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, TypeVar

from playground.config import PlaygroundError
from playground.export.encoding import line_of
from playground.export.limits import (
    MAX_FILE_BYTES,
    MAX_HEADER_BYTES,
    MAX_LINE_BYTES,
    MAX_OPENINGS,
    MAX_RECORDS,
    MAX_SENT_BYTES,
    record_excess,
    trace_excess,
)
from playground.export.outside_texts import OutsideTexts, openings
from playground.export.packed import PackedLines, unpacked
from playground.export.validation import InvalidRecord, from_json
from playground.figures.format import harmless
from playground.trace import (
    RECORD_TYPES,
    SCHEMA,
    SCHEMA_VERSION,
    Footer,
    Header,
    NoRecords,
    Record,
    StepRecord,
    SweepRecord,
    Trace,
)
from playground.trace.checks import Order, header_problems, step_problems, trace_problems

SCHEMA_FILE = Path(__file__).with_name("trace.schema.json")
MIXED = "The file was changed or mixed; save the trace again."
SHOWN_NAME = 80  # characters of a file's name in a sentence

R = TypeVar("R")


@dataclass(frozen=True)
class Line:
    """One line of a file, parsed but not yet checked."""

    number: int  # from 1
    text: bytes
    value: dict[str, Any]


class TraceError(PlaygroundError):
    """A trace that cannot be read, with the line and what to do."""


def encode(record: Record | SweepRecord) -> str:
    """One line of a trace, without its newline."""
    return line_of(record)[:-1].decode()


def write_record(stream: IO[bytes], record: Record | SweepRecord) -> None:
    """Write a record as it comes, so that a run cut off leaves a trace that loads."""
    stream.write(line_of(record))
    stream.flush()


def write_trace(trace: Trace, target: str | Path | IO[str]) -> None:
    """Write a whole trace; a path is replaced at once or not at all.

    Raises:
        TraceError: the file cannot be written.
    """
    if not isinstance(target, str | Path):
        target.writelines(encode(record) + "\n" for record in trace.records())
        return
    path = Path(target)
    try:
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        with open(handle, "wb") as stream:
            stream.writelines(map(line_of, trace.records()))
        os.chmod(name, 0o644)
        os.replace(name, path)
    except OSError as error:
        raise TraceError(
            f"The trace cannot be written to {path}: {error.strerror}. Choose a folder that exists and has room."
        ) from error


def read_trace(path: str | Path) -> Trace:
    """Load a trace; one without a footer loads too, and `notice` tells of it.

    Raises:
        TraceError: not a trace, a newer major version, too large, or a broken line, which is named.
    """
    name = shown_name(str(path))
    try:
        with open(path, "rb") as stream:
            return _assemble(name, _lines(name, unpacked(name, stream), MAX_FILE_BYTES))
    except (OSError, ValueError) as error:
        if isinstance(error, PlaygroundError):
            raise
        why = error.strerror if isinstance(error, OSError) else error
        raise TraceError(f"{name} cannot be opened: {why}. Check the path and its permissions.") from error


def parse_trace(name: str, text: str) -> Trace:
    """The trace that the text of a file is; `name` stands in sentences alone.

    Raises:
        TraceError: as `read_trace`; or a text that is not Unicode.
    """
    name = shown_name(name)
    try:
        stream = io.BytesIO(text.encode("utf-8"))
    except UnicodeEncodeError as error:
        raise TraceError(f"{name} is not Unicode text: half a character stands at {error.start:,}.") from error
    return _assemble(name, _lines(name, stream, MAX_SENT_BYTES))


def shown_name(path: str) -> str:
    """A file's name as sentences say it: no folders, no controls, not too long."""
    name = re.split(r"[/\\]", path)[-1]
    plain = harmless(name)
    return (plain if len(plain) <= SHOWN_NAME else plain[:SHOWN_NAME] + "...") or "The file"


def notice(trace: Trace) -> str | None:
    """What to tell about a trace that loaded but is not whole."""
    if trace.complete:
        return None
    return (
        f"This trace has no footer: the run was cut off after {len(trace.steps)} steps and "
        f"{len(trace.redrafter_tokens)} tokens. What was recorded is shown; run it again for the summary."
    )


def _lines(name: str, stream: IO[bytes] | PackedLines, most: int) -> Iterator[Line]:
    """The lines that are not empty, of at most so many bytes unpacked; a half-written last one is left out."""
    number = size = 0
    while text := stream.readline((MAX_LINE_BYTES if number else MAX_HEADER_BYTES) + 1):
        number += 1
        whole, size = text.endswith(b"\n"), size + len(text)
        longest = MAX_LINE_BYTES if number > 1 else MAX_HEADER_BYTES
        if len(text) > longest:
            raise _not_a_trace(name, number, f"it is longer than {longest:,} bytes")
        if openings(OutsideTexts().of(text)) > MAX_OPENINGS:
            raise _not_a_trace(name, number, f"it holds more than {MAX_OPENINGS:,} lists and objects")
        if size > most:
            raise TraceError(
                f"{name}, line {number}: the file is larger than {most:,} bytes, which is what is read. "
                "Record a shorter run, or open it on the machine it lies on."
            )
        if number > MAX_RECORDS + 1:
            raise TraceError(f"{name}, line {number}: a trace has up to {MAX_RECORDS:,} records. Record a shorter run.")
        if not text.strip():
            continue
        try:
            value = json.loads(text.decode("utf-8"), parse_constant=_no_constant)
        except (UnicodeDecodeError, ValueError, RecursionError) as error:
            if number > 1 and not whole:
                return
            raise _not_a_trace(name, number, "it is not JSON") from error
        if not isinstance(value, dict):
            raise _not_a_trace(name, number, "it is not a JSON object")
        yield Line(number, text, value)


def _no_constant(text: str) -> float:
    raise ValueError(f"{text} is not JSON")


def _not_a_trace(name: str, line: int, why: str) -> TraceError:
    remedy = (
        "Choose a .jsonl file that this playground wrote."
        if line == 1
        else "Remove that line, or save the trace again."
    )
    return TraceError(f"{name}, line {line}: {why}. {remedy}")


def _assemble(name: str, lines: Iterator[Line]) -> Trace:
    try:
        trace = Trace.collect(_records(name, lines))
    except NoRecords:
        raise TraceError(
            f"{name} is empty: it holds no header. Choose a .jsonl file that this playground wrote."
        ) from None
    for problem in (*trace_problems(trace), *trace_excess(trace)):
        raise TraceError(f"{name}: {problem}. {MIXED}")
    return trace


def _records(name: str, lines: Iterator[Line]) -> Iterator[Record]:
    """The records of a file, each checked by itself; those of kinds not known here, and sweeps, are left out."""
    first = next(lines, None)
    if first is None:
        return
    header, complete = _header(name, first), False
    yield header
    order = Order(header)
    for line in lines:
        kind = line.value.get("type")
        if kind == "header":
            raise _not_a_trace(name, line.number, "a second header")
        if not isinstance(kind, str):
            raise _not_a_trace(name, line.number, f"its type is {repr(kind)[:60]}, not a name")
        if complete:
            raise _not_a_trace(name, line.number, "a record after the footer")
        if kind not in RECORD_TYPES:
            continue
        record = _decode(name, line, RECORD_TYPES[kind])
        for excess in record_excess(record):
            raise _not_a_trace(name, line.number, excess)
        if isinstance(record, StepRecord):
            for problem in step_problems(record):
                raise _not_a_trace(name, line.number, problem)
        for problem in order.problems(record):
            raise TraceError(f"{name}, line {line.number}: {problem}. {MIXED}")
        complete = isinstance(record, Footer)
        yield record


def _header(name: str, line: Line) -> Header:
    if line.value.get("type") != "header" or line.value.get("schema") != SCHEMA:
        raise TraceError(
            f'{name}, line {line.number}: no header with "schema": "{SCHEMA}". '
            "Choose a .jsonl file that this playground wrote."
        )
    version = str(line.value.get("schema_version"))
    if not re.fullmatch(r"[0-9]{1,6}\.[0-9]{1,6}", version):
        shown = version if len(version) <= 20 else version[:20] + "..."
        raise _not_a_trace(name, line.number, f"schema_version is {shown!r}, not a version like {SCHEMA_VERSION}")
    ours = SCHEMA_VERSION.split(".")[0]
    if int(version.split(".")[0]) > int(ours):
        raise TraceError(
            f"{name}, line {line.number}: schema version {version} is newer than the {ours}.x that this playground "
            "reads. Update the playground to open it."
        )
    header = _decode(name, line, Header)
    for problem in (*record_excess(header), *header_problems(header)):
        raise _not_a_trace(name, line.number, problem)
    return header


def _decode(name: str, line: Line, expected: type[R]) -> R:
    try:
        return from_json(expected, line.text)
    except InvalidRecord as error:
        raise _not_a_trace(name, line.number, str(error)) from error
