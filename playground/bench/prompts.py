"""Prompt sets: Spec-Bench and MT-Bench style files, one JSON object a line with question_id, category and turns.

Knows the file format; nothing of models.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from itertools import chain, zip_longest
from pathlib import Path
from typing import Any

from playground.config import PlaygroundError


@dataclass(frozen=True)
class Question:
    """One conversation to be had: the user's turns."""

    question_id: str
    category: str
    turns: tuple[str, ...]


def read_questions(path: str | Path) -> list[Question]:
    """All questions of a file; empty lines are skipped.

    Raises:
        PlaygroundError: the file cannot be opened, or a line is broken: its number and column are named.
    """
    name = Path(path).name
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise PlaygroundError(f"{path} cannot be read ({error}). Choose a UTF-8 file of JSON lines.") from error
    found = [_question(name, number, line) for number, line in enumerate(lines, 1) if line.strip()]
    if not found:
        raise PlaygroundError(f'{name} holds no question. Each line is like {{"category": "...", "turns": ["..."]}}.')
    return found


def _question(name: str, number: int, line: str) -> Question:
    try:
        value: Any = json.loads(line)
    except json.JSONDecodeError as error:
        raise PlaygroundError(
            f"{name}, line {number}, column {error.colno}: {error.msg}. Repair or remove that line."
        ) from error
    turns = value.get("turns") if isinstance(value, dict) else None
    if not isinstance(turns, list) or not turns or not all(isinstance(turn, str) and turn.strip() for turn in turns):
        raise PlaygroundError(
            f'{name}, line {number}, column 1: "turns" must be a list of texts. Repair or remove that line.'
        )
    return Question(str(value.get("question_id", number)), str(value.get("category", "all")), tuple(turns))


def spread(questions: list[Question], limit: int | None) -> list[Question]:
    """The first `limit` questions, taken in turn from every category, so that a few stand for all."""
    if limit is None or limit >= len(questions):
        return questions
    if limit < 1:
        raise PlaygroundError(f"The limit is {limit}, but at least 1 question must be left. Choose 1 or more.")
    by_category: dict[str, list[Question]] = {}
    for question in questions:
        by_category.setdefault(question.category, []).append(question)
    turns = chain.from_iterable(zip_longest(*by_category.values()))
    return [question for question in turns if question is not None][:limit]
