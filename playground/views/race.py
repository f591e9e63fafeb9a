"""The two lanes in figures: rates by each lane's own clock, speed-up, parity, where the time went.

Record -> info. While a run goes on the figures come from its steps; once the footer stands they are the footer's.
"""

from __future__ import annotations

from dataclasses import dataclass

from playground.figures.format import plural, small
from playground.figures.totals import LaneTotals, RunTotals
from playground.trace import FinishReason, ParityRecord, PromptRecord, StageMs, Trace
from playground.views.speed import SpeedInfo, speed_info
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
    first_difference: int | None  # index of the first new token that differs
    speed: SpeedInfo | None  # the speed equation, None before the first step
    finish_reason: FinishReason | None


def race_info(trace: Trace, totals: RunTotals | None = None) -> RaceInfo:
    """Figures of a trace, finished or still growing; `totals` saves summing it again."""
    totals = totals or RunTotals.of(trace)
    racing = trace.header.settings.race or bool(totals.plain.events)
    steps, footer = totals.steps, trace.footer
    summary = footer.summary if footer else None
    return RaceInfo(
        redrafter=_lane(totals.redrafter, trace.prompt("redrafter")),
        plain=_lane(totals.plain, trace.prompt("plain")) if racing else None,
        speedup=summary.speedup if summary else totals.speedup,
        speedup_over_fastest_plain=summary.speedup_over_fastest_plain if summary else None,
        fastest_plain_dtype=summary.fastest_plain_dtype if summary else None,
        tokens_per_step=steps.tokens_per_step if steps.count else None,
        steps=steps.count,
        stage_ms=steps.stage_ms,
        drafter_share=steps.drafter_share if steps.stage_ms.total else None,
        mean_nodes=steps.mean_nodes if steps.count else None,
        saving=steps.saving if steps.slots else None,
        peak_memory_bytes=summary.peak_memory_bytes if summary else None,
        identical=trace.parity.identical if trace.parity else None,
        parity=parity_words(trace),
        first_difference=trace.parity.first_difference if trace.parity else None,
        speed=speed_info(trace, totals),
        finish_reason=footer.finish_reason if footer else None,
    )


def parity_words(trace: Trace) -> str:
    """`Identical: both lanes wrote the same 96 tokens`, or where they differ. Said of a stopped run too."""
    parity = trace.parity
    if parity is None:
        return "Not compared: the plain lane did not run." if trace.complete else ""
    if parity.identical is None and parity.first_difference is None:
        if not trace.header.settings.race:
            return "Not compared: the plain lane did not run."
        return f"The same so far: {plural(parity.compared, 'token')} compared before the run was stopped."
    if parity.identical:
        return f"Identical: both lanes wrote the same {parity.compared} tokens."
    return _difference_words(trace, parity)


def _lane(lane: LaneTotals, first: PromptRecord | None) -> LaneInfo:
    return LaneInfo(lane.tokens, lane.clock_ms, lane.tokens_per_second, first.ms if first else None)


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
    ours, plain = word(parity.redrafter_token), word(parity.plain_token)
    words = f"The lanes differ from token {where:,} on: {ours} against {plain}."
    if parity.gap is None:
        return words
    return f"{words} The top two logits there differed by {small(parity.gap)}, and rounding tipped them."
