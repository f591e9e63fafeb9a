"""Sums over steps and lanes, checked on steps made by hand and on runs that were recorded."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from playground.export import read_trace
from playground.figures.acceptance import acceptance, run_totals
from playground.figures.rates import rate_points
from playground.figures.summary import PlainCosts, run_summary
from playground.figures.sweep import fastest, sweep_cell
from playground.figures.totals import RunTotals, StepTotals
from playground.trace import BeamsRecord, Pick, StageMs, StepRecord, TreeRecord
from playground.views.race import race_info
from tests.views.synthetic import make_trace

EXAMPLES = sorted((Path(__file__).resolve().parents[2] / "assets" / "traces").glob("*.jsonl"))


def step(emitted: tuple[int, ...], accepted: int, levels: int = 3) -> StepRecord:
    """One beam of `levels` tokens, the first `accepted` of them accepted."""
    beams = BeamsRecord(((1,) * levels,), ((-0.5,) * levels,), (-0.5 * levels,))
    depths = tuple(range(levels + 1))
    tree = TreeRecord((0,) + (1,) * levels, tuple(depth - 1 for depth in depths), depths, (depths[1:],))
    ms = StageMs(1.0, 0.0, 4.0, 0.0, 0.0)
    return StepRecord(0, 0, beams, tree, (), (), (), depths[: accepted + 1], emitted, None, ms, 0.0, {})


def totals_of(steps: Sequence[StepRecord]) -> StepTotals:
    totals = StepTotals()
    for one in steps:
        totals.add(one)
    return totals


def test_steps_count_by_their_share_outside_loops() -> None:
    loop = tuple(range(10, 19))
    steps = [step((11, 12), 1), step(loop[3:7], 3), step((17, 18, 5, 6), 3), step((7,), 0, 2)]
    apart = [run_totals(loop, 10, steps[: count + 1]) for count in range(len(steps))]
    assert [one.emitted for one in apart] == [2, 6, 10, 11]
    assert [one.looped for one in apart] == [0, 0, 2, 2]  # 18 and 5 follow eight tokens that stood together before
    found = acceptance([apart[-1]], 3)
    assert found.tokens_per_step == 11 / 4 and found.loop_share == 2 / 11
    assert found.tokens_per_step_no_loops == pytest.approx(9 / (1 + 1 + 2 / 4 + 1))
    assert found.accepted_histogram == (1, 1, 0, 2)
    assert found.accepted_at == (3 / 4, 2 / 3, 1.0)
    assert found.draft_over_verify == 0.25 and found.ms_per_token == pytest.approx(20 / 11)


def test_confidence_is_what_the_base_model_gave_its_picks() -> None:
    sure = tuple(Pick(0, 1, math.log(p), 1) for p in (0.9, 0.6))
    totals = totals_of([replace(step((1, 2), 1), picks=sure), replace(step((3,), 0), picks=sure[1:])])
    assert totals.base_confidence == pytest.approx((0.9 + 0.6 + 0.6) / 3)
    again = StepTotals.from_json(json.loads(json.dumps(totals.to_json())))
    assert acceptance([again, totals], 3).base_confidence == pytest.approx(totals.base_confidence)
    assert acceptance([], 3).base_confidence == 0.0


def test_copies_are_counted_and_a_budgets_tree_saves_nothing() -> None:
    plain = step((1, 2), 1)
    copies = replace(plain.tree, origin=("root", "beam", "copy", "copy"))
    budgeted = replace(step((1, 1, 5), 2), tree=copies, budget=16)
    totals = totals_of([plain, budgeted])
    assert (totals.copied, totals.copied_accepted, totals.slots) == (2, 1, 3)
    found = acceptance([totals], 3)
    assert found.mean_copied == 1.0 and found.copied_share == 1 / 3
    assert vars(StepTotals.merged([totals_of([plain]), totals_of([budgeted])])) == vars(totals)


def test_steps_that_drafted_less_do_not_count_beyond() -> None:
    short, longer = totals_of([step((1, 2), 1, levels=1)]), totals_of([step((1, 2, 3), 2, levels=2)])
    assert acceptance([short], 3).accepted_at == (1.0, 0.0, 0.0)
    assert acceptance([short, longer], 2).accepted_at == (1.0, 1.0)
    assert acceptance([], 2).tokens_per_step == 0.0 and acceptance([], 2).accepted_histogram == (0, 0, 0)


def test_a_beam_that_ends_early_drafts_no_deeper() -> None:
    """Beams of three levels, all ended after one: nothing was drafted at the second."""
    whole = step((1,), 1, levels=1)
    ended = replace(
        whole,
        beams=BeamsRecord(((1, -1, -1),), ((-0.5, 0.0, 0.0),), (-0.5,)),
        tree=replace(whole.tree, node_of=((1, -1, -1),)),
    )
    totals = totals_of([ended, step((1, 1), 1)])
    assert [(at.accepted, at.drafted, at.reached) for at in totals.positions] == [(2, 2, 2), (0, 1, 1), (0, 1, 0)]


def test_several_runs_count_as_one() -> None:
    steps = [step((1, 2), 1), step((3,), 0, 2), step((4, 5, 6, 7), 3)]
    together, merged = totals_of(steps), StepTotals.merged(totals_of([one]) for one in steps)
    assert vars(merged) == vars(together)
    assert (merged.count, merged.emitted, merged.accepted, merged.draft_tokens, merged.slots) == (3, 7, 4, 8, 8)
    assert merged.histogram == [1, 1, 0, 1] and merged.stage_ms == StageMs(3.0, 0.0, 12.0, 0.0, 0.0)


def test_acceptance_by_position_never_rises() -> None:
    trace = make_trace(new_tokens=60, seed=4)
    bars = RunTotals.of(trace).steps.positions
    assert [bar.depth for bar in bars] == [1, 2, 3, 4, 5]
    assert all(bar.drafted == len(trace.steps) for bar in bars)
    assert all(left.accepted >= right.accepted for left, right in pairwise(bars))
    assert bars[0].accepted == sum(step.accepted >= 1 for step in trace.steps)


def test_rate_points_of_an_even_run_are_flat() -> None:
    points = rate_points([(20.0 * place, place + 1) for place in range(400)])
    assert 2 < len(points) <= 49 and all(point.tokens_per_second == pytest.approx(50.0) for point in points)
    assert rate_points([]) == () and rate_points([(0.0, 1)]) == ()


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_a_recorded_summary_follows_from_its_records(path: Path) -> None:
    """And what the page says while a run goes on is what the footer says at its end."""
    trace = read_trace(path)
    assert trace.footer is not None
    kept = trace.footer.summary
    assert kept.speedup and kept.speedup_over_fastest_plain and kept.fastest_plain_dtype
    ms = {trace.header.dtype: 1.0, kept.fastest_plain_dtype: kept.speedup_over_fastest_plain / kept.speedup}
    costs = PlainCosts(trace.header.dtype, tuple(ms.items()))
    again = run_summary(trace, peak_memory_bytes=kept.peak_memory_bytes, costs=costs)
    assert flat(again).keys() == flat(kept).keys()
    for name, value in flat(again).items():
        stated = flat(kept)[name]
        assert value == (pytest.approx(stated, rel=1e-12) if isinstance(stated, float) else stated), name
    live = race_info(replace(trace, footer=None))
    assert (live.speedup, live.tokens_per_step, live.drafter_share) == (
        again.speedup,
        again.tokens_per_step,
        again.drafter_share,
    )
    assert live.redrafter.tokens_per_second == again.redrafter_tokens_per_second


def flat(summary: object) -> dict[str, object]:
    """Fields by name, those of records inside among them."""
    found: dict[str, object] = {}
    for name, value in vars(summary).items():
        if isinstance(value, StageMs):
            found |= {f"{name}.{stage}": ms for stage, ms in vars(value).items()}
        elif isinstance(value, tuple):
            found |= {f"{name}[{place}]": item for place, item in enumerate(value)}
        else:
            found[name] = value
    return found


def test_a_sweeps_cell_is_its_runs_figures() -> None:
    race, alone = make_trace(width=4, length=3, new_tokens=40), make_trace(width=2, length=2, new_tokens=30, seed=3)
    cell, totals = sweep_cell([race]), RunTotals.of(race)
    assert (cell.width, cell.length, cell.new_tokens, cell.identical) == (4, 3, totals.redrafter.tokens, True)
    assert cell.speedup == totals.speedup and cell.tokens_per_step == totals.steps.tokens_per_step
    assert cell.step_ms.total == pytest.approx(totals.steps.stage_ms.total / len(race.steps))
    assert (cell.repeats, cell.speedup_least, cell.speedup_most) == (1, cell.speedup, cell.speedup)
    settings = replace(alone.header.settings, race=False)
    unraced = replace(alone, header=replace(alone.header, settings=settings), plain=[])
    without = sweep_cell([unraced])
    assert without.identical is None and without.speedup is None
    slow = replace(race, steps=[replace(step, clock_ms=2 * step.clock_ms) for step in race.steps])
    slowest = replace(race, steps=[replace(step, clock_ms=3 * step.clock_ms) for step in race.steps])
    three = sweep_cell([slowest, race, slow])
    assert three.repeats == 3 and three.tokens_per_second == sweep_cell([slow]).tokens_per_second
    assert (three.speedup_most, three.speedup_least) == (cell.speedup, sweep_cell([slowest]).speedup)
    assert three.speedup == sweep_cell([slow]).speedup
    other = replace(cell, width=2, speedup=0.5, tokens_per_second=2 * cell.tokens_per_second)
    assert fastest([]) is None and fastest([cell, other]) is cell, "by speed-up, which noise touches less"
    assert fastest([without, other]) is max(without, other, key=lambda one: one.tokens_per_second)
