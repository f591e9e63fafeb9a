"""What a trace keeps of a run: digits, candidates, and what light detail leaves out."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest

from playground.export import parse_trace, read_trace, write_trace
from playground.figures.totals import RunTotals
from playground.trace import StepRecord, Trace, UnsentRecord, in_detail, kept, light
from playground.trace.detail import KEPT_UNSENT
from playground.views.picture import trace_picture
from playground.views.step import step_info
from tests.views.synthetic import make_trace

RECORDED = Path(__file__).resolve().parents[1] / "export" / "trace-1.1.jsonl"


@pytest.fixture
def recorded() -> Trace:
    """Of the real engine, every digit kept."""
    return read_trace(RECORDED)


def as_kept(step: StepRecord) -> StepRecord:
    """The step as a run keeps it; the bytes are those it came with."""
    found = kept(step, step.token_bytes.__getitem__)
    assert isinstance(found, StepRecord)
    return found


def test_numbers_lose_what_nothing_shows(recorded: Trace) -> None:
    for step in recorded.steps:
        kept = as_kept(step)
        pairs = zip(step.log_probability, kept.log_probability, strict=True)
        assert all(math.exp(before) == pytest.approx(math.exp(after), rel=6e-5) for before, after in pairs)
        assert kept.clock_ms == pytest.approx(step.clock_ms, abs=6e-7)
        assert kept.ms.total == pytest.approx(step.ms.total, abs=3e-6)
        assert (kept.tree.token, kept.path, kept.rank) == (step.tree.token, step.path, step.rank)
        assert as_kept(kept) == kept


def test_numbers_that_are_none_stay_what_they_are(recorded: Trace) -> None:
    step = recorded.steps[0]
    odd = replace(step, log_probability=(0.0, math.nan, -math.inf, *step.log_probability[3:]))
    kept = as_kept(odd).log_probability
    assert math.isnan(kept[1]) and kept[2] == -math.inf


def test_a_candidate_that_was_picked_is_kept_wherever_it_stands(recorded: Trace) -> None:
    step = recorded.steps[0]
    last = step.picks[-1]
    count = 32
    unsent = UnsentRecord(
        token=(*[9] * (count - 1), last.token),
        parent=(*[-1] * (count - 1), last.node),
        depth=(1,) * count,
        score=tuple(-0.1 * place for place in range(count)),
        total=500,
    )
    kept = as_kept(replace(step, unsent=unsent, token_bytes={**step.token_bytes, 9: b""})).unsent
    assert kept is not None and len(kept.token) == KEPT_UNSENT + 1 and kept.total == 500
    assert (kept.parent[-1], kept.token[-1], kept.score[-1]) == (last.node, last.token, -3.1)
    assert "it was scored here but not verified" in reason_of_pick(replace(step, unsent=kept))


def reason_of_pick(step: StepRecord) -> str:
    pick = step_info(step).pick
    assert pick is not None
    return pick.reason


def test_light_detail_is_a_whole_trace_without_beams(tmp_path: Path) -> None:
    trace = make_trace(new_tokens=40, seed=4)
    write_trace(in_detail(trace, "light"), tmp_path / "light.jsonl")
    write_trace(trace, tmp_path / "full.jsonl")
    found = read_trace(tmp_path / "light.jsonl")
    assert found.header.detail == "light" and trace.header.detail == "full" and found.complete
    assert all(not step.beams.tokens and not step.tree.node_of and step.unsent is None for step in found.steps)
    assert found.redrafter_tokens == trace.redrafter_tokens and found.footer == trace.footer
    figures = trace_picture(found)["figures"]
    assert figures["tokensPerStep"] == trace_picture(trace)["figures"]["tokensPerStep"] and figures["saving"] is None
    assert (tmp_path / "light.jsonl").stat().st_size < (tmp_path / "full.jsonl").stat().st_size
    assert in_detail(found, "light") == found


def test_light_detail_claims_nothing_it_does_not_know(recorded: Trace) -> None:
    for step in map(light, recorded.steps):
        assert isinstance(step, StepRecord)
        told = step_info(step)
        assert "of the scored tokens" in told.saving and not told.beams
        assert told.pick is None or "no beam had it" not in told.pick.reason
    beams = light(make_trace(new_tokens=12).steps[0])
    assert isinstance(beams, StepRecord) and "were not recorded" in step_info(beams).saving


def test_each_step_of_eight_beams_takes_about_two_kilobytes(recorded: Trace) -> None:
    """8 x 5 with an automatic budget, as the engine recorded it."""
    from playground.export import encode

    assert (recorded.header.settings.beam_width, recorded.header.settings.beam_length) == (8, 5)
    sizes = []
    for step in recorded.steps:
        kept = as_kept(step)
        assert kept.unsent is not None
        told = {*kept.tree.token, *kept.emitted, *kept.unsent.token, *(t for beam in kept.beams.tokens for t in beam)}
        bytes_ = {token: raw for token, raw in kept.token_bytes.items() if token in told}
        sizes.append(len(encode(replace(kept, token_bytes=bytes_)).encode()))
    assert max(sizes) < 2500 and sum(sizes) / len(sizes) < 2300
    assert max(len(encode(light(step)).encode()) for step in map(as_kept, recorded.steps)) < 1200


def test_an_older_reader_finds_all_it_asks_for(recorded: Trace) -> None:
    """Light steps have every key that 1.1 asks for, so a reader of 1.1 takes them."""
    import io
    import json

    out = io.StringIO()
    write_trace(in_detail(recorded, "light"), out)
    lines = out.getvalue().splitlines()
    head = json.loads(lines[0])
    assert head.pop("detail") == "light"
    head["schema_version"] = "1.1"
    text = "\n".join([json.dumps(head), *lines[1:]]) + "\n"
    found = parse_trace("old.jsonl", text)
    assert RunTotals.of(found).steps.accepted == RunTotals.of(recorded).steps.accepted
