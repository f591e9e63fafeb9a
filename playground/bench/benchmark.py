"""A prompt set through a session: rates, speed-up and tokens per step over many prompts, pooled and by category.

First turns only: each prompt stands by itself. Knows a session's runs; nothing of files and terminals.
"""

from __future__ import annotations

import statistics
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from playground.bench.peer import StockGenerate
from playground.bench.prompts import Question
from playground.config import Message, RunRequest
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


@dataclass(frozen=True)
class Pooled:
    """Several prompts' runs: tokens per step over all their steps, rates over all their time."""

    prompts: int
    new_tokens: int
    tokens_per_step: float
    redrafter_tokens_per_second: float
    plain_tokens_per_second: float | None
    median_speedup: float | None
    identical: int  # prompts whose two lanes wrote the same text
    generate_tokens_per_second: float | None  # transformers' own, where it was asked


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


def pool(results: Sequence[Measured]) -> Pooled:
    """Figures over several prompts."""
    summaries = [result.summary for result in results]
    steps = sum(summary.num_spec_steps for summary in summaries)
    after_first = sum(summary.new_tokens - 1 for summary in summaries)
    speedups = [summary.speedup for summary in summaries if summary.speedup is not None]
    return Pooled(
        prompts=len(results),
        new_tokens=sum(summary.new_tokens for summary in summaries),
        tokens_per_step=after_first / steps if steps else 0.0,
        redrafter_tokens_per_second=_pooled_rate(
            [(summary.new_tokens - 1, summary.redrafter_tokens_per_second) for summary in summaries]
        )
        or 0.0,
        plain_tokens_per_second=_pooled_rate(
            [(summary.new_tokens - 1, summary.plain_tokens_per_second) for summary in summaries]
        ),
        median_speedup=statistics.median(speedups) if speedups else None,
        identical=sum(result.identical is True for result in results),
        generate_tokens_per_second=_pooled_rate(
            [(result.summary.new_tokens - 1, result.generate_tokens_per_second) for result in results]
        ),
    )


def by_category(results: Sequence[Measured]) -> dict[str, Pooled]:
    """Pooled figures of each category, in order of appearance."""
    names = dict.fromkeys(result.category for result in results)
    return {name: pool([result for result in results if result.category == name]) for name in names}


def _pooled_rate(lanes: list[tuple[int, float | None]]) -> float | None:
    """Tokens per second over all runs: all tokens over all seconds."""
    seconds = [(tokens, tokens / rate) for tokens, rate in lanes if rate]
    time = sum(spent for _, spent in seconds)
    return sum(tokens for tokens, _ in seconds) / time if time else None
