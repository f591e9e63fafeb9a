"""What the charts about the drafter's honesty say: records of one run or several -> info. Knows no chart library."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from playground.figures.format import number, percent, plural
from playground.figures.honesty import Calibration, Misses, RankCount, calibration, misses
from playground.figures.totals import RunTotals, StepTotals
from playground.trace import StepRecord, Trace
from playground.views.chart_table import ChartTable

HONEST = 0.02  # means closer than this are called honest: two points of a hundred


@dataclass(frozen=True)
class HonestyInfo:
    """The drafter's probabilities against the base model's."""

    runs: int
    found: Calibration

    @property
    def words(self) -> tuple[str, ...]:
        if not self.found.nodes:
            return ("No drafted token yet.",)
        apart = self.found.draft - self.found.base
        verdict = (
            "on average it is honest" if abs(apart) < HONEST
            else f"it claims {number(abs(apart) * 100, 0)} points too {'much' if apart > 0 else 'little'}"
        )  # fmt: skip
        return (
            f"Over {plural(self.found.nodes, 'drafted token')} of {plural(self.runs, 'run')} the drafter gave "
            f"{percent(self.found.draft)} on average, the base model {percent(self.found.base)}: {verdict}.",
            f"Bin by bin the two are {number(self.found.error * 100, 1)} points apart (expected calibration error).",
            "On the diagonal the two agree; below it the drafter is too sure, above it too modest. Accepted counts "
            "only tokens that decoding reached.",
        )

    @property
    def table(self) -> ChartTable:
        rows = [
            (
                f"{percent(one.low)} to {percent(one.high)}", str(one.nodes), percent(one.draft), percent(one.base),
                percent(one.accepted_share), f"{one.accepted} of {one.looked}",
            )
            for one in self.found.bins
        ]  # fmt: skip
        return ChartTable(
            ("Drafter's p", "Drafted tokens", "Drafter, mean", "Base model, mean", "Accepted", "Of those reached"),
            tuple(rows),
        )


@dataclass(frozen=True)
class MissesInfo:
    """Where the drafter guessed wrong."""

    runs: int
    found: Misses
    base_confidence: float  # mean probability the base model gave its own picks

    @property
    def words(self) -> tuple[str, ...]:
        if not self.found.guessed:
            return ("No guess yet.",)
        counted = [one for one in self.found.kinds if one.missed]
        worst = max(counted, key=lambda one: one.missed, default=None)
        most = "" if worst is None else f" Most misses are of the kind {worst.kind}: {worst.missed}."
        return (
            f"In {plural(self.runs, 'run')} the drafter guessed at {plural(self.found.guessed, 'pick')} and missed "
            f"{self.found.missed} ({percent(self.found.missed / self.found.guessed)}).{most}",
            f"The base model itself gave its picks {percent(self.base_confidence)} on average: where it hardly prefers "
            "one token to another, no drafter can tell which it will be.",
            "A miss is a pick that no drafted child held. Its rank is the place that the drafter's favourite there has "
            "with the base model; a 1st is missed only when the seeded draw went elsewhere.",
        )

    @property
    def table(self) -> ChartTable:
        kinds = [
            ("kind of the pick", one.kind, str(one.missed), str(one.guessed), percent(one.share))
            for one in self.found.kinds
        ]
        ranks = [
            ("rank of the favourite", rank_name(one), str(one.missed), str(self.found.missed),
             percent(one.missed / self.found.missed))
            for one in self.found.ranks
        ]  # fmt: skip
        return ChartTable(("By", "Group", "Misses", "Of", "Share"), (*kinds, *ranks))


def honesty_info(traces: Sequence[Trace]) -> HonestyInfo:
    """Over all steps of all `traces`."""
    return HonestyInfo(len(traces), calibration(_steps(traces)))


def misses_info(traces: Sequence[Trace]) -> MissesInfo:
    """Over all steps of all `traces`."""
    together = StepTotals.merged(RunTotals.of(trace).steps for trace in traces)
    return MissesInfo(len(traces), misses(_steps(traces)), together.base_confidence)


def rank_name(group: RankCount) -> str:
    """`2`, `4–10`, `over 100`."""
    if group.last is None:
        return f"over {group.first - 1}"
    return str(group.first) if group.first == group.last else f"{group.first}–{group.last}"


def _steps(traces: Sequence[Trace]) -> list[StepRecord]:
    return [step for trace in traces for step in trace.steps]
