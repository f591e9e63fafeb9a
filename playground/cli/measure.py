"""The verbs `sweep` and `benchmark`: measure beam shapes on one prompt, or one shape over a prompt set."""

from __future__ import annotations

import argparse
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from playground.cli.options import (
    add_json,
    add_pair,
    add_prompt,
    add_prompt_file,
    add_run,
    add_sampling,
    add_verb,
    request_for,
    request_of,
    shape_of,
    whole_numbers,
)
from playground.cli.runs import STOPPED, open_pair
from playground.cli.terminal import Output, output, stop_on_interrupt
from playground.config import MAX_BEAM_LENGTH, MAX_BEAM_WIDTH, SWEEP_REPEATS, BeamShape, parse_device_map
from playground.export import to_json
from playground.figures.sweep import fastest
from playground.trace import SweepCell, SweepRecord
from playground.views.sweep import sweep_info

if TYPE_CHECKING:
    from playground.bench.benchmark import Measured
    from playground.bench.peer import StockGenerate
    from playground.session import Session

_PEER_DTYPE = {"int8": "bfloat16"}  # formats that transformers' own generate does not run in


def add_verbs(verbs: Any) -> None:
    parser = add_verb(verbs, "sweep", run_sweep, "measure one prompt at many beam shapes")
    add_prompt(parser)
    parser.add_argument("--widths", default="1,2,4,8,16", metavar="LIST", help="beam widths, like 1,2,4 or 1-4")
    parser.add_argument("--lengths", default="2,3,4,5,6", metavar="LIST", help="beam lengths")
    parser.add_argument(
        "--repeats", type=int, default=SWEEP_REPEATS, metavar="N", help="runs of every shape, in rounds"
    )
    add_sampling(parser.add_argument_group("run"))
    add_pair(parser)
    add_json(parser)
    parser = add_verb(verbs, "benchmark", run_benchmark, "race every first turn of a prompt file, by category")
    add_prompt_file(parser)
    parser.add_argument("--with-generate", action="store_true", help="time transformers' own generate beside each race")
    add_run(parser)
    add_pair(parser)
    add_json(parser)


def run_sweep(chosen: argparse.Namespace) -> int:
    from tqdm import tqdm

    from playground.bench.shapes import sweep

    widths = whole_numbers(chosen.widths, MAX_BEAM_WIDTH)
    lengths = whole_numbers(chosen.lengths, MAX_BEAM_LENGTH)
    request = request_of(chosen, BeamShape(), race=True)
    with output(chosen.json) as out, stop_on_interrupt() as stop:
        session = open_pair(chosen)
        done: SweepRecord | None = None
        measured = sweep(session, request, widths, lengths, stop, repeats=chosen.repeats)
        total = len(set(widths)) * len(set(lengths)) * chosen.repeats
        for record in tqdm(measured, total=total, unit="run", disable=None):
            done = record
        best = fastest(done.cells) if done else None
        if done is None or best is None:
            return STOPPED
        out.result({**to_json(done), "best": {"beam_width": best.width, "beam_length": best.length}})
        out.words("width length  tokens/step  tokens/s  speed-up  least   most  nodes")
        for cell in done.cells:
            out.words(_row(cell))
        info = sweep_info(done)
        out.words(info.words)
        if info.warning:
            out.words(info.warning)
        return 0 if done.finished else STOPPED


def _row(cell: SweepCell) -> str:
    speedup, least, most = (
        "-" if value is None else f"{value:.2f}" for value in (cell.speedup, cell.speedup_least, cell.speedup_most)
    )
    return (
        f"{cell.width:5d} {cell.length:6d} {cell.tokens_per_step:12.2f} {cell.tokens_per_second:9.1f}  {speedup:>8} "
        f"{least:>6} {most:>6} "
        f"{cell.mean_nodes:6.1f}"
    )


def run_benchmark(chosen: argparse.Namespace) -> int:
    from playground.bench.benchmark import benchmark
    from playground.bench.prompts import read_questions, spread

    questions = spread(read_questions(chosen.prompts), chosen.limit)
    request = request_for(chosen, questions[0].turns[0])
    with output(chosen.json) as out, stop_on_interrupt() as stop:
        session = open_pair(chosen)
        request = replace(request, shape=shape_of(chosen, session.shape))
        peer = _peer(chosen, session) if chosen.with_generate else None
        results: list[Measured] = []
        for measured in benchmark(session, questions, request, stop, peer):
            results.append(measured)
            speedup = f"{measured.summary.speedup:.2f}" if measured.summary.speedup else "-"
            out.words(
                f"{measured.question_id:>8} {measured.category:<14} tokens/step "
                f"{measured.summary.tokens_per_step:.2f}  speed-up {speedup}"
            )
        if not results:
            return STOPPED
        _tell(out, results, questions=len(questions))
        return 0 if len(results) == len(questions) else STOPPED


def _peer(chosen: argparse.Namespace, session: Session) -> StockGenerate:
    import torch

    from playground.bench.peer import StockGenerate
    from playground.sources.catalogue import resolve_base

    pair = session.pair
    spread = parse_device_map(chosen.device_map) if chosen.device_map else None
    return StockGenerate(
        resolve_base(chosen.base), pair.device, getattr(torch, _PEER_DTYPE.get(pair.dtype, pair.dtype)), spread
    )


def _tell(out: Output, results: list[Measured], questions: int) -> None:
    from playground.bench.benchmark import by_category
    from playground.figures.runs import over_runs

    overall, categories = over_runs(results), by_category(results)
    out.result(
        {
            **asdict(overall),
            "finished": len(results) == questions,
            "categories": {name: asdict(figures) for name, figures in categories.items()},
            "runs": [to_json(result) for result in results],
        }
    )
    out.words()
    for name, figures in {**categories, "all": overall}.items():
        speedup = f"{figures.median_speedup:.2f}" if figures.median_speedup else "-"
        out.words(
            f"{name:<14} {figures.prompts:3d} prompts  tokens/step {figures.tokens_per_step:.2f}  "
            f"median speed-up {speedup}  identical {figures.identical} of {figures.prompts}"
        )
    if overall.generate_tokens_per_second and overall.plain_tokens_per_second:
        out.words(
            f"Plain decoding here {overall.plain_tokens_per_second:.1f} tokens/s, transformers' generate "
            f"{overall.generate_tokens_per_second:.1f}"
        )
