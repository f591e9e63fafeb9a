"""The verb `verify`: run a recorded run again with its settings, here, and tell what agrees."""

from __future__ import annotations

import argparse
from dataclasses import fields
from typing import Any, get_args

from playground.cli.options import add_json, add_pair, add_verb, engine_options
from playground.cli.runs import STOPPED
from playground.cli.terminal import LoadingBar, output, printable, stop_on_interrupt
from playground.cli.traces import DIFFERENT, comparison_values, tell_comparison
from playground.config import BeamShape, DtypeName, EngineOptions, Message, PlaygroundError, RunRequest, Sampling
from playground.export import read_trace, to_json, write_trace
from playground.figures.agreement import Agreement, agreement
from playground.trace import Header, NoRecords, RunSettings, Trace

SIGNS = {True: "agrees ", False: "DIFFERS", None: "-      "}


def add_verbs(verbs: Any) -> None:
    parser = add_verb(
        verbs, "verify", run_verify, "run a recorded run again and tell what agrees; 1 if the text differs"
    )
    parser.add_argument("trace", metavar="TRACE", help="a trace (JSON Lines, packed or not)")
    parser.add_argument("--save", metavar="FILE", help="save the trace of the run made here")
    add_pair(parser)
    add_json(parser)


def run_verify(chosen: argparse.Namespace) -> int:
    from playground.session import Session

    recorded = read_trace(chosen.trace)
    request = request_again(recorded)
    with output(chosen.json) as out, stop_on_interrupt() as stop:
        bar = LoadingBar()
        try:
            session = Session.open(chosen.base, chosen.drafter, options_again(chosen, recorded.header), bar)
        finally:
            bar.close()
        _require_base(recorded.header, session.info.base.config_hash, session.info.base.name)
        try:
            again = Trace.collect(session.run(request, stop))
        except NoRecords:
            return STOPPED
        if chosen.save:
            write_trace(again, chosen.save)
        if stop.is_set():
            return STOPPED
        found = agreement(recorded, again)
        out.result(_values(found, again))
        for claim in found.claims:
            out.words(printable(f"{SIGNS[claim.agrees]} {claim.what}: {claim.words}"))
        out.words(_expectation(recorded.header, again.header))
        out.words()
        tell_comparison(out, found.comparison, ("recorded", "here"))
        return 0 if found.text_agrees else DIFFERENT


def request_again(recorded: Trace) -> RunRequest:
    """The request that made a trace; one that was stopped is asked for as far as it went."""
    settings = recorded.header.settings
    written = len(recorded.redrafter_tokens)
    return RunRequest(
        messages=tuple(Message(role, content) for role, content in recorded.header.messages),
        shape=_shape(settings),
        sampling=Sampling(settings.temperature, settings.top_k, settings.top_p, settings.seed),
        max_new_tokens=max(1, written) if recorded.stopped else settings.max_new_tokens,
        race=settings.race,
        chat_template=settings.chat_template,
    )


def _shape(settings: RunSettings) -> BeamShape:
    """The beam shape; what it has beside width and length stands in the record under the same name."""
    beside = {field.name for field in fields(BeamShape)} - {"width", "length"}
    more: dict[str, Any] = {name: getattr(settings, name) for name in beside}
    return BeamShape(settings.beam_width, settings.beam_length, **more)


def options_again(chosen: argparse.Namespace, header: Header) -> EngineOptions:
    """Where to run: as asked, else in the number format that the trace was made in."""
    if chosen.dtype == "auto" and header.dtype in get_args(DtypeName):
        chosen.dtype = header.dtype
    chosen.exact = chosen.exact or header.exact
    return engine_options(chosen)


def _require_base(header: Header, config_hash: str, name: str) -> None:
    if config_hash != header.base.config_hash:
        recorded = printable(f"{header.base.name} ({header.base.config_hash[:12]})")
        raise PlaygroundError(
            f"The trace was made by {recorded}, but {name} ({config_hash[:12]}) is loaded, another model. "
            "Name the trace's with --base and its drafter with --drafter."
        )


def _expectation(recorded: Header, here: Header) -> str:
    """Whether a difference would be a surprise."""
    apart = [
        name for name in ("device", "dtype", "engine", "kernels") if getattr(recorded, name) != getattr(here, name)
    ]
    if recorded.versions != here.versions:
        apart.append("versions")
    if recorded.settings.nodes == "auto" and recorded.costs != here.costs:
        apart.append("the costs by which budgets were chosen")
    if not apart:
        return "Made under the same conditions, so all of it should agree. Times are another moment's."
    return f"Made under other conditions ({', '.join(apart)}): near ties may fall otherwise. Times are not comparable."


def _values(found: Agreement, again: Trace) -> dict[str, Any]:
    return {
        "text_agrees": found.text_agrees,
        "claims": to_json(list(found.claims)),
        "comparison": comparison_values(found.comparison),
        "run_id": again.header.run_id,
    }
