"""Copy chances, against counting in plain Python."""

from __future__ import annotations

import random
from collections import Counter

import numpy as np
import pytest

from playground.config import COPY_TOKENS
from playground.distill.corpus.corpus import Corpus
from playground.distill.training.copies import PRIOR, copy_chances
from playground.drafter.config import COPY_CHANCES, DEFAULT_COPY_CHANCES, DrafterConfig


def corpus_of(rows: list[list[int]], greedy: list[bool], spoken: int) -> Corpus:
    """Rows of which the assistant speaks from token `spoken` on."""
    lengths = [len(row) for row in rows]
    return Corpus(
        ids=np.array([token for row in rows for token in row], np.int32),
        assistant=np.concatenate([np.arange(length) >= spoken for length in lengths]),
        greedy=np.repeat(greedy, lengths),
        row=np.repeat(np.arange(len(rows), dtype=np.int32), lengths),
        starts=np.concatenate(([0], np.cumsum(lengths))),
        about={},
        content_hash="",
    )


def looked_up(row: list[int], root: int) -> tuple[int, list[int]]:
    """The longest, then latest, earlier match of up to 16 tokens, and what followed it."""
    best, match = -1, 0
    for at in range(root):
        same = 0
        while same < 16 and same <= at and row[at - same] == row[root - same]:
            same += 1
        if same >= max(match, 1):
            best, match = at, same
    return match, [row[best + 1 + ahead % (root - best)] for ahead in range(COPY_TOKENS)]


def test_against_counting() -> None:
    dice = random.Random(4)
    rows = []
    for _ in range(12):
        phrase = [dice.randrange(30) for _ in range(9)]
        rows.append([])
        for _ in range(8):
            rows[-1] += [*phrase[: dice.choice((5, 9, 9))], *([dice.randrange(30)] if dice.random() < 0.4 else [])]
    greedy = [index % 3 != 2 for index in range(12)]
    hits, tries = Counter[int](), Counter[int]()
    for row, counted in zip(rows, greedy, strict=True):
        for root in range(9, len(row) - 1) if counted else ():
            match, ahead = looked_up(row, root)
            for step, token in enumerate(ahead if match else []):
                if root + 1 + step >= len(row):
                    break
                agreed = min(match + step, COPY_CHANCES - 1)
                tries[agreed] += 1
                hits[agreed] += token == row[root + 1 + step]
                if token != row[root + 1 + step]:
                    break
    found = copy_chances(corpus_of(rows, greedy, spoken=10))
    assert found[0] == 0.0 and len(found) == COPY_CHANCES and tries[1] > 20 and tries[9] > 5
    for agreed in range(1, COPY_CHANCES):
        want = (hits[agreed] + PRIOR * DEFAULT_COPY_CHANCES[agreed]) / (tries[agreed] + PRIOR)
        assert found[agreed] == pytest.approx(want, abs=1e-4), agreed
    DrafterConfig(30, 8, 16, copy_chances=found)


def test_without_greedy_rows_nothing_is_known() -> None:
    assert copy_chances(corpus_of([[1, 2, 1, 2]], [False], spoken=0)) == DEFAULT_COPY_CHANCES
