"""A run's outcome in one sentence or three, also when drafting was slower. Knows the summary and the parity report."""

from __future__ import annotations

from playground.figures.equation import verdict
from playground.figures.format import number, percent, plural, small, times
from playground.trace import FinishReason, ParityRecord, Summary


def run_sentence(summary: Summary, parity: ParityRecord | None, finish: FinishReason) -> str:
    """What the run showed: speed, why, and whether both lanes agree."""
    stopped = f"Stopped after {plural(summary.new_tokens, 'token')}." if finish == "stopped" else ""
    return " ".join(part for part in (_speed(summary), _why(summary), _parity(parity), stopped) if part)


def _speed(summary: Summary) -> str:
    ours = summary.redrafter_tokens_per_second
    if not summary.num_spec_steps:
        return "No drafting step ran, so there is no rate to report."
    if summary.speedup is None or summary.plain_tokens_per_second is None:
        return (
            f"Recurrent drafting wrote {plural(summary.new_tokens, 'token')} at {number(ours)} tokens/s. "
            "Plain decoding did not run beside it, so there is no speed-up to report."
        )
    against = f"({number(ours)} against {number(summary.plain_tokens_per_second)} tokens/s)"
    gained = verdict(summary.speedup)
    if gained == "win":
        return f"Recurrent drafting ran at {times(summary.speedup)} the rate of plain decoding {against}."
    if gained == "even":
        return f"Recurrent drafting ran at {times(summary.speedup)} the rate of plain decoding {against}: about even."
    return (
        f"Recurrent drafting was slower than plain decoding: {times(summary.speedup)} its rate {against}. "
        "Try fewer or shorter beams, or decode this prompt plainly."
    )


def _why(summary: Summary) -> str:
    if not summary.num_spec_steps:
        return ""
    gave = f"Each step wrote {number(summary.tokens_per_step, 2)} tokens"
    if summary.speedup:
        gave += f" and cost {number(summary.tokens_per_step / summary.speedup, 2)} plain steps"
    gave += f"; drafting took {percent(summary.drafter_share)} of the time."
    fastest, over = summary.fastest_plain_dtype, summary.speedup_over_fastest_plain
    if over is not None and summary.speedup is not None and over < 0.995 * summary.speedup:
        gave += f" Over the fastest plain decoding of this model here ({fastest}) it is {times(over)}."
    return gave


def _parity(parity: ParityRecord | None) -> str:
    if parity is None or parity.identical is None:
        return ""
    if parity.identical:
        return f"Both lanes wrote the same {plural(parity.compared, 'token')}."
    first = (parity.first_difference or 0) + 1  # people count from one
    near = parity.gap is not None and parity.gap < 100
    gap = f", where the top two logits differed by {small(parity.gap or 0.0)}" if near else ""
    rounds = "a forward over a tree rounds differently from one over a token"
    return f"The lanes differ from token {first:,} on{gap}: {rounds}."
