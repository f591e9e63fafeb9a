"""A run's summary, computed from its records. Knows no engine, no clock, no tokenizer."""

from __future__ import annotations

from dataclasses import dataclass

from playground.figures.totals import RunTotals
from playground.trace import Summary, Trace


@dataclass(frozen=True)
class PlainCosts:
    """Measured milliseconds of one plain step of these weights on this machine, for every dtype on offer."""

    dtype: str  # the run's own
    ms: tuple[tuple[str, float], ...]  # (dtype, ms)

    @property
    def fastest(self) -> str:
        return min(self.ms, key=lambda pair: pair[1])[0]

    @property
    def handicap(self) -> float:
        """What the fastest dtype's plain step costs, as a share of the run's own dtype's: at most 1."""
        costs = dict(self.ms)
        return costs[self.fastest] / costs[self.dtype]


def run_summary(trace: Trace, *, peak_memory_bytes: int, costs: PlainCosts | None) -> Summary:
    """The figures of a run, whole or stopped."""
    totals = RunTotals.of(trace)
    steps, speedup, prompt = totals.steps, totals.speedup, trace.prompt("redrafter")
    return Summary(
        new_tokens=totals.redrafter.tokens,
        tokens_per_step=steps.tokens_per_step,
        redrafter_tokens_per_second=totals.redrafter.tokens_per_second or 0.0,
        plain_tokens_per_second=totals.plain.tokens_per_second,
        speedup=speedup,
        speedup_over_fastest_plain=speedup * costs.handicap if speedup and costs else None,
        fastest_plain_dtype=costs.fastest if costs else None,
        drafter_share=steps.drafter_share,
        stage_ms=steps.stage_ms,
        prompt_ms=prompt.ms if prompt else 0.0,
        mean_acceptance_length=steps.mean_acceptance_length,
        draft_acceptance_rate=steps.draft_acceptance_rate,
        acceptance_histogram=tuple(steps.histogram),
        num_spec_steps=steps.count,
        num_accepted_draft_tokens=steps.accepted,
        num_draft_tokens=steps.draft_tokens,
        peak_memory_bytes=peak_memory_bytes,
    )
