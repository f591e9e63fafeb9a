"""The corpus on disk: rows of tokens a base model wrote, in .npz shards with a description beside them.

A folder of `*.npz` with arrays ids [rows, tokens], assistant [rows, tokens] bool (tokens to learn from)
and greedy [rows] bool; `corpus.json` names the base model. A single .npz file is a corpus too. Knows
nothing of models.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from playground.config import PlaygroundError

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
        return self.row % HELD_OUT_EVERY == 0

    def looped(self, window: int = 8) -> np.ndarray:
        """[T] bool, tokens whose last `window` predecessors already stood together earlier in the row."""
        flags = np.zeros(self.tokens, bool)
        for start, stop in zip(self.starts[:-1], self.starts[1:], strict=True):
            seen: set[bytes] = set()
            row = np.ascontiguousarray(self.ids[start:stop])
            for place in range(window, stop - start):
                key = row[place - window : place].tobytes()
                flags[start + place] = key in seen
                seen.add(key)
        return flags


def load_corpus(path: Path) -> Corpus:
    """Read a corpus folder or a single .npz file.

    Raises:
        PlaygroundError: nothing there, or a file that is not a corpus.
    """
    files = sorted(path.glob("*.npz")) if path.is_dir() else [path]
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
    about = json.loads(description.read_text()) if description.exists() else {}
    arrays = (np.concatenate(ids), np.concatenate(assistant), np.concatenate(greedy), row, starts)
    return Corpus(*arrays, about=about, content_hash=digest.hexdigest()[:16])


def _read_shard(file: Path) -> dict[str, np.ndarray]:
    try:
        with np.load(file, allow_pickle=False) as archive:
            shard = {name: archive[name] for name in ("ids", "assistant", "greedy")}
    except (KeyError, ValueError, OSError, EOFError) as error:
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
