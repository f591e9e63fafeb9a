"""The project's own prompt sets: of the size and kinds they are said to be, and nothing a corpus is opened with."""

from __future__ import annotations

import itertools
from collections import Counter
from pathlib import Path

import pytest

from benchmarks.overlap import composed_texts, runs_of, shared, table_texts
from playground.bench.prompts import Question, read_questions

FOLDER = Path(__file__).resolve().parents[2] / "benchmarks" / "prompts"
GIVEN = {"translation", "summary", "answer_from_text"}  # kinds that give a text


def questions(name: str) -> list[Question]:
    return read_questions(FOLDER / name)


@pytest.mark.parametrize(
    ("name", "kinds", "given"),
    [
        ("other_kinds.jsonl", dict.fromkeys((*sorted(GIVEN), "maths", "question"), 8), (200, 430)),
        ("twelve.jsonl", dict.fromkeys((*sorted(GIVEN), "maths"), 3), (60, 260)),
    ],
)
def test_sizes_and_kinds(name: str, kinds: dict[str, int], given: tuple[int, int]) -> None:
    found = questions(name)
    assert Counter(question.category for question in found) == kinds
    assert len({question.question_id for question in found}) == len(found)
    assert len({question.turns for question in found}) == len(found)
    for question in found:
        words = len(question.turns[0].split())
        low, high = given if question.category in GIVEN else (10, 80)
        if question.category == "translation":
            low, high = 60, 170
        assert low <= words <= high, question.question_id


def test_no_six_words_in_a_row_are_shared() -> None:
    """With the tables behind the requests, with 4,000 composed rows, with each other."""
    sources = [runs_of(q.turns[0] for q in questions(name)) for name in ("other_kinds.jsonl", "twelve.jsonl")]
    sources.append(runs_of(itertools.chain(table_texts(), composed_texts(4000))))
    assert all(len(runs) > 1000 for runs in sources)
    for some, others in itertools.combinations(sources, 2):
        assert shared(some, others) == []


def test_shared_words_are_seen() -> None:
    some = runs_of(["He said: the quick brown fox jumps over it."])
    others = runs_of(["the QUICK brown fox, jumps over", "nothing else"])
    assert [run for run, _, _ in shared(some, others)] == ["the quick brown fox jumps over"]
    assert shared(some, runs_of(["the quick brown fox jumps"])) == []
    first = next(iter(runs_of(table_texts())))
    assert shared(runs_of([" ".join(first)]), runs_of(table_texts()))
