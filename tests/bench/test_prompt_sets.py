"""Pooled figures of prompt sets, checked on counts made by hand; prompt files and which of them are asked."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from playground.bench.benchmark import Measured, by_category
from playground.bench.prompts import Question, read_questions, spread
from playground.config import PlaygroundError
from playground.figures.runs import over_runs
from playground.trace import Summary
from tests.figures.test_summary import figures as summary_with_speedup


def with_speed(speedup: float, new_tokens: int, steps: int, ours: float, plain: float) -> Summary:
    return replace(
        summary_with_speedup(speedup),
        new_tokens=new_tokens,
        num_spec_steps=steps,
        redrafter_tokens_per_second=ours,
        plain_tokens_per_second=plain,
    )


def test_rates_are_pooled_over_time_and_speedups_by_median() -> None:
    results = [
        Measured("1", "a", with_speed(2.0, 11, 5, 20.0, 10.0), True),  # 0.5 s and 1 s
        Measured("2", "b", with_speed(1.0, 31, 30, 10.0, 10.0), False),  # 3 s and 3 s
        Measured("3", "b", with_speed(1.5, 2, 1, 10.0, 10.0), True),  # 0.1 s and 0.1 s
    ]
    pooled = over_runs(results)
    assert (pooled.prompts, pooled.new_tokens, pooled.identical) == (3, 44, 2)
    assert pooled.tokens_per_step == pytest.approx(41 / 36)
    assert pooled.redrafter_tokens_per_second == pytest.approx(41 / 3.6)
    assert pooled.plain_tokens_per_second == pytest.approx(10.0)
    assert pooled.median_speedup == 1.5
    assert list(by_category(results)) == ["a", "b"] and by_category(results)["b"].prompts == 2


def test_a_limit_takes_from_every_category_in_turn() -> None:
    questions = [Question(str(i), category, ("?",)) for i, category in enumerate("aaabbc")]
    assert [q.question_id for q in spread(questions, 4)] == ["0", "3", "5", "1"]
    assert spread(questions, None) == questions and spread(questions, 9) == questions
    with pytest.raises(PlaygroundError, match="limit is 0"):
        spread(questions, 0)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"turns": ["a"', "line 2, column"),
        ("[]", "line 2, column 1"),
        ('{"turns": []}', '"turns" must be a list of texts'),
        ('{"turns": [3]}', '"turns" must be'),
    ],
)
def test_broken_lines_are_named(line: str, message: str, tmp_path: Path) -> None:
    file = tmp_path / "q.jsonl"
    file.write_text(json.dumps({"turns": ["fine"]}) + "\n" + line + "\n")
    with pytest.raises(PlaygroundError, match=message):
        read_questions(file)
    file.write_text("\n")
    with pytest.raises(PlaygroundError, match="holds no question"):
        read_questions(file)
    file.write_bytes(b"\xff\xfe")
    with pytest.raises(PlaygroundError, match="cannot be read"):
        read_questions(file)
