"""Race figures, charts and surfaces: asserted as infos, on made-up traces whose sums are known."""

from __future__ import annotations

import json
import math
import re
from dataclasses import replace

import pytest

from playground.figures.totals import RunTotals
from playground.trace import ParityRecord, StageMs, SweepCell, SweepRecord, Trace
from playground.views.picture import run_picture, step_picture, surface_picture, trace_picture
from playground.views.race import parity_words, race_info
from playground.views.sweep import sweep_info
from playground.views.text import RunText
from tests.views.synthetic import make_header, make_trace


@pytest.fixture
def trace() -> Trace:
    return make_trace(new_tokens=60, seed=4)


def test_rates_count_from_the_first_token_on(trace: Trace) -> None:
    info = race_info(trace)
    tokens = len(trace.redrafter_tokens)
    assert info.redrafter.tokens == tokens and info.plain is not None and info.plain.tokens == tokens
    assert info.redrafter.tokens_per_second == pytest.approx((tokens - 1) / trace.steps[-1].clock_ms * 1000)
    assert info.tokens_per_step == pytest.approx((tokens - 1) / len(trace.steps))


def test_a_growing_run_has_figures_before_its_footer(trace: Trace) -> None:
    growing = replace(trace, footer=None, parity=None, steps=trace.steps[:3], plain=trace.plain[:5])
    info = race_info(growing)
    assert info.steps == 3 and info.speedup and info.identical is None and info.parity == "" and info.speed is not None


def test_an_empty_run_has_none() -> None:
    info = race_info(Trace(make_header()))
    assert info.speedup is None and info.tokens_per_step is None and info.drafter_share is None and info.speed is None


def test_totals_grow_to_the_same_sums(trace: Trace) -> None:
    growing = Trace(trace.header)
    totals, text = RunTotals(5), RunText()
    for record in (*trace.prompts, *trace.steps, *trace.plain):
        growing.add(record)
        totals.catch_up(growing)
        text.catch_up(growing)
    assert race_info(growing, totals).redrafter == race_info(trace).redrafter
    assert text.redrafter.items == RunText().catch_up(trace).redrafter.items
    assert totals.redrafter.tokens == len(trace.redrafter_tokens)


def test_text_marks_accepted_and_picked(trace: Trace) -> None:
    items = RunText().catch_up(trace).redrafter.items
    assert items[0].origin == "prompt" and len(items) == len(trace.redrafter_tokens)
    step = next(step for step in trace.steps if step.accepted)
    origins = [item.origin for item in items if item.step == step.index]
    assert origins == ["accepted"] * step.accepted + ["picked"]


def test_parity_in_words(trace: Trace) -> None:
    assert parity_words(trace).startswith("Identical: both lanes wrote the same")
    first, other = trace.redrafter_tokens[3], trace.redrafter_tokens[4]
    different = replace(trace, parity=ParityRecord(False, 60, 3, first, other, 0.0123))
    assert "differ from token 4 on" in parity_words(different) and "differed by 0.0123," in parity_words(different)
    undecided = replace(trace, parity=ParityRecord(None, 12, None))
    assert "12 tokens compared before" in parity_words(undecided)
    alone = replace(undecided, header=replace(trace.header, settings=replace(trace.header.settings, race=False)))
    assert parity_words(alone) == "Not compared: the plain lane did not run."


def test_a_sweep_has_a_map_for_each_measure() -> None:
    def cell(width: int, length: int, rate: float) -> SweepCell:
        return SweepCell(width, length, 1.5, rate, rate / 10, 7.0, StageMs(1, 0, 5, 0, 0), 32, True)

    record = SweepRecord((1, 4), (2, 3), (cell(1, 2, 11.0), cell(4, 2, 14.0)), 10.0, "x", False)
    info = sweep_info(record)
    speed = info.measures[0]
    assert speed.values == ((1.1, None), (1.4, None)) and (info.done, info.total) == (2, 4)
    assert info.best is None, "one run each: noise may have chosen"
    assert info.words == "Fastest of the 2 of 4 shapes measured: 4 beams × 2, 14.0 tok/s, 1.40× plain decoding."
    assert sweep_info(replace(record, cells=())).words == "Nothing measured yet."
    assert json.dumps(surface_picture(info))


def test_noise_gets_no_crown() -> None:
    def cell(width: int, median: float, least: float, most: float) -> SweepCell:
        ms = StageMs(1, 0, 5, 0, 0)
        return SweepCell(width, 2, 1.5, 10 * median, median, 7.0, ms, 32, True, 3, least, most)

    far = SweepRecord((1, 4), (2,), (cell(1, 0.9, 0.8, 1.0), cell(4, 1.4, 1.3, 1.5)), 10.0, "x", True, 3, 0.04)
    info = sweep_info(far)
    assert info.best == (4, 2) and not info.warning and (info.done, info.total) == (6, 6)
    assert info.words.endswith("1.40× plain decoding (median of 3 runs, 1.30× to 1.50×).")
    assert info.measures[0].spans == (((0.8, 1.0),), ((1.3, 1.5),)) and not info.measures[1].spans
    near = sweep_info(replace(far, cells=(cell(1, 1.38, 1.2, 1.6), far.cells[1]), plain_spread=0.22))
    assert near.best is None and near.words.endswith("1 other shape came within that range: too close to call.")
    assert "varied by 22% between runs" in near.warning


def test_pictures_are_strict_json(trace: Trace) -> None:
    picture = trace_picture(trace)
    text = json.dumps(picture, allow_nan=False)
    assert json.loads(text)["steps"] == len(trace.steps)
    assert picture["replay"]["redrafter"][-1][1] == len(trace.redrafter_tokens)
    assert len(picture["strip"]["items"]) == len(trace.steps)


def test_a_frame_sends_only_the_tail(trace: Trace) -> None:
    frame = run_picture(trace, RunText(), RunTotals(5), tail=10)
    assert frame["text"]["from"] == len(trace.redrafter_tokens) - 10 and len(frame["text"]["items"]) == 10
    assert "replay" not in frame


def test_a_large_step_is_a_small_message() -> None:
    """Frames go out eleven times a second: columns instead of objects, and no digit that nobody sees."""
    step = make_trace(width=48, length=6, new_tokens=12).steps[0]
    picture = step_picture(step, sampled=False)
    text = json.dumps(picture, ensure_ascii=False, separators=(",", ":"))
    assert step.tree.nodes > 150 and len(picture["nodes"]["status"]) == step.tree.nodes
    assert len(text) < 230 * step.tree.nodes
    assert not re.findall(r"\d\.\d{7,}", text)


def test_numbers_that_json_cannot_say_are_null(trace: Trace) -> None:
    step = trace.steps[0]
    odd = replace(
        step,
        log_probability=(0.0, math.nan, *step.log_probability[2:]),
        picks=(*step.picks[:-1], replace(step.picks[-1], log_probability=math.nan)),
        ms=replace(step.ms, tree=math.nan),
    )
    broken = replace(trace, steps=[odd], plain=[], footer=None, parity=None)
    picture = json.loads(json.dumps(trace_picture(broken), allow_nan=False))
    assert picture["step"]["nodes"]["base"][1] is None and picture["step"]["pick"]["base"] is None
    assert picture["step"]["ms"][1] is None and picture["figures"]["stageMs"][1] is None
