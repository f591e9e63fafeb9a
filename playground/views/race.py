"""The two lanes in figures: rates by each lane's own clock, speed-up, parity, where the time went.

Record -> info. While a run goes on the figures come from its steps; once the footer stands they are the footer's.
"""

from __future__ import annotations

from dataclasses import dataclass

from playground.figures.totals import RunTotals
from playground.trace import ParityRecord, PromptRecord, StageMs, Trace
from playground.views.token_text import quoted


@dataclass(frozen=True)
class LaneInfo:
    """One lane: tokens written, its own clock, its rate (prompt excluded)."""

    tokens: int
    clock_ms: float
    tokens_per_second: float | None
    prompt_ms: float | None


@dataclass(frozen=True)
class RaceInfo:
    """What the figures beside the tree say."""

    redrafter: LaneInfo
    plain: LaneInfo | None  # None without a race
    speedup: float | None
    speedup_over_fastest_plain: float | None
    fastest_plain_dtype: str | None
    tokens_per_step: float | None
    steps: int
    stage_ms: StageMs  # sums over the run so far
    drafter_share: float | None
    mean_nodes: float | None
    saving: float | None  # over all steps, 1 - nodes / slots
    peak_memory_bytes: int | None
    identical: bool | None
    parity: str  # in words, empty while the lanes still run
    sentence: str  # the verdict, empty while the run goes on
    finish_reason: str | None


def race_info(trace: Trace, totals: RunTotals | None = None) -> RaceInfo:
    """Figures of a trace, finished or still growing; `totals` saves summing it again."""
    totals = totals or RunTotals.of(trace)
    redrafter = _lane(totals.redrafter_events, trace.prompt("redrafter"))
    racing = trace.header.settings.race or bool(totals.plain_events)
    plain = _lane(totals.plain_events, trace.prompt("plain")) if racing else None
    stage_ms, steps = totals.stage_ms, totals.steps
    footer = trace.footer
    summary = footer.summary if footer else None
    speedup = None
    if plain and plain.tokens_per_second and redrafter.tokens_per_second:
        speedup = redrafter.tokens_per_second / plain.tokens_per_second
    return RaceInfo(
        redrafter=redrafter,
        plain=plain,
        speedup=summary.speedup if summary else speedup,
        speedup_over_fastest_plain=summary.speedup_over_fastest_plain if summary else None,
        fastest_plain_dtype=summary.fastest_plain_dtype if summary else None,
        tokens_per_step=totals.emitted / steps if steps else None,
        steps=steps,
        stage_ms=stage_ms,
        drafter_share=stage_ms.draft / stage_ms.total if stage_ms.total else None,
        mean_nodes=totals.nodes / steps if steps else None,
        saving=1.0 - (totals.nodes - steps) / totals.slots if totals.slots else None,
        peak_memory_bytes=summary.peak_memory_bytes if summary else None,
        identical=trace.parity.identical if trace.parity else None,
        parity=parity_words(trace),
        sentence=footer.sentence if footer else "",
        finish_reason=footer.finish_reason if footer else None,
    )


def parity_words(trace: Trace) -> str:
    """`Identical: both lanes wrote the same 96 tokens`, or where and how they differ."""
    parity = trace.parity
    if parity is None:
        return "Not compared: the plain lane did not run." if trace.complete else ""
    if parity.identical is None and parity.first_difference is None:
        if not trace.header.settings.race:
            return "Not compared: the plain lane did not run."
        return f"Not decided: the plain lane did not finish ({parity.compared} tokens compared, all the same)."
    if parity.identical:
        return f"Identical: both lanes wrote the same {parity.compared} tokens."
    return _difference_words(trace, parity)


def _lane(events: list[tuple[float, int]], first: PromptRecord | None) -> LaneInfo:
    clock, tokens = events[-1] if events else (0.0, 0)
    return LaneInfo(tokens, clock, _rate(tokens - 1, clock), first.ms if first else None)


def _rate(tokens: int, ms: float) -> float | None:
    return tokens / ms * 1000.0 if tokens > 0 and ms > 0 else None


def _difference_words(trace: Trace, parity: ParityRecord) -> str:
    token_bytes: dict[int, bytes] = {}
    for step in trace.steps:
        token_bytes.update(step.token_bytes)
    for first in trace.prompts:
        token_bytes.update(first.token_bytes)
    for record in trace.plain:
        token_bytes.update(record.token_bytes)

    def word(token: int | None) -> str:
        return "nothing" if token is None else quoted(token_bytes.get(token, b""))

    where = (parity.first_difference or 0) + 1
    words = (
        f"First difference at new token {where:,}: {word(parity.redrafter_token)} against {word(parity.plain_token)}"
    )
    gap = f"; plain decoding's two best logits there are {parity.gap:.3g} apart" if parity.gap is not None else ""
    return f"{words}{gap}. Rounding differs between one token and a tree."
