"""The verb `evaluate`: what a drafter is worth on a prompt set, by position and by category."""

from __future__ import annotations

import argparse
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from playground.cli.options import (
    add_json,
    add_pair,
    add_prompt_file,
    add_sampling,
    add_shape,
    add_verb,
    sampling_of,
    shape_of,
)
from playground.cli.runs import STOPPED, open_pair
from playground.cli.terminal import Output, output, stop_on_interrupt
from playground.config import BeamShape, Message, RunRequest

if TYPE_CHECKING:
    from playground.bench.evaluate import ShapeEvaluation
    from playground.figures.acceptance import Acceptance

EVALUATE = """Measure a drafter on a prompt set: tokens per step over all tokens and without those inside loops,
acceptance by position and by category."""


def add_verbs(verbs: Any) -> None:
    parser = add_verb(verbs, "evaluate", run_evaluate, "measure a drafter on a prompt set, by position and category")
    parser.description = EVALUATE
    add_prompt_file(parser)
    add_shape(parser)
    parser.add_argument("--shapes", metavar="LIST", help="several in one go, like 8x5@beams,4x5@16,4x5@auto")
    add_sampling(parser.add_argument_group("run"))
    add_pair(parser)
    add_json(parser)


def run_evaluate(chosen: argparse.Namespace) -> int:
    from playground.bench.evaluate import evaluate
    from playground.bench.prompts import read_questions, spread
    from playground.progress import Bars

    questions = spread(read_questions(chosen.prompts), chosen.limit)
    shapes = _shapes(chosen.shapes, tail=not chosen.no_copy_tail) if chosen.shapes else [shape_of(chosen)]
    messages = (Message("user", questions[0].turns[0]),)
    sampling = sampling_of(chosen)
    request = RunRequest(messages, shapes[0], sampling, chosen.max_new_tokens, race=False)
    with output(chosen.json) as out, stop_on_interrupt() as stop:
        session = open_pair(chosen)
        if not chosen.shapes:
            shapes = [shape_of(chosen, session.shape)]
        found: list[ShapeEvaluation] = []
        with Bars().stage("evaluate", len(questions) * len(shapes), "prompt", stops=False) as report:
            found.extend(evaluate(session, questions, request, shapes, stop, report))
        if not found:
            return STOPPED
        info = session.info
        settings = {
            "prompts_file": Path(chosen.prompts).name,
            "max_new_tokens": chosen.max_new_tokens,
            **asdict(sampling),
            "base": info.base.name,
            "drafter": info.drafter.name if info.drafter else None,
            "device": info.device,
            "dtype": info.dtype,
        }
        out.result({**_flat(found[0]), **settings, "shapes": [_flat(one) for one in found]})
        for one in found:
            _tell_shape(out, one)
        return 0 if len(found) == len(shapes) and found[-1].finished else STOPPED


def _shapes(text: str, *, tail: bool = True) -> list[BeamShape]:
    """'8x5@beams,4x5' as beam shapes."""
    return [replace(BeamShape.parse(part), copy_tail=tail) for part in text.split(",")]


def _flat(one: ShapeEvaluation) -> dict[str, Any]:
    """One shape as JSON: its overall figures beside its settings."""
    figures = asdict(one)
    return {**figures, **figures.pop("overall")}


def _tell_shape(out: Output, one: ShapeEvaluation) -> None:
    tree = "the surviving beams" if one.nodes is None else f"best first, nodes {one.nodes}"
    copies = "" if one.nodes is None or one.copy_tail else ", no copy tail"
    out.words(f"\nBeam width {one.beam_width}, length {one.beam_length}, {tree}{copies}; {one.prompts} prompts")
    out.words("category         tokens/step  outside loops  in loops  nodes  copied  confidence  accepted at 1, 2, ...")
    for name, figures in {**one.categories, "all": one.overall}.items():
        out.words(_row(name, figures))
    overall = one.overall
    out.words(f"accepted by step: {' '.join(map(str, overall.accepted_histogram))} (0, 1, ... tokens)")
    out.words(f"drafting takes {overall.draft_over_verify:.0%} of verifying; {overall.mean_nodes:.1f} nodes a tree")
    out.words(
        f"confidence: the base model gave the tokens it picked {overall.base_confidence:.2f} on average; what it is "
        "unsure of itself, a drafter can hardly know"
    )
    if overall.mean_copied:
        out.words(f"copied: {overall.mean_copied:.1f} nodes a tree, {overall.copied_share:.0%} of the accepted tokens")


def _row(name: str, figures: Acceptance) -> str:
    accepted = " ".join(f"{share:.2f}" for share in figures.accepted_at)
    return (
        f"{name:<16} {figures.tokens_per_step:11.2f}  {figures.tokens_per_step_no_loops:13.2f}  "
        f"{figures.loop_share:8.0%}  {figures.mean_nodes:5.1f}  {figures.copied_share:6.0%}  "
        f"{figures.base_confidence:10.2f}  {accepted}"
    )
