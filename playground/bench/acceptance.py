"""How good a drafter is on prompts: tokens per step, with and without loops, by position and by category.

The drafting lane alone, so no clock matters: the figures hold for any machine. Knows a session's runs only.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from playground.bench.prompts import Question
from playground.config import Message, RunRequest
from playground.distill.loops import looped
from playground.session import Session
from playground.trace import Footer, Header, Trace


@dataclass(frozen=True)
class Acceptance:
    """Counts of one prompt's run, so that several can be added up."""

    question_id: str
    category: str
    steps: int
    emitted: int  # tokens the steps gave, after every cut
    clean_steps: float  # each step by the share of its tokens outside loops
    clean_emitted: int
    accepted_at: tuple[int, ...]  # [L], steps that accepted at least 1, 2, .. L drafted tokens
    nodes: int  # of all trees together


@dataclass(frozen=True)
class AcceptanceFigures:
    """Pooled over prompts."""

    prompts: int
    steps: int
    tokens_per_step: float
    tokens_per_step_outside_loops: float
    share_outside_loops: float
    acceptance_by_position: tuple[float, ...]  # [L], of steps that came so far, how many accepted one more
    mean_nodes: float


def evaluate(
    session: Session, questions: Sequence[Question], request: RunRequest, stop: threading.Event
) -> Iterator[Acceptance]:
    """Run every question's first turn with the settings of `request`; one result each, until stopped."""
    for question in questions:
        asked = replace(request, messages=(Message("user", question.turns[0]),), race=False)
        trace: Trace | None = None
        for record in session.run(asked, stop):
            if isinstance(record, Header):
                trace = Trace(record)
            elif trace is not None:
                trace.add(record)
                if isinstance(record, Footer) and record.finish_reason == "stopped":
                    return
        if trace is None:
            return
        yield count(trace, question.question_id, question.category)


def count(trace: Trace, question_id: str, category: str) -> Acceptance:
    """The counts of one run; a loop is seen over prompt and answer."""
    prompt, new = trace.header.prompt_ids, trace.redrafter_tokens
    in_loop = looped([*prompt, *new])[len(prompt) :]
    place, clean_steps, clean_emitted = 1, 0.0, 0  # token 0 came from the prompt's forward
    for step in trace.steps:
        gained = len(step.emitted)
        outside = gained - int(in_loop[place : place + gained].sum())
        clean_steps, clean_emitted, place = clean_steps + outside / gained, clean_emitted + outside, place + gained
    length = trace.header.settings.beam_length
    return Acceptance(
        question_id=question_id,
        category=category,
        steps=len(trace.steps),
        emitted=len(new) - 1,
        clean_steps=clean_steps,
        clean_emitted=clean_emitted,
        accepted_at=tuple(sum(step.accepted >= depth for step in trace.steps) for depth in range(1, length + 1)),
        nodes=sum(step.tree.nodes for step in trace.steps),
    )


def figures(results: Sequence[Acceptance]) -> AcceptanceFigures:
    """Counts added up: every step weighs the same, whichever prompt it belongs to."""
    steps = sum(result.steps for result in results)
    emitted = sum(result.emitted for result in results)
    clean_steps = sum(result.clean_steps for result in results)
    clean = sum(result.clean_emitted for result in results)
    reached = [steps, *(sum(column) for column in zip(*(result.accepted_at for result in results), strict=True))]
    return AcceptanceFigures(
        prompts=len(results),
        steps=steps,
        tokens_per_step=emitted / steps if steps else 0.0,
        tokens_per_step_outside_loops=clean / clean_steps if clean_steps else 0.0,
        share_outside_loops=clean / emitted if emitted else 0.0,
        acceptance_by_position=tuple(now / before if before else 0.0 for before, now in pairwise(reached)),
        mean_nodes=sum(result.nodes for result in results) / steps if steps else 0.0,
    )
