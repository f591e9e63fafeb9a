"""A run in figures and in words, checked on records made by hand."""

from __future__ import annotations

import dataclasses

import pytest

from playground.figures.sentence import run_sentence
from playground.figures.summary import PlainCosts, run_summary
from playground.trace import (
    BeamsRecord,
    DrafterInfo,
    Header,
    ModelInfo,
    ParityRecord,
    PlainRecord,
    PromptRecord,
    RunSettings,
    StageMs,
    StepRecord,
    Summary,
    Trace,
    TreeRecord,
)


def header() -> Header:
    return Header(
        run_id="r",
        created="2026-11-22T00:00:00Z",
        base=ModelInfo("m", "llama", 1, 1, 1, 10, 100, ""),
        drafter=DrafterInfo("d", 1, 10, False, "", ""),
        device="cpu",
        dtype="bfloat16",
        engine="eager",
        kernels="reference",
        exact=False,
        versions={},
        settings=RunSettings(1, 2, 6, 0.0, 0, 1.0, 0, True, True),
        messages=(("user", "hi"),),
        prompt_ids=(1, 2),
        token_bytes={},
    )


def step(index: int, accepted: int, emitted: tuple[int, ...], clock_ms: float) -> StepRecord:
    return StepRecord(
        index=index,
        position=0,
        beams=BeamsRecord(((3, 4),), ((-1.0, -1.0),), (-2.0,)),
        tree=TreeRecord((1, 3, 4), (-1, 0, 1), (0, 1, 2), ((1, 2),)),
        log_probability=(0.0, 0.0, 0.0),
        rank=(0, 1, 1),
        picks=(),
        path=tuple(range(accepted + 1)),
        emitted=emitted,
        next_root=None,
        ms=StageMs(draft=2.0, tree=1.0, verify=6.0, accept=0.5, commit=0.5),
        clock_ms=clock_ms,
        token_bytes={},
    )


def run(plain_ms: float | None) -> Trace:
    """Two steps: 2 accepted and 3 emitted, then 1 accepted and 2 emitted; 6 tokens in 20 ms."""
    trace = Trace(header())
    trace.add(PromptRecord("redrafter", 2, 4.0, 1, -0.5, {}))
    trace.add(step(0, 2, (3, 4, 5), 10.0))
    trace.add(step(1, 1, (3, 5), 20.0))
    if plain_ms is not None:
        for index in range(6):
            trace.add(PlainRecord(index, 1, 0.0, plain_ms, plain_ms * index, {}))
    return trace


def test_figures_of_a_race() -> None:
    costs = PlainCosts("bfloat16", (("float32", 4.0), ("bfloat16", 8.0)))
    summary = run_summary(run(plain_ms=8.0), peak_memory_bytes=7, costs=costs)
    assert summary.new_tokens == 6
    assert summary.tokens_per_step == 2.5
    assert summary.redrafter_tokens_per_second == pytest.approx(5 / 0.020)
    assert summary.plain_tokens_per_second == pytest.approx(5 / 0.040)
    assert summary.speedup == pytest.approx(2.0)
    assert summary.fastest_plain_dtype == "float32"
    assert summary.speedup_over_fastest_plain == pytest.approx(1.0)  # half: float32 steps cost half
    assert summary.mean_acceptance_length == 2.5
    assert summary.draft_acceptance_rate == pytest.approx(3 / 4)
    assert summary.acceptance_histogram == (0, 1, 1)
    assert (summary.num_spec_steps, summary.num_accepted_draft_tokens, summary.num_draft_tokens) == (2, 3, 4)
    assert summary.drafter_share == pytest.approx(0.2)
    assert (summary.prompt_ms, summary.peak_memory_bytes) == (4.0, 7)


def test_no_plain_lane_and_no_step() -> None:
    alone = run_summary(run(plain_ms=None), peak_memory_bytes=0, costs=None)
    assert alone.plain_tokens_per_second is None and alone.speedup is None
    assert "did not run" in run_sentence(alone, None, "length")
    empty = Trace(header())
    empty.add(PromptRecord("redrafter", 2, 4.0, 1, -0.5, {}))
    figures = run_summary(empty, peak_memory_bytes=0, costs=None)
    assert (figures.new_tokens, figures.tokens_per_step, figures.redrafter_tokens_per_second) == (1, 0.0, 0.0)
    assert run_sentence(figures, None, "stopped").startswith("No drafting step ran")
    assert run_sentence(figures, None, "stopped").endswith("Stopped after 1 token.")


def figures(speedup: float) -> Summary:
    summary = run_summary(run(plain_ms=8.0), peak_memory_bytes=0, costs=None)
    return dataclasses.replace(summary, speedup=speedup)


def test_the_sentence_is_plain_about_losing() -> None:
    assert "at 2.00× the rate of plain decoding" in run_sentence(figures(2.0), None, "length")
    lost = run_sentence(figures(0.8), None, "eos")
    assert "slower than plain decoding" in lost and "0.80× its rate" in lost and "cost 3.13 plain steps" in lost
    assert "about even" in run_sentence(figures(1.0), None, "eos")


def test_the_sentence_tells_a_slow_baseline() -> None:
    summary = dataclasses.replace(figures(2.0), speedup_over_fastest_plain=1.1, fastest_plain_dtype="float32")
    assert "(float32) it is 1.10×" in run_sentence(summary, None, "length")


def test_the_sentence_tells_parity() -> None:
    assert "same 6 tokens" in run_sentence(figures(2.0), ParityRecord(True, 6, None), "length")
    differs = run_sentence(figures(2.0), ParityRecord(False, 6, 4, 1, 2, 0.0021), "length")
    assert "from token 5 on" in differs and "differed by 0.0021" in differs
    assert "differ" not in run_sentence(figures(2.0), ParityRecord(None, 3, None), "stopped")
