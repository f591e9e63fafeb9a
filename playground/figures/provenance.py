"""Where every figure of a run comes from: measured while it ran, or computed, with the sum behind it.

Knows the summary's figures and the sums they follow from; says nothing about any other number.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Literal

from playground.figures.summary import run_summary
from playground.figures.totals import RunTotals
from playground.trace import Summary, Trace

Kind = Literal["measured", "computed", "predicted", "set"]


@dataclass(frozen=True)
class Source:
    """Where a figure comes from."""

    kind: Kind  # measured: off a clock or counter of the machine; computed: from the records; set: asked for, given
    words: str  # how, with the numbers it was computed from


def summary_of(trace: Trace) -> Summary:
    """The summary a trace ends with; of a trace that was cut off, what its records add up to."""
    if trace.footer is not None:
        return trace.footer.summary
    return run_summary(trace, peak_memory_bytes=0, costs=None)


def summary_sources(trace: Trace, totals: RunTotals | None = None) -> dict[str, Source]:
    """Where each figure of a trace's summary comes from, by its name; `totals` saves summing it again."""
    totals = totals or RunTotals.of(trace)
    steps, ours, plain = totals.steps, totals.redrafter, totals.plain
    ms = steps.stage_ms
    computed = {
        "new_tokens": f"first root + emitted tokens of {steps.count} steps = {ours.tokens}",
        "tokens_per_step": f"emitted / steps = {steps.emitted} / {steps.count}",
        "redrafter_tokens_per_second": _rate(ours.tokens, ours.clock_ms),
        "plain_tokens_per_second": _rate(plain.tokens, plain.clock_ms),
        "speedup": f"drafting / plain tokens per second = {_number(ours.tokens_per_second)} / "
        f"{_number(plain.tokens_per_second)}",
        "speedup_over_fastest_plain": f"speed-up x plain step in {_fastest(trace)} "
        "/ plain step in the run's own dtype, both measured when the pair was loaded",
        "drafter_share": f"draft / all stages = {ms.draft:.1f} / {ms.total:.1f} ms",
        "mean_acceptance_length": f"1 + accepted / steps = 1 + {steps.accepted} / {steps.count}",
        "draft_acceptance_rate": f"accepted / drafted = {steps.accepted} / {steps.draft_tokens}",
        "acceptance_histogram": f"steps by accepted drafted tokens, {steps.count} together",
        "num_spec_steps": f"steps recorded: {steps.count}",
        "num_accepted_draft_tokens": f"accepted drafted tokens of {steps.count} steps, before any cut",
        "num_draft_tokens": f"tree nodes without their roots = {steps.nodes} - {steps.count}",
    }
    measured = {
        "fastest_plain_dtype": "plain steps of every dtype on offer, timed when the pair was loaded",
        "stage_ms": f"the lane's clock around each stage, summed over {steps.count} steps",
        "prompt_ms": "the lane's clock around its prompt's forward",
        "peak_memory_bytes": "the machine's own counter, highest during the run",
    }
    found = {name: Source("computed", words) for name, words in computed.items()}
    found |= {name: Source("measured", words) for name, words in measured.items()}
    return {field.name: found[field.name] for field in fields(Summary) if field.name in found}


def _rate(tokens: int, clock_ms: float) -> str:
    return f"(tokens - 1) / seconds of the lane's own clock = {max(tokens - 1, 0)} / {clock_ms / 1000:.3f}"


def _fastest(trace: Trace) -> str:
    return (trace.footer.summary.fastest_plain_dtype if trace.footer else None) or "the fastest dtype"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"
