"""How much a trace may hold: what is read comes from anybody, and what is drawn from it must stay small.

The numbers lie above anything the engine can write, but for the size of a file; docs/security.md names them. Each
function yields sentences, none where the record is within bounds. Knows the records; nothing of files.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from playground.config import COPY_TOKENS, MAX_BEAM_LENGTH, MAX_BEAM_WIDTH, MAX_NEW_TOKENS, BeamShape
from playground.trace import Footer, Header, Record, StepRecord, Trace

MAX_FILE_BYTES: Final = 2**30  # of a trace on this machine
MAX_SENT_BYTES: Final = 64 * 2**20  # of a trace that a page sends
MAX_HEADER_BYTES: Final = 8 * 2**20  # of the first line, which holds the prompt
MAX_LINE_BYTES: Final = 2 * 2**20  # of every other line; the widest and longest beams make about 0.3 MB
MAX_OPENINGS: Final = 40_000  # lists and objects in a line
MAX_RECORDS: Final = 2 * MAX_NEW_TOKENS + 64  # lines after the header: both lanes, a token a step
MAX_NODES: Final = BeamShape(MAX_BEAM_WIDTH, MAX_BEAM_LENGTH, nodes=None).max_nodes  # more than any budget
MAX_DEPTH: Final = max(MAX_BEAM_LENGTH, COPY_TOKENS)
MAX_UNSENT: Final = 64  # candidates named besides the tree
MAX_TOKEN_BYTES: Final = 4096  # of one token
MAX_NAME_CHARACTERS: Final = 4096  # of names, versions and the like
MAX_ANSWER_CHARACTERS: Final = 4 * 2**20


def record_excess(record: Record) -> Iterator[str]:
    """What a record holds too much of, by itself."""
    pieces = getattr(record, "token_bytes", {})
    longest = max(map(len, pieces.values()), default=0)
    if longest > MAX_TOKEN_BYTES:
        yield f"a token of {longest:,} bytes, but a trace's have up to {MAX_TOKEN_BYTES:,}"
    if isinstance(record, Header):
        yield from _header_excess(record)
    elif isinstance(record, StepRecord):
        yield from _step_excess(record)
    elif isinstance(record, Footer):
        yield from _too_long("sentence", [record.sentence])
        if len(record.text) > MAX_ANSWER_CHARACTERS:
            yield f"a text of {len(record.text):,} characters, but a trace's has up to {MAX_ANSWER_CHARACTERS:,}"
        if len(record.summary.acceptance_histogram) > MAX_DEPTH + 1:
            counted = len(record.summary.acceptance_histogram)
            yield f"an acceptance histogram of {counted:,} entries, but a trace's has up to {MAX_DEPTH + 1}"


def trace_excess(trace: Trace) -> Iterator[str]:
    """What does not fit what the header says was asked for, so that lists made by the header hold all there is."""
    lanes = [prompt.lane for prompt in trace.prompts]
    if len(set(lanes)) != len(lanes):
        yield "a lane has more than one prompt record"
    deepest = max((max(step.tree.depth) for step in trace.steps), default=0)
    asked = trace.header.settings
    allowed = BeamShape(asked.beam_width, asked.beam_length, asked.nodes, asked.copy_tail).depth
    if deepest > allowed:
        yield f"a tree is {deepest} deep, but the settings allow {allowed}"


def _header_excess(header: Header) -> Iterator[str]:
    base, drafter = header.base, header.drafter
    names = (header.run_id, header.created, header.device, header.dtype, header.engine, header.kernels)
    yield from _too_long("name", (*names, base.name, base.family, base.config_hash, drafter.name, drafter.file_hash))
    yield from _too_long("version", _flat(header.versions))
    if len(header.versions) > 256:
        yield f"{len(header.versions):,} versions, but a trace names up to 256"
    if len(header.messages) > 4096:
        yield f"{len(header.messages):,} messages, but a trace holds up to 4,096"


def _step_excess(step: StepRecord) -> Iterator[str]:
    nodes, depth = step.tree.nodes, max(step.tree.depth, default=0)
    if nodes > MAX_NODES:
        yield f"a tree of {nodes:,} nodes, but beams of {MAX_BEAM_WIDTH} x {MAX_BEAM_LENGTH} make up to {MAX_NODES:,}"
    if step.unsent is not None and len(step.unsent.token) > MAX_UNSENT:
        yield f"{len(step.unsent.token):,} candidates that were not sent, but a trace names up to {MAX_UNSENT}"
    if depth > MAX_DEPTH:
        yield f"a tree {depth:,} deep, but beams are up to {MAX_DEPTH} long"
    width, length = step.beams.width, max(map(len, step.beams.tokens), default=0)
    if width > MAX_BEAM_WIDTH or length > MAX_BEAM_LENGTH:
        yield f"beams of {width:,} x {length:,}, but they are up to {MAX_BEAM_WIDTH} x {MAX_BEAM_LENGTH}"


def _too_long(what: str, texts: Iterable[str]) -> Iterator[str]:
    longest = max(map(len, texts), default=0)
    if longest > MAX_NAME_CHARACTERS:
        yield f"a {what} of {longest:,} characters, but a trace's have up to {MAX_NAME_CHARACTERS:,}"


def _flat(mapping: Mapping[str, str]) -> Iterator[str]:
    yield from mapping.keys()
    yield from mapping.values()
