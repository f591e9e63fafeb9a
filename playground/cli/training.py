"""The verbs `distill`, `train` and `evaluate`: a drafter for any base model, and how good it is."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from playground.cli.options import add_json, add_pair, add_prompt_file, add_run, add_verb, request_for
from playground.cli.runs import STOPPED, open_session
from playground.cli.terminal import Output, output, stop_on_interrupt

if TYPE_CHECKING:
    from playground.bench.acceptance import Acceptance, AcceptanceFigures


def add_verbs(verbs: Any) -> None:
    parser = add_verb(verbs, "evaluate", run_evaluate, "measure a drafter's tokens per step on a prompt file")
    add_prompt_file(parser)
    add_run(parser)
    add_pair(parser)
    add_json(parser)


def run_evaluate(chosen: argparse.Namespace) -> int:
    from playground.bench.acceptance import evaluate
    from playground.bench.prompts import read_questions, spread

    questions = spread(read_questions(chosen.prompts), chosen.limit)
    request = request_for(chosen, questions[0].turns[0])
    with output(chosen.json) as out, stop_on_interrupt() as stop:
        session = open_session(chosen)
        results: list[Acceptance] = []
        for result in evaluate(session, questions, request, stop):
            results.append(result)
            out.words(
                f"{result.question_id:>8} {result.category:<14} tokens/step {result.emitted / max(1, result.steps):.2f}"
            )
        if not results:
            return STOPPED
        _tell(out, results, len(questions))
        return 0 if len(results) == len(questions) else STOPPED


def _tell(out: Output, results: list[Acceptance], questions: int) -> None:
    from playground.bench.acceptance import figures

    names = dict.fromkeys(result.category for result in results)
    categories = {name: figures([result for result in results if result.category == name]) for name in names}
    overall = figures(results)
    out.result(
        {
            **asdict(overall),
            "finished": len(results) == questions,
            "categories": {name: asdict(found) for name, found in categories.items()},
        }
    )
    out.words()
    for name, found in {**categories, "all": overall}.items():
        out.words(_row(name, found))


def _row(name: str, found: AcceptanceFigures) -> str:
    positions = " ".join(
        f".{round(100 * share):02d}" if share < 0.995 else "1.0" for share in found.acceptance_by_position
    )
    return (
        f"{name:<14} {found.prompts:3d} prompts  tokens/step {found.tokens_per_step:.2f}, outside loops "
        f"{found.tokens_per_step_outside_loops:.2f}; accepted by position {positions}"
    )
