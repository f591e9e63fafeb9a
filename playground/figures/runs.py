"""Several runs together: tokens per step over all their steps, rates over all their time. Reads summaries only."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from playground.figures.totals import ratio
from playground.trace import Summary


class MeasuredRun(Protocol):
    """One run of many."""

    @property
    def summary(self) -> Summary: ...

    @property
    def identical(self) -> bool | None: ...

    @property
    def generate_tokens_per_second(self) -> float | None: ...


@dataclass(frozen=True)
class RunsFigures:
    """Figures over several prompts' runs."""

    prompts: int
    new_tokens: int
    tokens_per_step: float
    redrafter_tokens_per_second: float
    plain_tokens_per_second: float | None
    median_speedup: float | None
    identical: int  # prompts whose two lanes wrote the same text
    generate_tokens_per_second: float | None  # transformers' own, where it was asked


def over_runs(runs: Sequence[MeasuredRun]) -> RunsFigures:
    """Figures over several prompts."""
    summaries = [run.summary for run in runs]
    speedups = [summary.speedup for summary in summaries if summary.speedup is not None]
    return RunsFigures(
        prompts=len(runs),
        new_tokens=sum(summary.new_tokens for summary in summaries),
        tokens_per_step=ratio(
            sum(summary.new_tokens - 1 for summary in summaries), sum(summary.num_spec_steps for summary in summaries)
        ),
        redrafter_tokens_per_second=_rate(summaries, [one.redrafter_tokens_per_second for one in summaries]) or 0.0,
        plain_tokens_per_second=_rate(summaries, [one.plain_tokens_per_second for one in summaries]),
        median_speedup=statistics.median(speedups) if speedups else None,
        identical=sum(run.identical is True for run in runs),
        generate_tokens_per_second=_rate(summaries, [run.generate_tokens_per_second for run in runs]),
    )


def _rate(summaries: Sequence[Summary], rates: Sequence[float | None]) -> float | None:
    """Tokens per second over all runs that have a rate: all tokens over all seconds."""
    timed = [(one.new_tokens - 1, one_rate) for one, one_rate in zip(summaries, rates, strict=True) if one_rate]
    seconds = sum(tokens / one_rate for tokens, one_rate in timed)
    return sum(tokens for tokens, _ in timed) / seconds if seconds else None
