"""The speed equation and the estimate of smaller shapes, on made-up runs whose sums are known."""

from __future__ import annotations

from dataclasses import replace

import pytest

from playground.figures.equation import speed_equation, verdict
from playground.figures.narrower import estimates, winning_shape
from playground.figures.totals import RunTotals
from playground.trace import StageMs, Trace, TreeRecord
from playground.views.speed import speed_info
from tests.views.synthetic import make_step, make_trace, timed

PLAIN_MS, DRAFT_MS = 18.0, 4.0


@pytest.fixture
def trace() -> Trace:
    return timed(make_trace(width=16, length=5, new_tokens=80, seed=4), node_ms=0.5)


def test_the_equation_holds(trace: Trace) -> None:
    totals = RunTotals.of(trace)
    equation = speed_equation(totals)
    assert equation is not None and equation.cost is not None
    assert equation.speedup == pytest.approx(totals.speedup)
    assert equation.cost.plain_ms == pytest.approx(PLAIN_MS)
    assert equation.cost.draft == pytest.approx(DRAFT_MS / PLAIN_MS)
    mean_nodes = sum(step.tree.nodes for step in trace.steps) / len(trace.steps)
    assert equation.cost.nodes == pytest.approx((0.5 * (mean_nodes - 1) + 1.0) / PLAIN_MS)
    assert 1.0 + equation.cost.draft + equation.cost.nodes == pytest.approx(equation.cost.total)


def test_without_a_plain_lane_there_is_no_cost(trace: Trace) -> None:
    alone = replace(trace, plain=[], header=replace(trace.header, settings=replace(trace.header.settings, race=False)))
    equation = speed_equation(RunTotals.of(alone))
    assert equation is not None and equation.cost is None and equation.speedup is None and equation.verdict is None
    info = speed_info(alone)
    assert info is not None and "plain decoding did not run" in info.words and info.advice is None
    assert estimates(alone) == ()
    assert speed_equation(RunTotals.of(replace(trace, steps=[]))) is None


@pytest.mark.parametrize(
    ("speedup", "judged"),
    [(0.99, "loss"), (0.996, "even"), (1.0, "even"), (1.034, "even"), (1.04, "win"), (None, None)],
)
def test_the_verdict_judges_what_is_shown(speedup: float | None, judged: str | None) -> None:
    assert verdict(speedup) == judged


def test_the_runs_own_shape_is_estimated_as_what_it_did(trace: Trace) -> None:
    own = estimates(trace)[-1]
    equation = speed_equation(RunTotals.of(trace))
    assert equation is not None and (own.width, own.length) == (16, 5)
    assert own.tokens_per_step == pytest.approx(equation.tokens_per_step)
    assert own.speedup == pytest.approx(equation.speedup)
    assert own.nodes == pytest.approx(RunTotals.of(trace).steps.mean_nodes)


def test_smaller_shapes_are_counted_in_the_recorded_trees() -> None:
    """Two beams, one accepted token in the first and two in the second: by hand."""
    made = make_trace(width=2, length=2, new_tokens=6, seed=1)
    step = make_step(0, 3, [(1, 5), (1, 2)], [1, 2, 9], root=0, clock_ms=30.0)
    step = replace(step, ms=StageMs(3.0, 0.0, 27.0, 0.0, 0.0))
    plain = [replace(made.plain[at], clock_ms=20.0 * at) for at in range(4)]
    one = replace(made, steps=[step], plain=plain)
    found = {(shape.width, shape.length): shape for shape in estimates(one)}
    assert [(key, found[key].tokens_per_step, found[key].nodes) for key in found] == [
        ((1, 1), 2.0, 2.0), ((1, 2), 2.0, 3.0), ((2, 1), 2.0, 2.0), ((2, 2), 3.0, 4.0),
    ]  # fmt: skip
    per_node = 7.0 / 3
    assert found[1, 1].speedup == pytest.approx(2.0 * 20 / (27.0 - 2 * per_node + 1.5))


def test_a_loss_names_the_shape_that_would_win(trace: Trace) -> None:
    lost = timed(trace, node_ms=1.2)
    equation = speed_equation(RunTotals.of(lost))
    assert equation is not None and equation.verdict == "loss"
    shape = winning_shape(lost)
    best = max(estimates(lost), key=lambda one: one.speedup)
    assert shape == best and shape.width < 16 and shape.speedup > 1.1
    info = speed_info(lost)
    assert info is not None and info.advice is not None
    assert info.advice.words.startswith(f"{shape.width} × {shape.length}: about 1.")
    assert winning_shape(timed(trace, node_ms=0.01)) is None, "a win needs no advice"
    assert winning_shape(timed(trace, node_ms=40.0)) is None, "nothing would win"


def test_trees_that_hold_more_than_the_beams_are_left_alone(trace: Trace) -> None:
    first, *others = trace.steps
    hidden = replace(first, tree=replace(first.tree, node_of=first.tree.node_of[1:]))
    assert estimates(replace(trace, steps=[hidden, *others])) == ()


def test_under_a_budget_the_first_nodes_are_a_smaller_tree() -> None:
    """Nodes best first: 1 and 3 are accepted, so a budget of 2 keeps one of them and of 3 no more."""
    made = make_trace(width=2, length=2, new_tokens=6, seed=1)
    step = make_step(0, 3, [(1, 2), (5, 6)], [1, 2, 9], root=0, clock_ms=30.0)
    tree = TreeRecord((0, 1, 5, 2), (-1, 0, 0, 1), (0, 1, 1, 2), ((1, 3), (2, -1)))
    picks = tuple(replace(pick, node=node) for pick, node in zip(step.picks, (0, 1, 3), strict=True))
    ms = StageMs(3.0, 0.0, 26.0, 0.5, 0.5)
    step = replace(
        step, tree=tree, path=(0, 1, 3), picks=picks, ms=ms, budget=4, log_probability=(0.0,) * 4, rank=(0, 1, 2, 1)
    )
    plain = [replace(made.plain[at], clock_ms=20.0 * at) for at in range(4)]
    found = estimates(replace(made, steps=[step], plain=plain))
    assert [(one.budget, one.tokens_per_step, one.nodes) for one in found] == [
        (2, 2.0, 2.0),
        (3, 2.0, 3.0),
        (4, 3.0, 4.0),
    ]
    assert found[0].speedup == pytest.approx(2.0 * 20 / (30.0 - 2 * (6.0 / 3)))
    assert found[-1].speedup == pytest.approx(3.0 * 20 / 30.0)
