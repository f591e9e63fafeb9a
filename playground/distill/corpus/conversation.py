"""One row of a corpus as it grows: a conversation in the chat's turns, or a text, token by token.

The user's turn is the model's own at temperature 1, or composed; the assistant answers greedily (even rows) or at
0.7 (odd rows), turn after turn until the row is full. An answer that repeats itself is broken off: a small model would
fill half of its greedy rows with loops. Without a chat template rows are texts: a few sampled tokens, then their
continuation. Knows neither a model nor how rows are written together.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from playground.config import PlaygroundError
from playground.distill.corpus.repetition import Repetition
from playground.distill.corpus.turns import ChatTurns

SAMPLED_FROM = 100
"""Sampling looks at the 100 largest logits: the whole vocabulary doubles the time of a CPU step."""


@dataclass(frozen=True)
class CorpusOptions:
    """Size and seed of a corpus."""

    rows: int = 1024
    row_tokens: int = 512
    shard_rows: int = 8  # rows of a file
    first_row: int = 0  # number of the first: another corpus of the same seed may begin elsewhere
    answer_temperature: float = 0.7
    seed: int = 0
    longest_user_turn: int = 256  # a user who rambles is interrupted
    longest_repetition: int = 48  # tokens; an assistant who goes round in circles is interrupted too
    sampled_opening: int = 24  # tokens that open a plain text, at temperature 1: else all greedy rows were one text

    @property
    def longest_prompt(self) -> int:
        """Tokens of a first turn: half a row, so that the answer has as much room."""
        return self.row_tokens // 2

    def __post_init__(self) -> None:
        sizes = (("Rows", self.rows, 1), ("Row tokens", self.row_tokens, 16), ("Shard rows", self.shard_rows, 1))
        for name, value, low in sizes:
            if value < low:
                raise PlaygroundError(f"{name} is {value}, but must be at least {low}. Choose a larger number.")


class Row:
    """A row's tokens so far, and what comes next: forced tokens until the model's own are wanted."""

    def __init__(
        self, number: int, turns: ChatTurns, asked: Sequence[Sequence[int]], options: CorpusOptions, first_token: int
    ) -> None:
        """first_token: what a text begins with where nothing else does."""
        self.number, self.greedy, self.turns = number, number % 2 == 0, turns
        self.ids = np.zeros(options.row_tokens, np.int64)
        self.assistant = np.zeros(options.row_tokens, bool)
        self.wishes = np.zeros(
            options.row_tokens, np.int64
        )  # the model's own token at each place, 0 where none is wanted
        self.filled = 0
        self._speaker, self._said = "user", 0
        self._temperature = options.answer_temperature
        self._forced = deque(turns.opening)
        self._user_limit = options.sampled_opening if turns.plain else options.longest_user_turn
        self._most_repeated, self._repetition = options.longest_repetition, Repetition()
        self._asked = deque(asked)  # the user's turns that are not the model's own
        if self._asked:
            self._forced.extend((*self._asked.popleft()[: options.longest_prompt], *turns.to_assistant))
            self._speaker = "assistant"
        if not self._forced:
            self._forced.append(first_token)

    @property
    def full(self) -> bool:
        return self.filled == len(self.ids)

    @property
    def temperature(self) -> float:
        """At which the next own token is chosen; 0 is greedy."""
        return 1.0 if self._speaker == "user" else 0.0 if self.greedy else self._temperature

    @property
    def wants_own(self) -> bool:
        """Whether the model's own next token is wanted."""
        return not self._forced and not self.full

    def add(self, own: int) -> None:
        """The row's next token, given the model's own wish where it is wanted."""
        self.wishes[self.filled] = own if self.wants_own else 0
        self.ids[self.filled], self.assistant[self.filled] = self._take(own)
        self.filled += 1

    def add_forced(self) -> None:
        """All tokens up to where the model's own are wanted, or the row is full."""
        while self._forced and not self.full:
            self.add(0)

    def go_on_from(self, wishes: np.ndarray) -> None:
        """Grow as it did before: the same wishes make the same row."""
        for own in wishes.tolist():
            self.add(own)

    def _take(self, own: int) -> tuple[int, bool]:
        """The next token, and whether it is the assistant's."""
        if self._forced:
            return self._forced.popleft(), False
        spoken = self._speaker == "assistant"
        self._said += 1
        enough = self._in_circles(own) if spoken else self._said > self._user_limit
        if own not in self.turns.ends and not enough:
            return own, spoken
        if self.turns.plain:
            return self._next_text(own, spoken)
        return self._next_turn(own, spoken)

    def _in_circles(self, own: int) -> bool:
        """Whether the answer has repeated itself for too long; a text without turns may."""
        return not self.turns.plain and self._repetition.add(own) > self._most_repeated

    def _next_text(self, own: int, spoken: bool) -> tuple[int, bool]:
        """Without turns: the opening is followed by its continuation, the end of a text by another opening."""
        ended = own in self.turns.ends
        self._speaker, self._said = ("user" if ended else "assistant"), 0
        return own, spoken

    def _next_turn(self, own: int, spoken: bool) -> tuple[int, bool]:
        """The template's tokens to the other speaker; they begin with the end of this one's turn."""
        self._forced = deque(self.turns.to_user if spoken else self.turns.to_assistant)
        self._speaker, self._said, self._repetition = ("user" if spoken else "assistant"), 0, Repetition()
        if spoken and self._asked:
            self._forced.extend((*self._asked.popleft(), *self.turns.to_assistant))
            self._speaker = "assistant"
        if self._forced and (self._forced[0] == own or not spoken):
            return self._forced.popleft(), spoken
        return own, spoken
