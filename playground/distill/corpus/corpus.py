"""The corpus on disk: rows of tokens a base model wrote, in .npz shards with a description beside them.

A folder of `*.npz` with arrays ids [rows, tokens], assistant [rows, tokens] bool (tokens to learn from)
and greedy [rows] bool; `corpus.json` names the base model. A single .npz file is a corpus too. Knows
nothing of models.
"""

from __future__ import annotations

import functools
import hashlib
import json
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from playground.config import PlaygroundError
from playground.figures.loops import looped

HELD_OUT_EVERY = 61
"""Every 61st row is held out from training: prime, so that it falls on greedy and sampled rows alike."""


@dataclass(frozen=True)
class Corpus:
    """All rows of a corpus laid end to end, T tokens."""

    ids: np.ndarray  # [T] int32
    assistant: np.ndarray  # [T] bool
    greedy: np.ndarray  # [T] bool, the token's row was written greedily
    row: np.ndarray  # [T] int32
    starts: np.ndarray  # [rows + 1] int64, first token of each row, then T
    about: dict[str, Any]
    content_hash: str

    @property
    def tokens(self) -> int:
        return len(self.ids)

    @property
    def rows(self) -> int:
        return len(self.starts) - 1

    @property
    def held_out(self) -> np.ndarray:
        """[T] bool, tokens of rows that training never sees."""
        held_out: np.ndarray = self.row % HELD_OUT_EVERY == 0
        return held_out

    def looped(self) -> np.ndarray:
        """[T] bool, tokens whose last eight predecessors already stood together earlier in the row."""
        return self._looped

    @functools.cached_property
    def _looped(self) -> np.ndarray:
        rows = zip(self.starts[:-1], self.starts[1:], strict=True)
        return np.concatenate([looped(self.ids[start:stop]) for start, stop in rows])

    def first(self, tokens: int) -> Corpus:
        """The first rows, up to `tokens` tokens together; at least one row."""
        rows = max(1, int(np.searchsorted(self.starts, tokens, side="right")) - 1)
        if rows >= self.rows:
            return self
        stop = int(self.starts[rows])
        arrays = (self.ids[:stop], self.assistant[:stop], self.greedy[:stop], self.row[:stop], self.starts[: rows + 1])
        return Corpus(*arrays, about=self.about, content_hash=f"{self.content_hash.partition('-')[0]}-{rows}")


def require_corpus_of(about: dict[str, Any], ids: np.ndarray, expected: dict[str, Any], where: Path) -> None:
    """See that a corpus was written by, or at least for, this base model.

    Args:
        about: the corpus's description; without one only its ids can tell.
        expected: base, tokenizer, hidden_size and vocab_size of the base model.

    Raises:
        PlaygroundError: tokenizer, hidden size or vocabulary differ.
    """
    for key, name in (("tokenizer", "tokenizer hash"), ("hidden_size", "hidden size"), ("vocab_size", "vocabulary")):
        if key in about and about[key] != expected[key]:
            raise PlaygroundError(
                f"The corpus at {where} was written by {about.get('base', 'another model')} with {name} "
                f"{str(about[key])[:16]}, but {expected['base']} has {str(expected[key])[:16]}. Write a corpus of this "
                f"model with `distill`, or leave out --corpus."
            )
    largest = int(ids.max(initial=0))
    if largest >= expected["vocab_size"]:
        raise PlaygroundError(
            f"The corpus at {where} holds token {largest}, but {expected['base']} knows {expected['vocab_size']} "
            f"tokens: it is another model's. Write one of this model with `distill`, or leave out --corpus."
        )


def load_corpus(path: Path) -> Corpus:
    """Read a corpus folder or a single .npz file.

    Raises:
        PlaygroundError: nothing there, or a file that is not a corpus.
    """
    found = (file for file in path.glob("*.npz") if not file.name.startswith("unfinished"))
    files = sorted(found) if path.is_dir() else [path]
    if not files or not all(file.exists() for file in files):
        raise PlaygroundError(f"No corpus at {path}: no .npz files there. Write one with `distill --out {path}`.")
    digest, ids, assistant, greedy, lengths = hashlib.sha256(), [], [], [], []
    for file in files:
        shard = _read_shard(file)
        rows, width = shard["ids"].shape
        digest.update(np.ascontiguousarray(shard["ids"]).tobytes())
        ids.append(shard["ids"].astype(np.int32).reshape(-1))
        assistant.append(shard["assistant"].reshape(-1))
        greedy.append(np.repeat(shard["greedy"], width))
        lengths += [width] * rows
    starts = np.concatenate(([0], np.cumsum(lengths, dtype=np.int64)))
    row = np.repeat(np.arange(len(lengths), dtype=np.int32), lengths)
    description = path / "corpus.json" if path.is_dir() else path.with_suffix(".json")
    about = _read_description(description) if description.exists() else {}
    arrays = (np.concatenate(ids), np.concatenate(assistant), np.concatenate(greedy), row, starts)
    return Corpus(*arrays, about=about, content_hash=digest.hexdigest()[:16])


def _read_description(file: Path) -> dict[str, Any]:
    try:
        about = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise PlaygroundError(
            f"{file} cannot be read ({error}). It names the model the corpus is of; repair it, or delete it if you "
            f"know that the corpus is this base model's."
        ) from error
    return dict(about)


def _read_shard(file: Path) -> dict[str, np.ndarray]:
    try:
        with np.load(file, allow_pickle=False) as archive:
            shard = {name: archive[name] for name in ("ids", "assistant", "greedy")}
    except (KeyError, ValueError, OSError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise PlaygroundError(
            f"{file} is not a corpus shard ({error}). It needs the arrays ids, assistant and greedy; "
            f"delete it and run `distill` again."
        ) from error
    if shard["ids"].ndim != 2 or shard["ids"].shape != shard["assistant"].shape:
        raise PlaygroundError(
            f"{file} has ids of shape {shard['ids'].shape} and assistant of {shard['assistant'].shape}; both must be "
            f"[rows, tokens]. Delete it and run `distill` again."
        )
    return shard
