"""Where the screen's numbers come from: formulas hold, growing runs have them too, recorded ones are told from own."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from playground.figures.equation import speed_equation
from playground.figures.provenance import summary_sources
from playground.figures.totals import RunTotals
from playground.trace import Trace
from playground.views.picture import trace_picture
from playground.views.sources import FIXED, SUMMARY_NAMES, screen_sources
from tests.views.synthetic import make_trace


def test_formulas_give_the_numbers_that_are_shown() -> None:
    trace = make_trace(new_tokens=60, seed=4)
    totals = RunTotals.of(trace)
    sources, equation = screen_sources(trace, totals), speed_equation(totals)
    assert equation is not None and equation.cost is not None
    shown = {
        "perstep": totals.steps.tokens_per_step,
        "cost": equation.cost.total,
        "nodes": totals.steps.mean_nodes,
        "redrafter": totals.redrafter.tokens_per_second,
        "speedup": totals.speedup,
        "overhead": totals.steps.drafter_share,
    }
    for name, value in shown.items():
        above, below = re.findall(r"[\d.]+", sources[name].words.rpartition("= ")[2])[:2]
        assert float(above) / float(below) == pytest.approx(value, rel=2e-3), name


def test_a_growing_run_says_what_it_has() -> None:
    trace = make_trace(new_tokens=30)
    for steps in (0, 1, 5):
        part = Trace(trace.header, trace.prompts, trace.steps[:steps], trace.plain[:steps])
        sources = screen_sources(part, RunTotals.of(part))
        assert sources.keys() >= SUMMARY_NAMES.keys() | FIXED.keys() | {"speedup", "parity", "tokens"}
        assert ("cost-parts" in sources) == (steps > 1), "a plain step is known from the second plain token on"


def test_what_needs_no_trace_of_the_summary_is_the_same_with_and_without_it() -> None:
    trace = make_trace(new_tokens=30)
    whole, cut = summary_sources(trace), summary_sources(replace(trace, footer=None))
    same = whole.keys() - {"speedup_over_fastest_plain"}
    assert {name: whole[name] for name in same} == {name: cut[name] for name in same}


def test_the_page_gets_them_in_one_list() -> None:
    trace = make_trace(new_tokens=30)
    sent = trace_picture(trace)["figures"]["sources"]
    assert len({name for name, _, _ in sent}) == len(sent) > 25
    assert {kind for _, kind, _ in sent} == {"measured", "computed", "predicted", "set"}
