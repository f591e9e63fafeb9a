"""What opens the rows of a corpus, and what the user says later in them: given prompts, composed requests, or nothing.

Each row is composed from the seed and its number alone, so that shards can be written in any order and by several
processes. A small model left to itself asks little of what people ask, above all nothing about a text that is
given. Knows nothing of models.
"""

from __future__ import annotations

import functools
import hashlib
import json
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from playground.config import PlaygroundError
from playground.distill.corpus.own_passages import FEWEST_PASSAGES, first_words
from playground.distill.corpus.passages import Passage, about, compose_passage, word_bounds
from playground.distill.corpus.requests import Asked, compose_follow_up, compose_request
from playground.distill.corpus.slots import Filler, table, tables_digest

_TRIES = 12  # at a request that fits
_WORDS_PER_TOKEN = 0.6  # of a request, at the least
_MOST_FOLLOW_UPS = 3


@dataclass(frozen=True)
class Shares:
    """Of the rows that no given prompt opens."""

    own: float = 0.2  # opened by the model itself
    passages: float = 0.3  # a text is given and asked about
    follow_ups: float = 0.5  # of the composed rows: the user's next turns are composed too
    own_passages: float = 0.6  # of the passages, where a corpus to take them from is named; the others are composed

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if not 0 <= value <= 1:
                raise PlaygroundError(f"The share {name} is {value}, but must lie between 0 and 1.")
        both = self.own + self.passages
        if both > 1:
            raise PlaygroundError(f"The shares own and passages make {both} together, but at most 1 is there to share.")


@dataclass(frozen=True)
class Openings:
    """What the user says in each row."""

    given: tuple[tuple[int, ...], ...] = ()  # token ids of prompts for the first rows, one each
    encode: Callable[[str], Sequence[int]] | None = None  # of composed requests; None: the further rows open themselves
    passages: tuple[str, ...] = ()  # texts to be given besides composed ones
    shares: Shares = Shares()

    def __post_init__(self) -> None:
        count = len(self.passages)
        if 0 < count < FEWEST_PASSAGES:
            raise PlaygroundError(f"{count} passages are too few: give at least {FEWEST_PASSAGES}, or none.")

    def of(self, rows: range, seed: int, most_tokens: int) -> list[tuple[Sequence[int], ...]]:
        """Token ids of the user's turns in each of these rows; none where the model is to open it.

        Args:
            most_tokens: of a composed first turn; a given prompt may be longer.
        """
        return [self._of(row, seed, most_tokens) for row in rows]

    def _of(self, row: int, seed: int, most_tokens: int) -> tuple[Sequence[int], ...]:
        if row < len(self.given):
            return (self.given[row],)
        if self.encode is None:
            return ()
        draw = random.Random(f"{seed}:{row}")
        kind = draw.random()
        if kind < self.shares.own:
            return ()
        asks_about_text = kind < self.shares.own + self.shares.passages
        for asked, filler in self._attempts(row, seed, asks_about_text, most_tokens, draw):
            first = self.encode(asked.text)
            if len(first) <= most_tokens:
                return (first, *(self.encode(text) for text in self._follow_ups(asked.kind, filler)))
        return ()

    def _attempts(
        self, row: int, seed: int, asks_about_text: bool, most_tokens: int, draw: random.Random
    ) -> Iterator[tuple[Asked, Filler]]:
        """Requests for a row until one fits: about shorter and shorter texts, then without one."""
        words = int(most_tokens * _WORDS_PER_TOKEN)
        own = asks_about_text and bool(self.passages) and draw.random() < self.shares.own_passages
        while asks_about_text and words >= word_bounds()[0]:
            filler = Filler(draw)
            passage = self._own_passage(row, seed, words) if own else compose_passage(filler, words)
            yield Asked("passage", about(passage, filler)), filler
            words = words * 4 // 5
        for _ in range(_TRIES):
            filler = Filler(draw)
            yield compose_request(filler), filler

    def _own_passage(self, row: int, seed: int, words: int) -> Passage:
        """The row's passage: all are given once before one is given again."""
        text = self.passages[_order(len(self.passages), seed)[row % len(self.passages)]]
        return Passage(first_words(text, words) or text, tuple(table("tasks")["docs"]), ())

    def _follow_ups(self, kind: str, filler: Filler) -> list[str]:
        if filler.draw.random() >= self.shares.follow_ups:
            return []
        count = filler.draw.randint(1, _MOST_FOLLOW_UPS)
        return [compose_follow_up(kind, filler) for _ in range(count)]

    @property
    def settings(self) -> dict[str, Any]:
        """Tells apart corpora of other openings."""
        return {
            "prompts": _digest([list(prompt) for prompt in self.given]) if self.given else None,
            "requests": tables_digest() if self.encode else None,
            "passages": _digest(list(self.passages)) if self.passages else None,
            "shares": asdict(self.shares) if self.encode else None,
        }


UNASKED = Openings()
"""Every row opens itself."""


@functools.cache
def _order(count: int, seed: int) -> list[int]:
    return random.Random(seed).sample(range(count), count)


def _digest(what: Any) -> str:
    return hashlib.sha256(json.dumps(what).encode()).hexdigest()[:16]
