"""A run's outcome in one sentence or three, also when drafting was slower. Knows the summary and the parity report."""

from __future__ import annotations

from playground.figures.format import percent
from playground.trace import FinishReason, ParityRecord, Summary


def run_sentence(summary: Summary, parity: ParityRecord | None, finish: FinishReason) -> str:
    """What the run showed: speed, why, and whether both lanes agree."""
    parts = ["Stopped early." if finish == "stopped" else "", _speed(summary), _why(summary), _parity(parity)]
    return " ".join(part for part in parts if part)


def _speed(summary: Summary) -> str:
    ours = summary.redrafter_tokens_per_second
    if not summary.num_spec_steps:
        return "No drafting step ran, so there is no rate to report."
    if summary.speedup is None or summary.plain_tokens_per_second is None:
        return (
            f"Recurrent drafting wrote {summary.new_tokens} tokens at {ours:.1f} tokens/s. "
            "The plain lane did not run, so nothing is said about a speed-up."
        )
    against = f"({ours:.1f} against {summary.plain_tokens_per_second:.1f} tokens/s)"
    if summary.speedup >= 1.005:
        return f"Recurrent drafting was {summary.speedup:.2f} times as fast as plain decoding {against}."
    if summary.speedup > 0.995:
        return f"Recurrent drafting was as fast as plain decoding {against}: it gained nothing here."
    return (
        f"Recurrent drafting was slower than plain decoding {against}: {summary.speedup:.2f} times its rate. "
        "Try fewer or shorter beams, or decode this prompt plainly."
    )


def _why(summary: Summary) -> str:
    if not summary.num_spec_steps:
        return ""
    gave = f"Each step gave {summary.tokens_per_step:.2f} tokens"
    if summary.speedup:
        gave += f" and cost {summary.tokens_per_step / summary.speedup:.2f} plain steps"
    gave += f"; drafting took {percent(summary.drafter_share)} of its time."
    fastest, over = summary.fastest_plain_dtype, summary.speedup_over_fastest_plain
    if over is not None and summary.speedup is not None and over < 0.995 * summary.speedup:
        gave += f" Against the fastest plain decoding of this model here ({fastest}) that is {over:.2f} times its rate."
    return gave


def _parity(parity: ParityRecord | None) -> str:
    if parity is None or parity.identical is None:
        return ""
    if parity.identical:
        return f"Both lanes wrote the same {parity.compared} tokens."
    first = (parity.first_difference or 0) + 1  # people count from one
    near = parity.gap is not None and parity.gap < 100
    gap = f", where the two best choices lay {parity.gap:.4f} apart" if near else ""
    return (
        f"The lanes differ from new token {first} on{gap}: a forward over a tree rounds "
        "differently from a forward over one token. Use float32 for the same text."
    )
