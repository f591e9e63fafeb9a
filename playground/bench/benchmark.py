"""A prompt set through a session: rates, speed-up and tokens per step over many prompts, pooled and by category.

First turns only: each prompt stands by itself. Knows a session's runs; nothing of files and terminals.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from playground.bench.peer import StockGenerate
from playground.bench.prompts import Question
from playground.config import Message, RunRequest
from playground.figures.runs import RunsFigures, over_runs
from playground.session import Session
from playground.trace import NoRecords, Summary, Trace


@dataclass(frozen=True)
class Measured:
    """One prompt's run."""

    question_id: str
    category: str
    summary: Summary
    identical: bool | None
    generate_tokens_per_second: float | None = None  # transformers' own, on the same prompt


def benchmark(
    session: Session,
    questions: Sequence[Question],
    request: RunRequest,
    stop: threading.Event,
    peer: StockGenerate | None = None,
) -> Iterator[Measured]:
    """Run every question's first turn with the settings of `request`; one result each, until stopped.

    Args:
        peer: decodes each prompt too, right after its race; always greedily.
    """
    for question in questions:
        asked = replace(request, messages=(Message("user", question.turns[0]),))
        try:
            trace = Trace.collect(session.run(asked, stop))
        except NoRecords:
            return
        if trace.footer is None or trace.stopped:
            return
        rate = peer.tokens_per_second(list(trace.header.prompt_ids), request.max_new_tokens) if peer else None
        identical = trace.parity.identical if trace.parity else None
        yield Measured(question.question_id, question.category, trace.footer.summary, identical, rate)


def by_category(results: Sequence[Measured]) -> dict[str, RunsFigures]:
    """Figures of each category, in order of appearance."""
    names = dict.fromkeys(result.category for result in results)
    return {name: over_runs([result for result in results if result.category == name]) for name in names}
