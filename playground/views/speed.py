"""The speed equation in words, and in a loss the one change that would win. Record -> info; knows no colours."""

from __future__ import annotations

from dataclasses import dataclass

from playground.config import nodes_name
from playground.figures.equation import SpeedEquation, speed_equation
from playground.figures.format import number, times
from playground.figures.narrower import winning_shape
from playground.figures.totals import RunTotals
from playground.trace import Trace


@dataclass(frozen=True)
class Advice:
    """A beam shape that would have won where this run did not."""

    width: int
    length: int
    nodes: str  # budget: a number, or beams for none
    speedup: float  # estimated
    words: str


@dataclass(frozen=True)
class SpeedInfo:
    """The hero of the page."""

    equation: SpeedEquation
    words: str
    advice: Advice | None


def speed_info(trace: Trace, totals: RunTotals | None = None) -> SpeedInfo | None:
    """The equation of a run, finished or growing; advice once it is over. None before its first step."""
    totals = totals or RunTotals.of(trace)
    equation = speed_equation(totals)
    if equation is None:
        return None
    return SpeedInfo(equation, equation_words(equation, trace), _advice(trace, totals) if trace.footer else None)


def equation_words(equation: SpeedEquation, trace: Trace) -> str:
    """The equation as a sentence, and once the run is over what came of it."""
    gave = f"Each step wrote {number(equation.tokens_per_step, 2)} tokens"
    if equation.cost is None:
        if trace.header.settings.race:
            return f"{gave}."
        return f"{gave}. What a step costs is not known: plain decoding did not run beside it."
    cost = f"{number(equation.cost.total, 2)} plain steps"
    if trace.footer is None:
        return f"{gave} and cost {cost} so far."
    if equation.verdict == "win":
        return f"{gave} for the price of {cost}.{_fastest(trace)}"
    if equation.verdict == "even":
        return f"{gave} and cost {cost}: drafting gained nothing here."
    return f"{gave} but cost {cost}: drafting lost time here."


def _fastest(trace: Trace) -> str:
    """A slow baseline must not pass for a win."""
    summary = trace.footer.summary if trace.footer else None
    if summary is None or summary.speedup is None or summary.speedup_over_fastest_plain is None:
        return ""
    if summary.speedup_over_fastest_plain >= 0.995 * summary.speedup:
        return ""
    over = times(summary.speedup_over_fastest_plain)
    return f" Over the fastest plain decoding of this model here ({summary.fastest_plain_dtype}) it is {over}."


def _advice(trace: Trace, totals: RunTotals) -> Advice | None:
    shape = winning_shape(trace, totals)
    if shape is None:
        return None
    what = f"{shape.width} × {shape.length}" if shape.budget is None else f"{shape.budget} nodes"
    words = f"{what}: about {number(shape.speedup, 1)}× here"
    return Advice(shape.width, shape.length, nodes_name(shape.budget), shape.speedup, words)
