"""The speed equation of a run: tokens per step / cost of a step = speed-up. Knows sums over records, and no words.

The cost of a step is counted in plain steps, by both lanes' own clocks, so the equation holds exactly:
(tokens_r / clock_r) / (tokens_p / clock_p) = (tokens_r / steps) / ((clock_r / steps) / (clock_p / tokens_p)).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from playground.figures.totals import RunTotals

Verdict = Literal["win", "even", "loss"]
EVEN_UP_TO = 1.03  # less than this is within what two runs of one thing differ by
SETTLED_STEPS = 8  # rates of fewer say little


@dataclass(frozen=True)
class StepCost:
    """What a step costs, in plain steps: 1 for the forward that plain decoding needs too, and what comes on top."""

    total: float
    draft: float  # the drafter's share
    plain_ms: float  # milliseconds of one plain step
    step_ms: float

    @property
    def nodes(self) -> float:
        """What is left: verifying many nodes instead of one, tree, accept, commit. Below 0 where noise outweighs it."""
        return self.total - 1.0 - self.draft


@dataclass(frozen=True)
class SpeedEquation:
    """One side of the equation is None without a plain lane to measure against."""

    tokens_per_step: float
    cost: StepCost | None
    steps: int

    @property
    def speedup(self) -> float | None:
        return self.tokens_per_step / self.cost.total if self.cost else None

    @property
    def settled(self) -> bool:
        return self.steps >= SETTLED_STEPS

    @property
    def verdict(self) -> Verdict | None:
        return verdict(self.speedup)


def verdict(speedup: float | None) -> Verdict | None:
    """Judged as it is shown, with two digits: what reads 1.00 is no loss."""
    if speedup is None:
        return None
    shown = round(speedup, 2)
    return "loss" if shown < 1.0 else "even" if shown <= EVEN_UP_TO else "win"


def speed_equation(totals: RunTotals) -> SpeedEquation | None:
    """The equation as far as the run goes; None before its first step."""
    steps, plain = totals.steps, totals.plain
    if not steps.count or not totals.redrafter.clock_ms:
        return None
    per_step = (totals.redrafter.tokens - 1) / steps.count
    if plain.tokens < 2 or not plain.clock_ms:
        return SpeedEquation(per_step, None, steps.count)
    plain_ms = plain.clock_ms / (plain.tokens - 1)
    step_ms = totals.redrafter.clock_ms / steps.count
    draft = steps.stage_ms.draft / steps.count / plain_ms
    return SpeedEquation(per_step, StepCost(step_ms / plain_ms, draft, plain_ms, step_ms), steps.count)
