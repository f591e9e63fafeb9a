"""A corpus without a data set: the base model writes both sides of its own conversations.

The chat template is followed up to the user's turn; the model samples the user's turn at temperature 1,
then answers greedily (even rows) or at 0.7 (odd rows), turn after turn until the row is full. All rows
stand at the same position, so the batch needs no padding and no mask, and every row stays busy. A prompt
file may open the conversations instead. Without a chat template rows are plain continuations.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from playground.config import PlaygroundError

SAMPLED_FROM = 100
"""Sampling looks at the 100 largest logits: the whole vocabulary doubles the time of a CPU step."""


@dataclass(frozen=True)
class DistillOptions:
    """Size and seed of a corpus."""

    rows: int = 1024
    row_tokens: int = 512
    batch: int = 128
    answer_temperature: float = 0.7
    seed: int = 0


@dataclass(frozen=True)
class ChatTurns:
    """Token strings around the turns of a chat; empty lists for a base model without a chat template."""

    opening: list[int]  # from the beginning up to the user's words
    to_assistant: list[int]  # between the end of the user's turn and the assistant's words
    to_user: list[int]  # between the end of the assistant's turn and the next user's words
    end: int | None  # ends a turn


class _Row:
    """One conversation as it grows; hands out forced tokens until the model's own are wanted."""

    def __init__(self, turns: ChatTurns, prompt: list[int] | None, greedy: bool) -> None:
        self.turns, self.greedy = turns, greedy
        self.speaker = "user" if turns.end is not None else "assistant"
        self.forced = list(turns.opening)
        if prompt is not None:
            self.forced += prompt
            if turns.end is not None:
                self._assistant_next(self.forced)

    def _assistant_next(self, forced: list[int]) -> None:
        assert self.turns.end is not None
        forced += [self.turns.end, *self.turns.to_assistant]
        self.speaker = "assistant"

    def take(self, own: int) -> tuple[int, bool]:
        """The row's next token given the model's own wish, and whether it is the assistant's."""
        if self.forced:
            return self.forced.pop(0), False
        spoken = self.speaker == "assistant"
        if own == self.turns.end:
            self.speaker = "user" if spoken else "assistant"
            self.forced = list(self.turns.to_user if spoken else self.turns.to_assistant)
        return own, spoken


def write_corpus(
    model: Any,
    turns: ChatTurns,
    options: DistillOptions,
    out: Path,
    *,
    about: dict[str, Any],
    prompts: list[list[int]] | None = None,
    report: Callable[[int, int], None] = lambda done, total: None,
) -> None:
    """Write the corpus to `out`, a shard for each batch; shards already there are kept.

    Args:
        prompts: token ids that open the conversations, taken in turn.
        report: called with tokens done and tokens in all.

    Raises:
        PlaygroundError: `out` holds a corpus made with other settings.
    """
    out.mkdir(parents=True, exist_ok=True)
    settings = about | {"rows": options.rows, "row_tokens": options.row_tokens, "seed": options.seed}
    _same_corpus(out / "corpus.json", settings)
    batches = -(-options.rows // options.batch)
    total = options.rows * options.row_tokens
    for number in range(batches):
        file = out / f"rows-{number:05d}.npz"
        first = number * options.batch
        count = min(options.batch, options.rows - first)
        if not file.exists():
            opened = [prompts[(first + i) % len(prompts)] for i in range(count)] if prompts else [None] * count
            rows = [_Row(turns, prompt, greedy=i % 2 == 0) for i, prompt in enumerate(opened)]

            def tick(place: int, first: int = first, count: int = count) -> None:
                report(first * options.row_tokens + place * count, total)

            ids, assistant = _write_batch(model, rows, options, options.seed * 100_003 + number, tick)
            _save(file, ids, assistant, np.array([row.greedy for row in rows]))
        report((first + count) * options.row_tokens, total)


@torch.inference_mode()
def _write_batch(
    model: Any, rows: list[_Row], options: DistillOptions, seed: int, tick: Callable[[int], None]
) -> tuple[np.ndarray, np.ndarray]:
    """All rows of a batch, position by position: ids and assistant flags [rows, row_tokens]."""
    from transformers import StaticCache

    device = model.get_input_embeddings().weight.device
    generator = torch.Generator(device).manual_seed(seed)
    cache = StaticCache(config=model.config, max_cache_len=options.row_tokens)
    ids = np.zeros((len(rows), options.row_tokens), np.int64)
    flags = np.zeros(ids.shape, bool)
    own = [0] * len(rows)
    bos = model.config.bos_token_id
    for place in range(options.row_tokens):
        for i, row in enumerate(rows):
            if place == 0 and not row.forced:
                row.forced = [bos if bos is not None else 0]
            ids[i, place], flags[i, place] = row.take(own[i])
        if place + 1 == options.row_tokens:
            break
        fed = torch.from_numpy(ids[:, place : place + 1]).to(device)
        position = torch.tensor([[place]], device=device)
        out = model(input_ids=fed, position_ids=position, past_key_values=cache, use_cache=True)
        own = _choose(out.logits[:, -1].float(), _temperatures(rows, options, device), generator).tolist()
        if place % 16 == 0:
            tick(place)
    return ids, flags


def _temperatures(rows: list[_Row], options: DistillOptions, device: torch.device) -> Tensor:
    """[rows] temperature of each row's speaker; 0 is greedy."""
    answer = options.answer_temperature
    return torch.tensor(
        [1.0 if row.speaker == "user" else 0.0 if row.greedy else answer for row in rows], device=device
    )


def _choose(logits: Tensor, temperature: Tensor, generator: torch.Generator) -> Tensor:
    """A token for each row of logits [rows, V]."""
    best, ids = logits.topk(min(SAMPLED_FROM, logits.shape[-1]), dim=-1)  # [rows, k]
    probabilities = (best / temperature.clamp(min=1e-4)[:, None]).softmax(-1)
    drawn = torch.multinomial(probabilities, 1, generator=generator)
    drawn = torch.where(temperature[:, None] > 0, drawn, 0)
    return ids.gather(1, drawn)[:, 0]


def _same_corpus(file: Path, settings: dict[str, Any]) -> None:
    if not file.exists():
        file.write_text(json.dumps(settings, indent=1) + "\n")
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
    partial = file.with_suffix(".partial")
    with open(partial, "wb") as stream:
        np.savez_compressed(stream, ids=small, assistant=assistant, greedy=greedy)
    partial.replace(file)
