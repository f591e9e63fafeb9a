"""The verbs `generate` and `race`: one prompt, one run."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from playground.cli.options import (
    add_json,
    add_pair,
    add_prompt,
    add_run,
    add_trace_detail,
    add_verb,
    engine_options,
    request_of,
    shape_of,
)
from playground.cli.terminal import LoadingBar, Output, TextStream, output, printable, stop_on_interrupt
from playground.cli.trace_file import TraceFile, trace_file
from playground.config import PlaygroundError, RunRequest
from playground.export import to_json
from playground.trace import NoRecords, PromptRecord, Record, StepRecord, Trace

if TYPE_CHECKING:
    from playground.session import Session

STOPPED = 130


def add_verbs(verbs: Any) -> None:
    for name, verb, help in (
        ("generate", generate, "write an answer with recurrent drafting alone"),
        ("race", race, "write it twice, with recurrent drafting and plainly, and compare"),
    ):
        parser = add_verb(verbs, name, verb, help)
        add_prompt(parser)
        add_run(parser)
        add_pair(parser)
        parser.add_argument("--trace", metavar="FILE", help="save the run's trace (JSON Lines)")
        add_trace_detail(parser, "of --trace")
        add_json(parser)


def generate(chosen: argparse.Namespace) -> int:
    return _run(chosen, race=False)


def race(chosen: argparse.Namespace) -> int:
    return _run(chosen, race=True)


def open_session(chosen: argparse.Namespace) -> Session:
    """The session of a verb's --base, --drafter and engine options, with progress on standard error."""
    from playground.session import Session

    bar = LoadingBar()
    try:
        session = Session.open(chosen.base, chosen.drafter, engine_options(chosen), bar)
    finally:
        bar.close()
    if not session.info.has_chat_template and not getattr(chosen, "no_chat_template", False):
        print(_without_template(session.info.base.name, bool(getattr(chosen, "system", None))), file=sys.stderr)
    return session


def open_pair(chosen: argparse.Namespace) -> Session:
    """The same, for verbs that draft.

    Raises:
        PlaygroundError: there is no drafter, with the command that makes one.
    """
    session = open_session(chosen)
    if session.info.drafter is None:
        raise PlaygroundError(
            f"No drafter is loaded for {session.info.base.name}. Name one with --drafter, or train one: "
            f"{session.info.training}"
        )
    return session


def _without_template(name: str, system: bool) -> str:
    said = f"{name} has no chat template: the prompt is continued as plain text."
    return f"{said} The system prompt stands before it, as text like any other." if system else said


def _run(chosen: argparse.Namespace, *, race: bool) -> int:
    request = request_of(chosen, shape_of(chosen), race=race)
    with output(chosen.json) as out, trace_file(chosen.trace, chosen.trace_detail) as file:
        session = open_pair(chosen)
        request = replace(request, shape=shape_of(chosen, session.shape))
        trace = _follow(session, request, file, out)
        if trace is None:
            return STOPPED
        failed = file.failed if file is not None else None
        out.result({**report(trace), "trace": None if failed else chosen.trace})
        for line in _words(trace):
            out.words(line)
        if failed is not None:  # told last: the answer is not lost with the file
            raise failed
        return STOPPED if trace.stopped else 0


def _follow(session: Session, request: RunRequest, file: TraceFile | None, out: Output) -> Trace | None:
    """Run, showing the text as it comes and writing the trace record by record; None where it never began."""
    text, ends = TextStream(), session.pair.base.eos_ids

    def told(records: Iterator[Record]) -> Iterator[Record]:
        for record in records:
            if file is not None:
                file.take(record)
            if isinstance(record, PromptRecord) and record.lane == "redrafter":
                out.words(_shown(text, record.token_bytes, [record.first_root], ends), end="")
            elif isinstance(record, StepRecord):
                out.words(_shown(text, record.token_bytes, record.emitted, ends), end="")
            yield record

    with stop_on_interrupt() as stop:
        try:
            trace = Trace.collect(told(session.run(request, stop)))
        except NoRecords:
            trace = None
    out.words(text.rest())
    return trace


def _shown(text: TextStream, pieces: Mapping[int, bytes], tokens: Sequence[int], ends: frozenset[int]) -> str:
    """New tokens as text; the one that ends the answer is not part of it."""
    return "".join(text.feed(pieces[token]) for token in tokens if token not in ends)


def report(trace: Trace) -> dict[str, Any]:
    """A finished run as one JSON object."""
    assert trace.footer is not None
    header, footer, parity = trace.header, trace.footer, trace.parity
    return {
        **to_json(footer.summary),
        "identical": parity.identical if parity else None,
        "first_difference": parity.first_difference if parity else None,
        "text": footer.text,
        "sentence": footer.sentence,
        "finish_reason": footer.finish_reason,
        "base": header.base.name,
        "drafter": header.drafter.name,
        "device": header.device,
        "dtype": header.dtype,
        "engine": header.engine,
        "kernels": header.kernels,
        "settings": to_json(header.settings),
    }


def _words(trace: Trace) -> Iterator[str]:
    """A finished run for people."""
    assert trace.footer is not None
    summary, header = trace.footer.summary, trace.header
    yield ""
    yield printable(trace.footer.sentence)
    yield (
        f"{summary.new_tokens} new tokens in {summary.num_spec_steps} steps, accepted per step "
        + ", ".join(f"{count}x {depth}" for depth, count in enumerate(summary.acceptance_histogram) if count)
    )
    yield (
        f"{header.base.name} on {header.device}, {header.dtype}; prompt {len(header.prompt_ids)} tokens in "
        f"{summary.prompt_ms:.0f} ms; peak memory {summary.peak_memory_bytes / 2**20:.0f} MiB"
    )
