"""What fewer nodes would have made of a run, estimated from the run alone.

Without a budget: the first w beams, cut to l tokens, give a smaller tree inside the recorded one. Under a budget nodes
are numbered best first, so the first n of them are the tree of a budget of n. Either way its nodes, and how far the
accepted path stays in it, are known for every step. A step of it costs what the recorded one did, less the drafter
calls it saves and less the nodes it saves, at the price the run itself paid for a node beyond the first.

Does not know what a search with fewer beams would have kept (its best beams may differ from a wide search's), nor that
its steps would start elsewhere; so an estimate, to be checked by running it. Says nothing of larger trees.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

from playground.figures.equation import EVEN_UP_TO, SpeedEquation, speed_equation
from playground.figures.totals import RunTotals
from playground.trace import StepRecord, Trace

WIDTHS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64)
BUDGETS = (2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128)
WORTH_SAYING = 1.05  # times what the run reached


@dataclass(frozen=True)
class ShapeEstimate:
    """A shape inside the recorded one, and what it would have done."""

    width: int
    length: int
    budget: int | None  # None: the surviving beams
    tokens_per_step: float
    nodes: float  # of a step's tree, the root among them
    speedup: float


def winning_shape(trace: Trace, totals: RunTotals | None = None) -> ShapeEstimate | None:
    """The one smaller shape to try in a run that did not win; None where none would win either."""
    totals = totals or RunTotals.of(trace)
    equation = speed_equation(totals)
    if equation is None or equation.speedup is None or equation.verdict == "win":
        return None
    best = max(estimates(trace, totals), key=lambda one: one.speedup, default=None)
    return best if best and best.speedup >= max(EVEN_UP_TO, WORTH_SAYING * equation.speedup) else None


def estimates(trace: Trace, totals: RunTotals | None = None) -> tuple[ShapeEstimate, ...]:
    """Every shape within the run's, the run's own among them (the largest budget in one); none without a plain lane."""
    totals = totals or RunTotals.of(trace)
    equation = speed_equation(totals)
    if equation is None or equation.cost is None:
        return ()
    if all(step.budget is not None for step in trace.steps):
        return _budgets(trace, totals, equation)
    return _beams(trace, totals, equation) if _beams_hold_the_tree(trace) else ()


def _budgets(trace: Trace, totals: RunTotals, equation: SpeedEquation) -> tuple[ShapeEstimate, ...]:
    settings, found = trace.header.settings, []
    largest = max(step.tree.nodes for step in trace.steps)
    for budget in [*(one for one in BUDGETS if one < largest), largest]:
        emitted = nodes = 0
        for step in trace.steps:
            kept = sum(node < budget for node in step.path)  # a path's nodes stand in rising order
            emitted += min(kept, len(step.emitted))
            nodes += min(budget, step.tree.nodes)
        per_step, mean = emitted / equation.steps, nodes / equation.steps
        cost = _step_cost(equation, totals, mean, length_share=1.0)
        width, length = settings.beam_width, settings.beam_length
        found.append(ShapeEstimate(width, length, budget, per_step, mean, per_step / cost))
    return tuple(found)


def _beams(trace: Trace, totals: RunTotals, equation: SpeedEquation) -> tuple[ShapeEstimate, ...]:
    settings = trace.header.settings
    widths = [width for width in WIDTHS if width < settings.beam_width] + [settings.beam_width]
    sums = [[[0, 0] for _ in range(settings.beam_length)] for _ in widths]  # [width][length]: emitted, nodes
    for step in trace.steps:
        _add(sums, step, widths)
    found = []
    for width, row in zip(widths, sums, strict=True):
        for length, (emitted, nodes) in enumerate(row, 1):
            per_step, mean = emitted / equation.steps, nodes / equation.steps
            cost = _step_cost(equation, totals, mean, length / settings.beam_length)
            found.append(ShapeEstimate(width, length, None, per_step, mean, per_step / cost))
    return tuple(found)


def _beams_hold_the_tree(trace: Trace) -> bool:
    """Nodes that no surviving beam runs through belong to no smaller shape, so nothing can be said of one."""
    return all(
        len({node for row in step.tree.node_of for node in row if node > 0}) == step.tree.nodes - 1
        for step in trace.steps
    )


def _add(sums: list[list[list[int]]], step: StepRecord, widths: Sequence[int]) -> None:
    path, seen, reached = frozenset(step.path), {0}, 0
    at_depth = [0] * len(sums[0])
    rows = iter(step.tree.node_of)
    taken = 0
    for width, by_length in zip(widths, sums, strict=True):
        while taken < width:
            taken += 1
            for depth, node in enumerate(next(rows, ())):
                if node < 0:
                    break
                if node not in seen:
                    seen.add(node)
                    at_depth[depth] += 1
                if node in path:
                    reached = max(reached, depth + 1)
        for length, nodes in enumerate(accumulate(at_depth), 1):
            by_length[length - 1][0] += min(min(reached, length) + 1, len(step.emitted))
            by_length[length - 1][1] += nodes + 1


def _step_cost(equation: SpeedEquation, totals: RunTotals, nodes: float, length_share: float) -> float:
    """In plain steps. A drafter call is taken to cost the same for fewer beams, which favours no smaller shape."""
    cost, steps = equation.cost, totals.steps
    assert cost is not None
    verify = steps.stage_ms.verify / steps.count / cost.plain_ms
    price = max(0.0, verify - 1.0) / max(1.0, steps.mean_nodes - 1.0)
    return cost.total - cost.draft * (1.0 - length_share) - price * (steps.mean_nodes - nodes)
