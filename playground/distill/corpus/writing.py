"""A corpus without a data set: the base model writes both sides of its own conversations.

The chat template is followed up to the user's turn; the model samples the user's turn at temperature 1,
then answers greedily (even rows) or at 0.7 (odd rows), turn after turn until the row is full. All rows
stand at the same position, so the batch needs no padding and no mask, and every row stays busy. Prompts or
composed requests may open the conversations instead, and composed ones may follow the answers. An answer that
repeats itself is broken off: a small model would fill half of its greedy rows with loops. Without a chat
template rows are texts: a few sampled tokens, then their continuation. Knows a model that continues
tokens; neither a tokenizer nor a drafter.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from playground.base_model.placement import device_of
from playground.config import PlaygroundError
from playground.distill.corpus.openings import UNASKED, Openings
from playground.distill.corpus.repetition import Repetition
from playground.distill.corpus.rows_cache import rows_cache
from playground.distill.corpus.turns import ChatTurns
from playground.files import write_json, written_whole

SAMPLED_FROM = 100
"""Sampling looks at the 100 largest logits: the whole vocabulary doubles the time of a CPU step."""

_REPORT_EVERY = 16  # positions


@dataclass(frozen=True)
class CorpusOptions:
    """Size and seed of a corpus."""

    rows: int = 1024
    row_tokens: int = 512
    batch: int = 128  # rows of a shard, written together
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
        sizes = (("Rows", self.rows, 1), ("Row tokens", self.row_tokens, 16), ("Shard rows", self.batch, 1))
        for name, value, low in sizes:
            if value < low:
                raise PlaygroundError(f"{name} is {value}, but must be at least {low}. Choose a larger number.")


@dataclass(frozen=True)
class Shards:
    """Which shards of a corpus to write now."""

    mine: Callable[[int], bool] = lambda number: True  # several processes share the work by shard number
    may_start: Callable[[int], bool] = lambda number: True  # asked before each shard that is still to be written


class _Row:
    """One conversation as it grows; hands out forced tokens until the model's own are wanted."""

    def __init__(self, turns: ChatTurns, asked: Sequence[Sequence[int]], greedy: bool, options: CorpusOptions) -> None:
        self.turns, self.greedy = turns, greedy
        self.speaker, self.said = "user", 0
        self.forced = deque(turns.opening)
        self._user_limit = options.sampled_opening if turns.plain else options.longest_user_turn
        self._most_repeated, self._repetition = options.longest_repetition, Repetition()
        self._asked = deque(asked)  # the user's turns that are not the model's own
        if self._asked:
            self.forced.extend((*self._asked.popleft()[: options.longest_prompt], *turns.to_assistant))
            self.speaker = "assistant"

    def take(self, own: int) -> tuple[int, bool]:
        """The row's next token given the model's own wish, and whether it is the assistant's."""
        if self.forced:
            return self.forced.popleft(), False
        spoken = self.speaker == "assistant"
        self.said += 1
        enough = self._in_circles(own) if spoken else self.said > self._user_limit
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
        self.speaker, self.said = ("user" if ended else "assistant"), 0
        return own, spoken

    def _next_turn(self, own: int, spoken: bool) -> tuple[int, bool]:
        """The template's tokens to the other speaker; they begin with the end of this one's turn."""
        self.forced = deque(self.turns.to_user if spoken else self.turns.to_assistant)
        self.speaker, self.said, self._repetition = ("user" if spoken else "assistant"), 0, Repetition()
        if spoken and self._asked:
            self.forced.extend((*self._asked.popleft(), *self.turns.to_assistant))
            self.speaker = "assistant"
        if self.forced and (self.forced[0] == own or not spoken):
            return self.forced.popleft(), spoken
        return own, spoken


