"""What a drafter is worth on a prompt set: tokens per step with and without loops, acceptance by position and category.

First turns only, the drafting lane alone. Knows a session's runs; nothing of files and terminals.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from playground.bench.prompts import Question
from playground.config import BeamShape, Message, NodeBudget, PlaygroundError, RunRequest
from playground.figures.acceptance import Acceptance, acceptance, run_totals
from playground.figures.totals import StepTotals
from playground.session import Session
from playground.trace import NoRecords, Trace


@dataclass(frozen=True)
class Counted:
    """One prompt at one beam shape."""

    question_id: str
    category: str
    new_tokens: int
    steps: StepTotals


@dataclass(frozen=True)
class ShapeEvaluation:
    """One beam shape over the prompt set."""

    beam_width: int
    beam_length: int
    nodes: NodeBudget
    copy_tail: bool
    prompts: int
    overall: Acceptance
    categories: dict[str, Acceptance]
    finished: bool


def evaluate(
    session: Session,
    questions: Sequence[Question],
    request: RunRequest,
    shapes: Sequence[BeamShape],
    stop: threading.Event,
    report: Callable[[int], None] = lambda done: None,
) -> Iterator[ShapeEvaluation]:
    """Run every question's first turn at every shape; one evaluation for each shape, also when stopped.

    Args:
        report: called with runs done, questions x shapes in all.

    Raises:
        PlaygroundError: no shape, or a question that cannot run, before anything runs.
    """
    if not shapes:
        raise PlaygroundError("No beam shape is given. Name at least one, like 8x5.")
    asked = [replace(request, messages=(Message("user", question.turns[0]),), race=False) for question in questions]
    largest = max(shapes, key=lambda shape: shape.max_nodes)
    for one in asked:
        session.check(replace(one, shape=largest))
    return _evaluations(session, questions, asked, shapes, stop, report)


def _evaluations(
    session: Session,
    questions: Sequence[Question],
    asked: Sequence[RunRequest],
    shapes: Sequence[BeamShape],
    stop: threading.Event,
    report: Callable[[int], None],
) -> Iterator[ShapeEvaluation]:
    done = 0
    for shape in shapes:
        results: list[Counted] = []
        for question, one in zip(questions, asked, strict=True):
            counted = _run(session, question, replace(one, shape=shape), stop)
            if counted is None:
                break
            results.append(counted)
            done += 1
            report(done)
        if results:
            yield shape_evaluation(results, shape, finished=len(results) == len(questions))
        if stop.is_set():
            return


def _run(session: Session, question: Question, request: RunRequest, stop: threading.Event) -> Counted | None:
    """One run, counted; None where it was stopped."""
    try:
        trace = Trace.collect(session.run(request, stop))
    except NoRecords:
        return None
    if trace.stopped:
        return None
    prompt = trace.prompt("redrafter")
    assert prompt is not None
    steps = run_totals(trace.header.prompt_ids, prompt.first_root, trace.steps)
    return Counted(question.question_id, question.category, len(trace.redrafter_tokens), steps)


def shape_evaluation(results: Sequence[Counted], shape: BeamShape, *, finished: bool) -> ShapeEvaluation:
    """Figures over all prompts and for each category, in order of appearance."""
    runs: dict[str, list[StepTotals]] = {}
    for result in results:
        runs.setdefault(result.category, []).append(result.steps)
    return ShapeEvaluation(
        beam_width=shape.width,
        beam_length=shape.length,
        nodes=shape.nodes,
        copy_tail=shape.copy_tokens > 0,
        prompts=len(results),
        overall=acceptance([run for category in runs.values() for run in category], shape.length),
        categories={name: acceptance(found, shape.length) for name, found in runs.items()},
        finished=finished,
    )
