"""Templates and the words that fill their slots.

`{topic}` is drawn from the list of that name; `{n:2-9}` is a number, `{y}` a year; `{topic1}` and `{n1:2-9}` are
drawn once for a whole text, so is `{name}`; `{topic_l}` and `{topic_u}` begin with a small or a capital letter. What
is drawn may hold slots itself. Knows word lists and a seeded draw, nothing of what the texts are for.
"""

from __future__ import annotations

import functools
import hashlib
import json
import random
import re
from pathlib import Path
from typing import Any

SLOT = re.compile(r"\{([a-z]+)(\d?)(_[lu])?(?::(\d+)-(\d+))?\}")

_TABLES = Path(__file__).parent / "tables"
_TRIES = 8  # at a word not yet said in this text
_YEARS = (1850, 2024)


@functools.cache
def table(name: str) -> Any:
    """One of the JSON files in `tables`."""
    return json.loads((_TABLES / f"{name}.json").read_text(encoding="utf-8"))


@functools.cache
def word_lists() -> dict[str, list[str]]:
    """What slots are filled from; `first` is another {name}, drawn anew each time."""
    lists: dict[str, list[str]] = table("words") | table("facts")
    return lists


@functools.cache
def tables_digest() -> str:
    """Tells apart corpora made with other tables."""
    digest = hashlib.sha256()
    for file in sorted(_TABLES.glob("*.json")):
        digest.update(file.read_bytes())
    return digest.hexdigest()[:16]


class Filler:
    """Fills the templates of one text, or of several that belong together.

    A remembered slot means the same in all of them, and no list says the same word twice while it has others.
    """

    def __init__(self, draw: random.Random) -> None:
        self.draw = draw
        self._remembered: dict[str, str] = {}
        self._said: set[tuple[str, str]] = set()

    def fill(self, template: str) -> str:
        """The template with every slot filled."""
        return SLOT.sub(self._slot, template)

    def one_of(self, templates: list[str]) -> str:
        """One of the templates, filled."""
        return self.fill(self.draw.choice(templates))

    def _slot(self, slot: re.Match[str]) -> str:
        name, digit, change, low, high = slot.groups()
        key = name + digit
        value = self._remembered.get(key)
        if value is None:
            value = self._number(name, low, high) or self._word("name" if name == "first" else name)
            if digit or name == "name":
                self._remembered[key] = value
        if change == "_l":
            return lower_first(value)
        return value[0].upper() + value[1:] if change == "_u" else value

    def _number(self, name: str, low: str | None, high: str | None) -> str | None:
        if low is not None and high is not None:
            return str(self.draw.randint(int(low), int(high)))
        return str(self.draw.randint(*_YEARS)) if name == "y" else None

    def _word(self, name: str) -> str:
        words = word_lists()[name]
        word = self.draw.choice(words)
        for _ in range(_TRIES):
            if (name, word) not in self._said:
                break
            word = self.draw.choice(words)
        self._said.add((name, word))
        return self.fill(word)


def lower_first(text: str) -> str:
    """The text beginning with a small letter, unless it begins with I or with capitals."""
    first = text.split(" ", 1)[0].split("'", 1)[0]
    return text if first == "I" or first[1:2].isupper() else text[:1].lower() + text[1:]
