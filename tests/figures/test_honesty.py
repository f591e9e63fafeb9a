"""The drafter's honesty counted on a tree whose every number is written out, and against a count from the outside."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given, settings

from playground.figures.honesty import EDGES, RANKS, calibration, misses
from playground.figures.token_kind import KINDS, TokenKind, token_kind
from playground.trace import BeamsRecord, Pick, StageMs, StepRecord, Trace, TreeRecord
from tests.export.arbitrary import traces


@pytest.mark.parametrize(
    ("raw", "before", "kind"),
    [
        (b" ", b"x", "space"), (b"\n\n", b".", "space"), (b"\t", b"", "space"),
        (b" the", b"of", "word start"), (b"The", b"\n", "word start"), (b"The", b'"', "word start"),
        (b"ing", b" walk", "word part"), (b"'s", b" Anna", "word part"),
        ("\u05e9".encode(), "\u05dc".encode(), "word part"), ("日".encode(), b" ", "word start"),
        (b"7", b" ", "digit"), (b" 2024", b"in", "digit"), (b"3.5", b" ", "digit"),
        (b".", b"end", "punctuation"), (b' "', b"said", "punctuation"), ("\u2026".encode(), b"", "punctuation"),
        (b"():", b"main", "punctuation"), (b" =", b"x", "code"), (b"self._x", b" ", "code"), (b"{", b"", "code"),
        (b"<p>", b"", "code"), (b"<s>", b"", "other"), (b"<|im_end|>", b".", "other"),
        (b"\xe2", b"", "other"), (b"", b"x", "other"), ("👩‍🚀".encode(), b" ", "other"),
    ],
)  # fmt: skip
def test_kinds_of_tokens(raw: bytes, before: bytes, kind: TokenKind) -> None:
    assert token_kind(raw, before) == kind


TOKENS = {1: b" a", 2: b" b", 3: b"c", 4: b".", 5: b"7"}


def step() -> StepRecord:
    """Root 1; children 2 (drafter 0.6, base 0.5, accepted) and 3 (0.25, 0.1); under 2: 4 (0.55, 0.05), a copy 5; under
    3: 4 (0.6, 0.9), never reached. The pick under 2 is 3, which nobody drafted there."""
    logs = [0.0, *(math.log(p) for p in (0.6, 0.25, 0.55, 0.3, 0.6))]
    return StepRecord(
        index=0,
        position=3,
        beams=BeamsRecord(((2, 4), (3, 4)), ((logs[1], logs[3]), (logs[2], logs[5])), (-1.0, -2.0)),
        tree=TreeRecord(
            token=(1, 2, 3, 4, 5, 4),
            parent=(-1, 0, 0, 1, 1, 2),
            depth=(0, 1, 1, 2, 2, 2),
            node_of=((1, 3), (2, 5)),
            log_probability=tuple(logs),
            origin=("root", "beam", "beam", "beam", "copy", "beam"),
        ),
        log_probability=(0.0, *(math.log(p) for p in (0.5, 0.1, 0.05, 0.2, 0.9))),
        rank=(0, 1, 3, 7, 2, 1),
        picks=(Pick(0, 2, -0.7, 1), Pick(1, 3, -0.5, 1)),
        path=(0, 1),
        emitted=(2, 3),
        next_root=3,
        ms=StageMs(1, 1, 1, 1, 1),
        clock_ms=5.0,
        token_bytes=TOKENS,
    )


def test_bins_hold_both_means_and_what_was_accepted() -> None:
    found = calibration([step()])
    told = [(one.low, one.nodes, one.looked, one.accepted) for one in found.bins]
    assert told == [(0.2, 1, 1, 0), (0.5, 1, 1, 0), (0.6, 2, 1, 1)], "the copy is nobody's guess"
    assert [one.draft for one in found.bins] == pytest.approx([0.25, 0.55, 0.6])
    assert [one.base for one in found.bins] == pytest.approx([0.1, 0.05, 0.7])
    assert found.draft == pytest.approx(0.5) and found.base == pytest.approx(0.3875)
    assert found.error == pytest.approx((0.15 + 0.5 + 2 * 0.1) / 4)
    assert math.isnan(calibration([]).error)


def test_a_miss_is_counted_by_the_pick_and_by_the_favourite() -> None:
    found = misses([step()])
    assert [(one.kind, one.guessed, one.missed) for one in found.kinds] == [("word start", 1, 0), ("word part", 1, 1)]
    assert [(one.first, one.missed) for one in found.ranks if one.missed] == [(4, 1)], "7th, the drafter's favourite"


def test_a_pick_where_nobody_guessed_is_no_miss() -> None:
    leaf = replace(step(), picks=(Pick(0, 2, -0.7, 1), Pick(3, 5, -0.5, 1)), path=(0, 1, 3))
    assert misses([leaf]).guessed == 1 and misses([leaf]).ranks == ()


def test_the_ends_of_the_bins_have_a_place() -> None:
    one = replace(step().tree, log_probability=(0.0, 0.0, *step().tree.log_probability[2:]))
    assert calibration([replace(step(), tree=one)]).bins[-1].high == 1.0 and EDGES[-1] == 1.0
    assert RANKS[0][0] == 1 and RANKS[-1][1] is None


@settings(max_examples=40, deadline=None)
@given(traces(most_tokens=30))
def test_every_drafted_node_is_in_one_bin(trace: Trace) -> None:
    found = calibration(trace.steps)
    drafted = sum(
        step.tree.nodes - 1 - sum(origin == "copy" for origin in step.tree.origin)
        for step in trace.steps
    )  # fmt: skip
    assert found.nodes == drafted
    assert all(one.low <= one.draft <= one.high or math.isclose(one.draft, one.high) for one in found.bins)
    missed = misses(trace.steps)
    assert missed.missed == sum(one.missed for one in missed.ranks) <= missed.guessed
    assert {one.kind for one in missed.kinds} <= set(KINDS)
