"""docs/security.md keeps its word: every promise names tests, and each of them is there and holds tests."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def promises() -> dict[str, list[str]]:
    """What docs/security.md promises, and the test files that it names for it."""
    text = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
    table = text.split("| promise | how | tests |\n", 1)[1].split("\n\n", 1)[0].splitlines()[1:]
    rows = [line.strip("|").split(" | ") for line in table]
    return {row[0].strip(): re.findall(r"`(tests/[\w/.]+)`", row[-1]) for row in rows}


def test_every_promise_names_tests_that_are_there() -> None:
    found = promises()
    assert len(found) > 15
    for promise, files in found.items():
        assert files, f"no test is named for: {promise}"
        for name in files:
            file = ROOT / name
            tests = file.rglob("test_*.py") if file.is_dir() else [file]
            assert any("def test_" in one.read_text(encoding="utf-8") for one in tests), f"{name}: {promise}"


def test_every_hole_names_a_test_that_is_there() -> None:
    """And so does all the rest of the page."""
    text = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
    holes = text.split("| hole | mended by | test |\n", 1)[1].split("\n\n", 1)[0].splitlines()[1:]
    assert len(holes) == 10 and all("`tests/" in hole.rsplit(" | ", 1)[1] for hole in holes)
    named = set(re.findall(r"`(tests/[\w/.]+)`", text))
    assert len(named) > 20 and all((ROOT / name).exists() for name in named)


def test_limits_are_those_of_the_code() -> None:
    """Files that the table of limits names are there."""
    text = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
    table = text.split("| of | limit | named in |", 1)[1].split("\n\n", 1)[0]
    named = set(re.findall(r"`(playground/[\w/.]+)`", table))
    assert len(named) > 5 and all((ROOT / name).exists() for name in named)
