"""What opens the rows of a corpus: given prompts, composed requests, or the model's own words.

A request is a template of one kind (explain, write, code, solve, ...) with its slots filled from lists in
openings.json, all drawn from one seed: a small model left to itself asks little of what people ask. Knows
nothing of models.
"""

from __future__ import annotations

import functools
import hashlib
import json
import random
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_TRIES = 20  # at a request not said before
OWN_EVERY = 5
"""Every fifth row opens itself where requests are composed: greedy and sampled rows alike."""


@dataclass(frozen=True)
class Openings:
    """What the user says first in each row."""

    given: tuple[tuple[int, ...], ...] = ()  # token ids of prompts for the first rows, one each
    encode: Callable[[str], Sequence[int]] | None = None  # of composed requests; None: the further rows open themselves

    def of(self, rows: range, seed: int) -> list[Sequence[int] | None]:
        """Token ids for each of these rows, None where the model is to open it."""
        composed = composed_requests(rows.stop, seed) if self.encode else []
        return [self._of(row, composed) for row in rows]

    def _of(self, row: int, composed: list[str]) -> Sequence[int] | None:
        if row < len(self.given):
            return self.given[row]
        if self.encode is None or row % OWN_EVERY == OWN_EVERY - 1:
            return None
        return self.encode(composed[row])

    @property
    def settings(self) -> dict[str, Any]:
        """Tells apart corpora of other openings."""
        return {
            "prompts": _digest([list(prompt) for prompt in self.given]) if self.given else None,
            "requests": _digest(_table()) if self.encode else None,
        }


_SLOT = re.compile(r"\{(\w+)(?::(\d+)-(\d+))?\}")


UNASKED = Openings()
"""Every row opens itself."""


def composed_requests(count: int, seed: int) -> list[str]:
    """`count` requests, every kind equally often; the first ones stay the same when more are asked for.

    None is said twice while a kind has more to say.
    """
    table, draw = _table(), random.Random(seed)
    kinds = list(table["kinds"].values())
    said: list[str] = []
    before: set[str] = set()
    for number in range(count):
        templates = kinds[number % len(kinds)]
        for _ in range(_TRIES):
            request = _filled(draw.choice(templates), table["slots"], draw)
            if request not in before:
                break
        before.add(request)
        said.append(request)
    return said


def _filled(template: str, slots: dict[str, list[str]], draw: random.Random) -> str:
    """The template with each slot filled; {n:2-9} is a number, {y} a year, {name2} another {name}."""
    names = iter(draw.sample(slots["name"], 6))

    def fill(slot: re.Match[str]) -> str:
        name, low, high = slot.groups()
        if low is not None:
            return str(draw.randint(int(low), int(high)))
        if name == "y":
            return str(draw.randint(1850, 2024))
        if name.startswith("name"):
            return chosen.setdefault(name, next(names))
        if name == "claim_l":
            claim = draw.choice(slots["claim"])
            return claim[0].lower() + claim[1:]
        return _SLOT.sub(fill, draw.choice(slots[name]))

    chosen: dict[str, str] = {}
    return _SLOT.sub(fill, template)


def _digest(what: Any) -> str:
    return hashlib.sha256(json.dumps(what).encode()).hexdigest()[:16]


@functools.cache
def _table() -> dict[str, dict[str, list[str]]]:
    table: dict[str, dict[str, list[str]]] = json.loads((Path(__file__).parent / "openings.json").read_text("utf-8"))
    return table
