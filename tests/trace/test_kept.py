"""What a run keeps of a step, made in one go, is what the plain way makes: field by field, number by number."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from playground.export import read_trace
from playground.trace import BeamsRecord, Pick, PlainRecord, PromptRecord, StageMs, StepRecord, kept
from playground.trace.detail import KEPT_UNSENT, MS_PLACES, PLACES
from tests.views.synthetic import make_trace

RECORDED = Path(__file__).resolve().parents[1] / "export" / "trace-1.1.jsonl"
float32 = st.floats(-2000, 0, width=32) | st.sampled_from([math.nan, -math.inf, -0.0, float(np.float32(-1e30))])


def piece(token: int) -> bytes:
    return b"%d" % token


def row(values: tuple[float, ...]) -> tuple[float, ...]:
    return tuple(round(value, PLACES) if math.isfinite(value) else value for value in values)


def plainly(step: StepRecord) -> StepRecord:
    """A step as it is kept, one field after the other."""
    picked, unsent = {(pick.node, pick.token) for pick in step.picks}, step.unsent
    if unsent is not None:
        pairs = enumerate(zip(unsent.parent, unsent.token, strict=True))
        places = [place for place, pair in pairs if place < KEPT_UNSENT or pair in picked]
        columns = {name: tuple(getattr(unsent, name)[p] for p in places) for name in ("token", "parent", "depth")}
        unsent = replace(unsent, **columns, score=row(tuple(unsent.score[place] for place in places)))
    beams = step.beams
    told = [*step.tree.token, *step.emitted, *(unsent.token if unsent else ()), *(t for b in beams.tokens for t in b)]
    return replace(
        step,
        beams=BeamsRecord(beams.tokens, tuple(map(row, beams.log_probabilities)), row(beams.scores)),
        tree=replace(step.tree, log_probability=row(step.tree.log_probability)),
        log_probability=row(step.log_probability),
        picks=tuple(Pick(p.node, p.token, round(p.log_probability, PLACES), p.rank) for p in step.picks),
        ms=StageMs(
            *(round(getattr(step.ms, name), MS_PLACES) for name in ("draft", "tree", "verify", "accept", "commit"))
        ),
        clock_ms=round(step.clock_ms, MS_PLACES),
        unsent=unsent,
        token_bytes={token: piece(token) for token in sorted(set(told)) if token >= 0},
    )


def test_steps_of_the_engine_are_kept_as_the_plain_way_keeps_them() -> None:
    """Every digit of this trace is the engine's own."""
    steps = [
        *read_trace(RECORDED).steps,
        *make_trace(new_tokens=60, seed=4).steps,
        *make_trace(width=48, length=6).steps,
    ]
    for step in steps:
        assert repr(kept(step, piece)) == repr(plainly(step))


@settings(deadline=None)
@given(st.lists(float32, min_size=6, max_size=6))
def test_any_numbers_of_an_engine_are_rounded_as_round_does(numbers: list[float]) -> None:
    """Float32, ties of the last place among them; repr tells the sign of zero and what is no number."""
    step = make_trace(width=2, length=2, new_tokens=8).steps[0]
    odd = replace(step, beams=replace(step.beams, log_probabilities=(tuple(numbers[:3]), tuple(numbers[3:]))))
    assert repr(kept(odd, piece)) == repr(plainly(odd))


@pytest.mark.parametrize("value", [-0.00005, -0.00015, -0.5 - 2**-14, -1.03125, -0.09375 - 2**-17])
def test_ties_go_where_round_sends_them(value: float) -> None:
    exact = float(np.float32(value))
    step = make_trace(new_tokens=8).steps[0]
    found = kept(replace(step, log_probability=(exact,) * step.tree.nodes), piece)
    assert isinstance(found, StepRecord) and set(found.log_probability) == {round(exact, PLACES)}


def test_the_other_records_of_a_lane() -> None:
    prompt = PromptRecord("plain", 3, 1.23456789, 7, -0.123456, {})
    assert kept(prompt, piece) == PromptRecord("plain", 3, 1.234568, 7, -0.1235, {7: b"7"})
    token = PlainRecord(4, 9, -1.00004, 2.00000049, 3.0000005, {})
    assert kept(token, piece) == PlainRecord(4, 9, -1.0, 2.0, round(3.0000005, MS_PLACES), {9: b"9"})