def write_corpus(
    model: Any,
    turns: ChatTurns,
    options: CorpusOptions,
    out: Path,
    *,
    about: dict[str, Any],
    openings: Openings = UNASKED,
    shards: Shards | None = None,
    report: Callable[[int], None] = lambda done: None,
) -> None:
    """Write the corpus to `out`, a shard for each batch; shards already there are kept.

    Args:
        openings: what the user says in each row.
        report: called with tokens done, those found already there included.

    Raises:
        PlaygroundError: `out` holds a corpus made with other settings.
    """
    out.mkdir(parents=True, exist_ok=True)
    _same_corpus(out / "corpus.json", about | _settings(options, turns, openings))
    shards, done = shards or Shards(), 0
    for number in range(-(-options.rows // options.batch)):
        file = out / f"rows-{number:05d}.npz"
        first = number * options.batch
        count = min(options.batch, options.rows - first)
        if not file.exists():
            if not shards.mine(number):
                continue
            if not shards.may_start(number):
                return
            said = openings.of(range(first, first + count), options.seed, options.longest_prompt)
            rows = [_Row(turns, asked, i % 2 == 0, options) for i, asked in enumerate(said)]

            def tick(place: int, done: int = done, count: int = count) -> None:
                report(done + place * count)

            ids, assistant = _write_batch(model, rows, options, options.seed * 100_003 + number, tick)
            _save(file, ids, assistant, np.array([row.greedy for row in rows]))
        done += count * options.row_tokens
        report(done)


@torch.inference_mode()
def _write_batch(
    model: Any, rows: list[_Row], options: CorpusOptions, seed: int, tick: Callable[[int], None]
) -> tuple[np.ndarray, np.ndarray]:
    """All rows of a batch, position by position: ids and assistant flags [rows, row_tokens]."""
    device = device_of(model.get_input_embeddings())
    generator = torch.Generator(device).manual_seed(seed)
    cache = rows_cache(model.config, options.row_tokens)
    ids = np.zeros((len(rows), options.row_tokens), np.int64)
    flags = np.zeros(ids.shape, bool)
    own = [_first_token(model)] * len(rows)
    for row in rows:
        if not row.forced:
            row.forced.append(own[0])
    for place in range(options.row_tokens):
        for i, row in enumerate(rows):
            ids[i, place], flags[i, place] = row.take(own[i])
        if place + 1 == options.row_tokens:
            break
        fed = torch.from_numpy(ids[:, place : place + 1]).to(device)
        position = torch.tensor([[place]], device=device)
        out = model(input_ids=fed, position_ids=position, past_key_values=cache, use_cache=True)
        own = _choose(out.logits[:, -1], _temperatures(rows, options, device), generator).tolist()
        if place % _REPORT_EVERY == 0:
            tick(place)
    return ids, flags


def _first_token(model: Any) -> int:
    """What a text begins with where nothing else does."""
    config = model.config.get_text_config()
    for name in ("bos_token_id", "eos_token_id"):
        found = getattr(config, name, None)
        if found is not None:
            return int(found[0] if isinstance(found, list | tuple) else found)
    return 0


def _temperatures(rows: list[_Row], options: CorpusOptions, device: torch.device) -> Tensor:
    """[rows] temperature of each row's speaker; 0 is greedy."""
    answer = options.answer_temperature
    return torch.tensor(
        [1.0 if row.speaker == "user" else 0.0 if row.greedy else answer for row in rows], device=device
    )


def _choose(logits: Tensor, temperature: Tensor, generator: torch.Generator) -> Tensor:
    """A token for each row of logits [rows, V]."""
    best, ids = logits.topk(min(SAMPLED_FROM, logits.shape[-1]), dim=-1)  # [rows, k]
    probabilities = (best.float() / temperature.clamp(min=1e-4)[:, None]).softmax(-1)
    drawn = torch.multinomial(probabilities, 1, generator=generator)
    drawn = torch.where(temperature[:, None] > 0, drawn, 0)
    return ids.gather(1, drawn)[:, 0]


def _settings(options: CorpusOptions, turns: ChatTurns, openings: Openings) -> dict[str, Any]:
    """What decides a shard's contents: all but the number of rows, so that a corpus can grow."""
    return {
        "row_tokens": options.row_tokens,
        "batch": options.batch,
        "answer_temperature": options.answer_temperature,
        "seed": options.seed,
        "longest_repetition": None if turns.plain else options.longest_repetition,
        "chat_template": not turns.plain,
        **openings.settings,
    }


def _same_corpus(file: Path, settings: dict[str, Any]) -> None:
    if not file.exists():
        write_json(file, settings)  # all processes write it, each the same
        return
    found = json.loads(file.read_text())
    different = [name for name in settings if found.get(name) != settings[name]]
    if different:
        name = different[0]
        raise PlaygroundError(
            f"{file.parent} holds a corpus with {name} = {found.get(name)!r}, but this one has {settings[name]!r}. "
            f"Choose an empty folder with --out, or delete that one."
        )


def _save(file: Path, ids: np.ndarray, assistant: np.ndarray, greedy: np.ndarray) -> None:
    small = ids.astype(np.uint16 if ids.max() < 65_536 else np.int32)
    with written_whole(file) as partial, open(partial, "wb") as stream:
        np.savez_compressed(stream, ids=small, assistant=assistant, greedy=greedy)
