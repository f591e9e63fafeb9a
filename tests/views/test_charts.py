"""Charts asserted as infos against the records; figures only drawn: valid for Plotly, finite, escaped, themed."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest
from hypothesis import given, settings

from playground.config import PlaygroundError
from playground.figures.format import percent
from playground.trace import StageMs, SweepCell, SweepRecord, Trace
from playground.views.all_steps import all_steps_info
from playground.views.charts import STAGES, histogram_info, positions_info, rates_info, stages_info
from playground.views.compare import compare_info
from playground.views.honesty import misses_info
from playground.views.honesty_plots import WHOLE_TICKS, misses_figure
from playground.views.plot_style import COLOURS, Theme
from playground.views.plots import CHARTS, chart, compare_figure, figure
from playground.views.shape_plots import heat_figure, surface_figure
from playground.views.sweep import surface_of, surface_table, sweep_info
from tests.export.arbitrary import traces
from tests.views.synthetic import make_header, make_trace


@pytest.fixture(scope="module")
def trace() -> Trace:
    return make_trace(new_tokens=60, seed=4)


def refuse(word: str) -> float:
    raise AssertionError(f"{word} is not JSON")


def test_rates_end_with_all_tokens(trace: Trace) -> None:
    info = rates_info(trace)
    assert [lane.lane for lane in info.lanes] == ["redrafter", "plain"]
    for lane, tokens, clock in zip(
        info.lanes,
        (trace.redrafter_tokens, trace.plain_tokens),
        (trace.steps[-1].clock_ms, trace.plain[-1].clock_ms),
        strict=True,
    ):
        assert lane.tokens[-1] == len(tokens) and lane.seconds[-1] == pytest.approx(clock / 1000)
        assert lane.whole == pytest.approx((len(tokens) - 1) / clock * 1000)
        assert list(lane.seconds) == sorted(lane.seconds)


def test_positions_and_histogram_count_the_same_tokens(trace: Trace) -> None:
    accepted = sum(step.accepted for step in trace.steps)
    assert sum(at.accepted for at in positions_info(trace).positions) == accepted
    info = histogram_info(trace)
    assert sum(place * steps for place, steps in enumerate(info.steps)) == accepted and info.total == len(trace.steps)
    assert info.table.rows[0][1] == str(sum(step.accepted == 0 for step in trace.steps))


def test_stages_are_the_steps_times(trace: Trace) -> None:
    info = stages_info(trace)
    assert info.steps == tuple(range(1, len(trace.steps) + 1))
    for stage, row in zip(STAGES, info.ms, strict=True):
        assert row == tuple(getattr(step.ms, stage) for step in trace.steps)
    assert info.tokens == tuple(len(step.emitted) for step in trace.steps)


@settings(max_examples=40, deadline=None)
@given(traces(most_tokens=30))
def test_all_steps_never_lie_over_each_other(trace: Trace) -> None:
    spots = all_steps_info(trace).spots
    assert len(spots) == sum(step.tree.nodes for step in trace.steps)
    places = [(spot.column, spot.row) for spot in spots]
    assert len(set(places)) == len(places)
    assert all((spot.row == 0) == (spot.status in ("root", "accepted")) for spot in spots)
    for at, spot in enumerate(spots):
        assert spot.above < at and (spot.above < 0 or spots[spot.above].column == spot.column - 1)


def test_all_steps_read_as_the_text(trace: Trace) -> None:
    along = [spot for spot in all_steps_info(trace).spots if spot.row == 0]
    assert [spot.column for spot in along] == list(range(len(trace.redrafter_tokens) - 1))


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("name", CHARTS)
def test_figures_are_valid_json_in_their_theme(name: str, theme: Theme, trace: Trace) -> None:
    made = chart(trace, name, theme)
    body = json.loads(made.figure.to_json(), parse_constant=refuse)
    assert body["data"] and body["layout"]["paper_bgcolor"] == COLOURS[theme]["panel"]
    assert made.table.rows and {len(row) for row in made.table.rows} == {len(made.table.columns)}
    assert "http" not in made.figure.to_json()


@pytest.mark.parametrize("name", CHARTS)
def test_an_empty_run_gives_an_empty_chart(name: str) -> None:
    made = chart(Trace(make_header()), name)
    assert not any(row for part in made.figure.data for row in (part.y if part.y is not None else ()))


@settings(max_examples=15, deadline=None)
@given(traces())
def test_any_run_can_be_drawn(trace: Trace) -> None:
    for name in CHARTS:
        json.loads(figure(trace, name).to_json(), parse_constant=refuse)


def test_counts_have_no_ticks_between_whole_numbers() -> None:
    """Plotly would put some there while the counts are small."""
    for tokens, ticks in ((8, 1), (900, None)):
        info = misses_info([make_trace(new_tokens=tokens, seed=4)])
        most = max(one.missed for one in info.found.ranks)
        assert (most < WHOLE_TICKS) is (ticks == 1), most
        assert misses_figure(info).layout.yaxis2.dtick == ticks


def test_misses_tell_how_sure_the_base_model_is() -> None:
    runs = [make_trace(new_tokens=30, seed=seed) for seed in (4, 5)]
    picks = [math.exp(pick.log_probability) for run in runs for step in run.steps for pick in step.picks]
    info = misses_info(runs)
    assert info.base_confidence == pytest.approx(sum(picks) / len(picks))
    assert f"gave its picks {percent(info.base_confidence)} on average" in info.words[1]


def test_tokens_are_no_markup(trace: Trace) -> None:
    texts = [text for part in figure(trace, "all-steps").data for text in (part.text or ())]
    assert any("&lt;img src=x onerror=alert(1)&gt;" in text for text in texts)
    assert not any("<img" in text or "<s>" in text for text in texts)


def test_a_number_that_is_none_is_a_gap(trace: Trace) -> None:
    broken = replace(trace.steps[0], ms=replace(trace.steps[0].ms, verify=math.nan))
    made = figure(Trace(trace.header, trace.prompts, [broken, *trace.steps[1:]]), "stages")
    verify = next(part for part in made.data if part.name == "verify")
    assert verify.y[0] is None and verify.y[1] == trace.steps[1].ms.verify


def sweep() -> SweepRecord:
    cells = tuple(
        SweepCell(width, length, 1.0 + length / 4, 10.0 * width + length, None, 3.0, StageMs(1, 1, 5, 1, 1), 8, None)
        for width in (1, 2)
        for length in (2, 3)
        if (width, length) != (2, 3)
    )
    return SweepRecord((1, 2), (2, 3), cells, None, "Hi", False)


def test_heat_map_and_surface_show_what_was_measured() -> None:
    info = sweep_info(sweep())
    for make in (heat_figure, surface_figure):
        drawn = make(info, "rate").data[0]
        assert [list(row) for row in drawn.z] == [[12.0, 13.0], [22.0, None]]
        assert list(drawn.x) == [2, 3] and list(drawn.y) == [1, 2]
    with pytest.raises(PlaygroundError, match="Measure is 'heat', but must be one of: speedup"):
        heat_figure(info, "heat")  # type: ignore[arg-type]


def test_a_surface_by_itself() -> None:
    values = ((12.0, 13.0), (22.0, None))
    info = surface_of((1, 2), (2, 3), "rate", values)
    assert info.measures == tuple(one for one in sweep_info(sweep()).measures if one.measure == "rate")
    assert surface_table(info, "rate").rows == (("1", "12", "13"), ("2", "22", "–"))
    with pytest.raises(PlaygroundError, match="3 widths and 2 lengths that its cells do not fit"):
        surface_of((1, 2, 3), (2, 3), "rate", values)
    with pytest.raises(PlaygroundError, match="Measure is 'heat', but must be one of: speedup"):
        surface_of((1, 2), (2, 3), "heat", values)


def test_two_runs_beside_each_other(trace: Trace) -> None:
    other = make_trace(new_tokens=40, seed=5, width=3)
    info = compare_info(trace, other)
    drawn = compare_figure(info)
    assert len(drawn.data) == 6 and json.loads(drawn.to_json(), parse_constant=refuse)
    rows = {row[0]: row[1:] for row in info.table.rows}
    assert rows["num_spec_steps"][:2] == (str(len(trace.steps)), str(len(other.steps)))
    assert rows["num_spec_steps"][2] == f"{len(other.steps) - len(trace.steps):+d}"
    assert rows["speedup"][3] == "depends on the machine and the moment"
    assert any("settings.beam_width: 8 | 3" in line for line in info.words)
    assert "Both texts are the same" in " ".join(compare_info(trace, trace).words)


def test_unknown_charts_are_one_sentence(trace: Trace) -> None:
    with pytest.raises(PlaygroundError, match="Chart is 'pie', but must be one of: rates, positions"):
        figure(trace, "pie")
