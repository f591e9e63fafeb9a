"""A small hand-made run whose every index is right, for tests of what reads and writes traces."""

from __future__ import annotations

import dataclasses

import pytest

from playground.trace import (
    BeamsRecord,
    DrafterInfo,
    Footer,
    Header,
    ModelInfo,
    ParityRecord,
    Pick,
    PlainRecord,
    PromptRecord,
    RunSettings,
    StageMs,
    StepRecord,
    Summary,
    Trace,
    TreeRecord,
    UnsentRecord,
)

BYTES = {5: b" the", 6: b" cat", 7: b"\xf0\x9f", 8: b"<s>", 9: b" a"}
MS = StageMs(draft=1.0, tree=0.5, verify=8.0, accept=0.25, commit=0.25)


def header() -> Header:
    return Header(
        run_id="0123456789abcdef",
        created="2026-11-22T04:30:00Z",
        base=ModelInfo("tiny", "llama", 1000, 2, 32, 64, 128, "aa"),
        drafter=DrafterInfo("untrained", 10, 16, True, "bb", "cc"),
        device="cpu",
        dtype="float32",
        engine="eager",
        kernels="reference",
        exact=False,
        versions={"torch": "2.13.0"},
        settings=RunSettings(2, 2, 8, 0.0, 0, 1.0, 0, True, False),
        messages=(("user", "Hi — “there”"),),
        prompt_ids=(5, 6, 5),
        token_bytes={5: BYTES[5], 6: BYTES[6]},
    )


def step(index: int, position: int, root: int) -> StepRecord:
    """Two beams that share their first token; the first is accepted down to its second token."""
    return StepRecord(
        index=index,
        position=position,
        beams=BeamsRecord(
            tokens=((6, 7), (6, -1)), log_probabilities=((-0.5, -1.0), (-0.5, 0.0)), scores=(-1.5, -1e30)
        ),
        tree=TreeRecord(token=(root, 6, 7), parent=(-1, 0, 1), depth=(0, 1, 2), node_of=((1, 2), (1, -1))),
        log_probability=(0.0, -0.1, -0.2),
        rank=(0, 1, 1),
        picks=(Pick(0, 6, -0.1, 1), Pick(1, 7, -0.2, 1), Pick(2, 8, -0.3, 1)),
        path=(0, 1, 2),
        emitted=(6, 7, 8),
        next_root=8,
        ms=MS,
        clock_ms=10.0 * (index + 1),
        token_bytes={token: BYTES[token] for token in {root, 6, 7, 8}},
    )


def best_first_step(index: int, position: int, root: int) -> StepRecord:
    """The same step under a budget, its second token copied."""
    bare = step(index, position, root)
    tree = dataclasses.replace(
        bare.tree, log_probability=(0.0, -0.5, -1.0), origin=("root", "beam", "copy"), copied=(0, 1, 2)
    )
    unsent = UnsentRecord(token=(9, 5), parent=(1, -1), depth=(2, 3), score=(-2.5, -4.0), total=40)
    token_bytes = bare.token_bytes | {9: BYTES[9], 5: BYTES[5]}
    return dataclasses.replace(bare, tree=tree, budget=16, unsent=unsent, token_bytes=token_bytes)


@pytest.fixture
def trace() -> Trace:
    run = Trace(header())
    run.add(PromptRecord("redrafter", 3, 12.5, 5, -0.7, {5: BYTES[5]}))
    run.add(PromptRecord("plain", 3, 12.25, 5, -0.7, {5: BYTES[5]}))
    run.add(step(0, 3, 5))
    run.add(best_first_step(1, 6, 8))
    text = (5, 6, 7, 8, 6, 7, 8)
    for index, token in enumerate(text):
        run.add(PlainRecord(index, token, -0.1, 7.0, 7.0 * index, {token: BYTES[token]}))
    run.add(ParityRecord(identical=True, compared=7, first_difference=None))
    run.add(Footer("length", summary(), "text", "In words."))
    return run


def summary() -> Summary:
    return Summary(
        new_tokens=7,
        tokens_per_step=3.0,
        redrafter_tokens_per_second=300.0,
        plain_tokens_per_second=142.9,
        speedup=2.1,
        speedup_over_fastest_plain=None,
        fastest_plain_dtype=None,
        drafter_share=0.1,
        stage_ms=MS,
        prompt_ms=12.5,
        mean_acceptance_length=3.0,
        draft_acceptance_rate=1.0,
        acceptance_histogram=(0, 0, 2),
        num_spec_steps=2,
        num_accepted_draft_tokens=4,
        num_draft_tokens=4,
        peak_memory_bytes=1,
    )
