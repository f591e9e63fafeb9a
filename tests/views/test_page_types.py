"""The page's TypeScript types are those of the pictures, and every script names only types that exist."""

from __future__ import annotations

import re

import pytest

from playground.ui.assets import ASSETS, SCRIPTS
from scripts import page_types


def test_the_types_are_the_ones_the_pictures_have() -> None:
    assert page_types.TYPES_FILE.read_text(encoding="utf-8") == page_types.text(), "run python -m scripts.page_types"


def test_scripts_name_types_that_exist() -> None:
    given = set(re.findall(r"^export (?:interface|type) (\w+)", page_types.text(), re.MULTILINE))
    used: set[str] = set()
    for script in SCRIPTS:
        code = (ASSETS / "js" / f"{script}.js").read_text(encoding="utf-8")
        for name, alias in re.findall(r'@typedef \{import\("./types"\)\.(\w+)\} (\w+)', code):
            used.add(name)
            assert alias == name and len(re.findall(rf"\b{name}\b", code)) > 2, f"{script}.js names {name} in vain"
    assert len(used) > 10 and used <= given


def test_python_types_become_typescript() -> None:
    writer = page_types.Writer()
    assert writer.type_of(list[tuple[int, float | None]]) == "[number, number | null][]"
    assert writer.type_of(tuple[str | None, ...]) == "(string | null)[]"
    with pytest.raises(TypeError, match="has no name in TypeScript"):
        writer.type_of(dict[str, int])
