"""The verb `verify`: run a recorded run again with its settings, here, and tell what agrees."""

from __future__ import annotations

import argparse
from typing import Any, get_args

from playground.cli.options import add_json, add_pair, add_verb, engine_options
from playground.cli.runs import STOPPED
from playground.cli.terminal import LoadingBar, output, printable, stop_on_interrupt
from playground.cli.traces import DIFFERENT, comparison_values, tell_comparison
from playground.config import DtypeName, EngineOptions
from playground.export import read_trace, to_json, write_trace
from playground.figures.again import expectation, request_again, require_base
from playground.figures.agreement import Agreement, agreement
from playground.trace import Header, NoRecords, Trace

REMEDY = "Name the trace's with --base and its drafter with --drafter."
SIGNS = {True: "agrees ", False: "DIFFERS", None: "-      "}


def add_verbs(verbs: Any) -> None:
    parser = add_verb(
        verbs, "verify", run_verify, "run a recorded run again and report what agrees; 1 if the text differs"
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
        require_base(recorded.header, session.info.base, REMEDY)
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
        out.words(expectation(recorded.header, again.header))
        out.words()
        tell_comparison(out, found.comparison, ("recorded", "here"))
        return 0 if found.text_agrees else DIFFERENT


def options_again(chosen: argparse.Namespace, header: Header) -> EngineOptions:
    """Where to run: as asked, else in the number format that the trace was made in."""
    if chosen.dtype == "auto" and header.dtype in get_args(DtypeName):
        chosen.dtype = header.dtype
    chosen.exact = chosen.exact or header.exact
    return engine_options(chosen)


def _values(found: Agreement, again: Trace) -> dict[str, Any]:
    return {
        "text_agrees": found.text_agrees,
        "claims": to_json(list(found.claims)),
        "comparison": comparison_values(found.comparison),
        "run_id": again.header.run_id,
    }
