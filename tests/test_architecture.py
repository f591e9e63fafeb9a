"""docs/architecture.md stays true: its drawing is today's, its paths exist, and no room is missing."""

from __future__ import annotations

import re

import pytest

from scripts.rooms import PAGE, ROOT, drawing, rooms_between, with_drawing

TEXT = PAGE.read_text(encoding="utf-8")
PATHS = sorted(set(re.findall(r"`((?:kernels|playground|assets|tests|scripts|docs|benchmarks)/[\w./]*)`", TEXT)))


def test_the_drawing_is_todays() -> None:
    assert with_drawing(TEXT) == TEXT, "Run python -m scripts.rooms."


def test_an_old_drawing_is_seen() -> None:
    assert with_drawing(TEXT.replace("  decode --> base_model\n", "")) == TEXT
    assert "decode --> base_model" in drawing()


@pytest.mark.parametrize("path", PATHS)
def test_paths_exist(path: str) -> None:
    assert (ROOT / path).exists()


@pytest.mark.parametrize("room", sorted(set(rooms_between()) - {"app"}))
def test_every_room_has_its_words(room: str) -> None:
    table = TEXT.split("| room |")[1].split("## ")[0]
    named = {name for path in re.findall(r"`([\w/.]+)`", table) for name in path.removesuffix(".py").split("/")}
    assert room in named


def test_there_are_enough_ways_in() -> None:
    rows = TEXT.split("| to change |")[1].split("## ")[0].splitlines()[2:]
    assert len([row for row in rows if row.startswith("|")]) >= 15
