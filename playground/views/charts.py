"""What the charts of a run say, as plain values: record -> info. Every info has a table that says the same.

Counts stand beside every share, so that a reader sees what it was divided by. Knows no chart library and no colour.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from playground.figures.format import percent
from playground.figures.rates import rate_points
from playground.figures.totals import LaneTotals, PositionAcceptance, RunTotals
from playground.trace import Lane, Trace
from playground.views.chart_table import ChartTable

STAGES = ("draft", "tree", "verify", "accept", "commit")
LANE_NAMES: dict[Lane, str] = {"redrafter": "ReDrafter", "plain": "Plain decoding"}
MOST_POINTS = 400


@dataclass(frozen=True)
class LaneRates:
    """One lane's rate along its own clock."""

    lane: Lane
    name: str
    seconds: tuple[float, ...]
    rates: tuple[float, ...]  # tokens per second around each moment
    tokens: tuple[int, ...]  # written by each moment
    whole: float | None  # of the whole run


@dataclass(frozen=True)
class RatesInfo:
    """Tokens per second of the lanes that have any."""

    lanes: tuple[LaneRates, ...]

    @property
    def table(self) -> ChartTable:
        rows = [
            (one.name, f"{seconds:.2f}", f"{rate:.1f}", str(tokens))
            for one in self.lanes
            for seconds, rate, tokens in zip(one.seconds, one.rates, one.tokens, strict=True)
        ]
        return ChartTable(("Lane", "Seconds", "Tokens per second", "Tokens so far"), tuple(rows))


@dataclass(frozen=True)
class PositionsInfo:
    """How often each drafted position was accepted."""

    positions: tuple[PositionAcceptance, ...]  # those that any step drafted

    @property
    def table(self) -> ChartTable:
        rows = [
            (str(at.depth), str(at.accepted), str(at.drafted), percent(at.share), str(at.reached))
            for at in self.positions
        ]
        return ChartTable(("Position", "Accepted", "Drafted", "Share", "Reached"), tuple(rows))


@dataclass(frozen=True)
class HistogramInfo:
    """Steps by how many drafted tokens they accepted."""

    steps: tuple[int, ...]  # [L + 1]

    @property
    def total(self) -> int:
        return sum(self.steps)

    @property
    def table(self) -> ChartTable:
        rows = [
            (str(accepted), str(count), percent(count / max(1, self.total)))
            for accepted, count in enumerate(self.steps)
        ]
        return ChartTable(("Accepted tokens", "Steps", "Share of steps"), tuple(rows))


@dataclass(frozen=True)
class StagesInfo:
    """Where the drafting lane's time went, step by step."""

    steps: tuple[int, ...]  # counted from 1, as people do
    ms: tuple[tuple[float, ...], ...]  # [stages][steps]
    nodes: tuple[int, ...]  # of each step's tree
    tokens: tuple[int, ...]  # that each step wrote

    @property
    def totals(self) -> tuple[float, ...]:
        return tuple(sum(row) for row in self.ms)

    @property
    def table(self) -> ChartTable:
        whole = sum(self.totals) or 1.0
        rows = [
            (stage, f"{total:.1f}", percent(total / whole)) for stage, total in zip(STAGES, self.totals, strict=True)
        ]
        return ChartTable(("Stage", "Milliseconds", "Share"), tuple(rows))


def rates_info(trace: Trace) -> RatesInfo:
    """Both lanes' rates over a sliding eighth of the run."""
    totals = RunTotals.of(trace)
    pairs: tuple[tuple[Lane, LaneTotals], ...] = (("redrafter", totals.redrafter), ("plain", totals.plain))
    lanes = [_lane_rates(lane, sums) for lane, sums in pairs]
    return RatesInfo(tuple(lane for lane in lanes if lane.seconds))


def positions_info(trace: Trace) -> PositionsInfo:
    return PositionsInfo(tuple(at for at in RunTotals.of(trace).steps.positions if at.drafted))


def histogram_info(trace: Trace) -> HistogramInfo:
    steps = RunTotals.of(trace).steps
    return HistogramInfo(tuple(steps.histogram) if steps.count else ())


def stages_info(trace: Trace) -> StagesInfo:
    steps = trace.steps
    return StagesInfo(
        steps=tuple(step.index + 1 for step in steps),
        ms=tuple(tuple(getattr(step.ms, stage) for step in steps) for stage in STAGES),
        nodes=tuple(step.tree.nodes for step in steps),
        tokens=tuple(len(step.emitted) for step in steps),
    )


def _lane_rates(lane: Lane, sums: LaneTotals) -> LaneRates:
    points = rate_points(sums.events, MOST_POINTS)
    written = _tokens_at([point.clock_ms for point in points], sums)
    return LaneRates(
        lane=lane,
        name=LANE_NAMES[lane],
        seconds=tuple(point.clock_ms / 1000 for point in points),
        rates=tuple(point.tokens_per_second for point in points),
        tokens=written,
        whole=sums.tokens_per_second,
    )


def _tokens_at(clocks: Sequence[float], sums: LaneTotals) -> tuple[int, ...]:
    """Tokens written by each of rising moments, every one of which is an event."""
    known = dict(sums.events)
    return tuple(known[clock] for clock in clocks)
