"""The verbs `export`, `stats` and `diff`: what can be done with recorded runs, without a model."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, get_args

from playground.cli.options import add_json, add_trace_detail, add_verb
from playground.cli.terminal import Output, output
from playground.config import PlaygroundError
from playground.export import FORMATS, Wish, export, notice, read_trace, to_json
from playground.export.tables import TableName
from playground.figures.compare import Comparison, FigurePair, compare_runs
from playground.figures.format import percent
from playground.figures.provenance import summary_of
from playground.figures.totals import RunTotals, StepTotals
from playground.trace import Trace
from playground.views.compare import difference_words, text_words

DIFFERENT = 1


def add_verbs(verbs: Any) -> None:
    parser = add_verb(verbs, "export", run_export, "write a trace in another format")
    parser.description = "Write a trace in another format: " + "; ".join(
        f"{name}: {one.words}" for name, one in FORMATS.items()
    )
    parser.add_argument("trace", metavar="TRACE", help="a trace (JSON Lines, packed or not)")
    parser.add_argument("--to", required=True, metavar="FORMAT", help=f"one of {', '.join(FORMATS)}")
    parser.add_argument("-o", "--out", required=True, metavar="FILE", help="where to; - is standard output")
    parser.add_argument(
        "--step", type=int, metavar="N", help="of svg and graphml, from 1 (svg: the last; graphml: all)"
    )
    parser.add_argument(
        "--table",
        default="steps",
        choices=get_args(TableName),
        help="of csv and parquet; columns: where every column comes from",
    )
    add_trace_detail(parser, "of jsonl, jsonl.gz and html")
    add_json(parser)
    parser = add_verb(verbs, "stats", run_stats, "show the figures of recorded runs, each and together")
    parser.add_argument("traces", nargs="+", metavar="TRACE", help="traces (JSON Lines, packed or not)")
    add_json(parser)
    parser = add_verb(verbs, "diff", run_diff, "compare two recorded runs; different texts exit with 1")
    parser.add_argument("traces", nargs=2, metavar="TRACE", help="traces (JSON Lines, packed or not)")
    add_json(parser)


def run_export(chosen: argparse.Namespace) -> int:
    to_screen = chosen.out == "-"
    if to_screen and chosen.json:
        raise PlaygroundError("-o - writes the export to standard output, where --json would write too. Name a file.")
    trace = read_trace(chosen.trace)
    if chosen.step is not None and not 1 <= chosen.step <= len(trace.steps):
        raise PlaygroundError(
            f"Step is {chosen.step}, but the trace has steps 1 to {len(trace.steps)}. Choose one of them."
        )
    at = None if chosen.step is None else chosen.step - 1
    wish = Wish(step=at, table=chosen.table, detail=chosen.trace_detail)
    body = export(trace, chosen.to, wish)
    if to_screen:
        sys.stdout.buffer.write(body)
        sys.stdout.buffer.flush()
        return 0
    _write(Path(chosen.out), body)
    with output(chosen.json) as out:
        out.result({"file": chosen.out, "format": chosen.to, "bytes": len(body), "notice": notice(trace)})
        out.words(f"{chosen.out}: {len(body):,} bytes" + (f". {notice(trace)}" if notice(trace) else ""))
    return 0


def _write(file: Path, body: bytes) -> None:
    from playground.files import written_whole

    try:
        with written_whole(file) as partial:
            partial.write_bytes(body)
    except OSError as error:
        raise PlaygroundError(
            f"The export cannot be written to {file}: {error.strerror}. Choose a folder that exists and has room."
        ) from error


def run_stats(chosen: argparse.Namespace) -> int:
    with output(chosen.json) as out:
        runs = [(path, read_trace(path)) for path in chosen.traces]
        sums = [RunTotals.of(trace).steps for _, trace in runs]
        together = StepTotals.merged(sums)
        told = [_stats(path, trace, steps) for (path, trace), steps in zip(runs, sums, strict=True)]
        out.result({"traces": told, "together": _sums(together)})
        out.words("shape  tokens  steps  tokens/step  accepted  tokens/s  plain  speed-up  same text  file")
        for path, trace in runs:
            out.words(_stats_line(path, trace))
        for line in _together(together, len(runs)):
            out.words(line)
        return 0


def _stats(path: str, trace: Trace, steps: StepTotals) -> dict[str, Any]:
    from playground.export.summary import summary_values
    from playground.figures.graph import mean_shape

    shape = asdict(mean_shape(trace.steps)) if trace.steps else None
    return {"file": path, **summary_values(trace), "tree": to_json(shape), "steps": _sums(steps)}


def _sums(totals: StepTotals) -> dict[str, Any]:
    """Figures over steps, each with what it was counted from."""
    return {
        "steps": totals.count,
        "tokens_per_step": totals.tokens_per_step,
        "draft_acceptance_rate": totals.draft_acceptance_rate,
        "mean_acceptance_length": totals.mean_acceptance_length,
        "mean_nodes": totals.mean_nodes,
        "acceptance_histogram": totals.histogram,
        "accepted_at": [
            {"depth": at.depth, "accepted": at.accepted, "drafted": at.drafted, "reached": at.reached}
            for at in totals.positions
        ],
    }


def _stats_line(path: str, trace: Trace) -> str:
    summary, settings = summary_of(trace), trace.header.settings
    same = {True: "yes", False: "no", None: "-"}[trace.parity.identical if trace.parity else None]
    return (
        f"{settings.beam_width:>2} x {settings.beam_length:<2} {summary.new_tokens:6d} {summary.num_spec_steps:6d} "
        f"{summary.tokens_per_step:12.2f} {percent(summary.draft_acceptance_rate):>9} "
        f"{summary.redrafter_tokens_per_second:9.1f} {_or_dash(summary.plain_tokens_per_second, '6.1f', 6)} "
        f"{_or_dash(summary.speedup, '9.2f', 9)} {same:>10}  {path}{'' if trace.complete else ' (cut off)'}"
    )


def _or_dash(value: float | None, form: str, width: int) -> str:
    return f"{'-':>{width}}" if value is None else f"{value:{form}}"


def _together(totals: StepTotals, runs: int) -> Iterator[str]:
    yield ""
    yield (
        f"{runs} runs: {totals.tokens_per_step:.2f} tokens per step over {totals.count} steps; "
        f"{totals.accepted} of {totals.draft_tokens} drafted tokens accepted ({percent(totals.draft_acceptance_rate)})"
    )
    for at in totals.positions:
        if at.drafted:
            yield (
                f"  position {at.depth}: accepted in {at.accepted} of {at.drafted} steps ({percent(at.share)}), "
                f"{percent(at.conditional)} of those that came so far"
            )


def run_diff(chosen: argparse.Namespace) -> int:
    with output(chosen.json) as out:
        left, right = (read_trace(path) for path in chosen.traces)
        found = compare_runs(left, right)
        out.result(comparison_values(found))
        tell_comparison(out, found, ("first", "second"))
        out.words()
        for line in text_words(found, left, right):
            out.words(line)
        return 0 if found.identical else DIFFERENT


def comparison_values(found: Comparison) -> dict[str, Any]:
    """A comparison as plain values; steps by number."""
    body: dict[str, Any] = to_json(
        {
            "same_prompt": found.same_prompt,
            "identical": found.identical,
            "compared": found.compared,
            "first_difference": found.first_difference,
            "new_tokens": found.lengths,
            "differences": found.differences,
            "figures": found.figures,
        }
    )
    meetings = [
        {"new_tokens": pair.new_tokens, "steps": [pair.left.index, pair.right.index], "same_tree": pair.same_tree}
        for pair in found.steps
    ]
    return {**body, "steps": meetings}


def tell_comparison(out: Output, found: Comparison, names: Sequence[str]) -> None:
    """What differs in settings, and figures beside each other."""
    for line in difference_words(found):
        out.words(line)
    out.words(f"{'':32}{names[0]:>12}{names[1]:>12}{'difference':>12}")
    for pair in found.figures:
        out.words(_figure_line(pair))


def _figure_line(pair: FigurePair) -> str:
    cells = (_or_dash(value, "12.4g", 12) for value in (pair.left, pair.right))
    difference = _or_dash(pair.difference, "+12.4g", 12)
    return f"{pair.name:32}{''.join(cells)}{difference}{'  (this moment)' if pair.timed else ''}"
