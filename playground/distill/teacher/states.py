"""The teacher's states on disk: what the base model said at every token of a corpus, memory-mapped.

Arrays over all T tokens of the corpus, rows one after another: hidden states after the final norm and
after tapped layers (bfloat16 bits), the k best next tokens with log-probabilities. Knows neither the
base model nor the drafter; `fill` writes them, `batches` reads them.
"""

from __future__ import annotations

import json
import mmap
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from playground.config import PlaygroundError
from playground.distill.disk import reserve
from playground.files import write_json

TOP_TOKENS = 32
"""Teacher tokens kept at each place: 32 hold 95% of the default base's mass at temperature 1 and all that matters
greedily."""


@dataclass(frozen=True)
class StatesInfo:
    """What states belong to, and what is kept of them."""

    base_hash: str
    corpus_hash: str
    tokens: int
    hidden_size: int
    taps: tuple[int, ...]
    top_tokens: int = TOP_TOKENS


class TeacherStates:
    """Memory-mapped teacher arrays of a corpus."""

    def __init__(self, folder: Path, info: StatesInfo, mode: str) -> None:
        self.folder, self.info = folder, info
        t, h, k = info.tokens, info.hidden_size, info.top_tokens
        self.hidden = self._array("hidden", (t, h), np.uint16, mode)
        self.taps = tuple(self._array(f"tap{layer}", (t, h), np.uint16, mode) for layer in info.taps)
        self.top_ids = self._array("top_ids", (t, k), np.int32, mode)
        self.top_log_probabilities = self._array("top_logp", (t, k), np.float16, mode)

    @classmethod
    def open_part(cls, folder: Path, info: StatesInfo) -> TeacherStates:
        """Open full states for reading, with the taps `info` names or fewer than they hold.

        Raises:
            PlaygroundError: no full states of that corpus are there.
        """
        progress = folder / "states.json"
        found = json.loads(progress.read_text()) if progress.exists() else {}
        same = all(found.get(name) == getattr(info, name) for name in ("base_hash", "corpus_hash"))
        if found.get("done") != info.tokens or not same or not set(info.taps) <= set(found["taps"]):
            raise PlaygroundError(
                f"{folder} holds no full teacher states of corpus {info.corpus_hash} with layers {list(info.taps)}. "
                f"Let `train` compute them first."
            )
        return cls(folder, info, "r")

    def _array(self, name: str, shape: tuple[int, ...], dtype: type, mode: str) -> np.ndarray:
        file = self.folder / f"{name}.npy"
        if mode == "w+":
            file.unlink(missing_ok=True)
        array: np.ndarray = np.lib.format.open_memmap(file, mode, dtype, shape)
        if mode == "w+":
            reserve(file)
        return array

    @classmethod
    def create_or_open(cls, folder: Path, info: StatesInfo) -> tuple[TeacherStates, int]:
        """Open the states of this corpus and base, or make empty ones; also tells how many tokens are filled.

        Raises:
            PlaygroundError: the disk has no room.
        """
        progress = folder / "states.json"
        if progress.exists():
            found = json.loads(progress.read_text())
            done = found.pop("done")
            if StatesInfo(**found | {"taps": tuple(found["taps"])}) == info and (folder / "top_logp.npy").exists():
                return cls(folder, info, "r+"), int(done)
        folder.mkdir(parents=True, exist_ok=True)
        for pattern in ("states.json", "hidden.npy", "tap*.npy", "top_*.npy"):
            for stale in folder.glob(pattern):
                stale.unlink()
        _require_room(folder, info)
        states = cls(folder, info, "w+")
        states.mark(0)
        return states, 0

    def into_memory(self, share: float = 0.5) -> bool:
        """Read the arrays into memory if they take at most `share` of what is free: random reads become cheap.

        Where they do not, the system is told not to read ahead: a batch wants a kilobyte here and there, and with
        128 of them around each, one pass over a corpus reads the whole of it many times."""
        if bytes_needed(self.info) > share * _free_memory():
            for array in (self.hidden, *self.taps, self.top_ids, self.top_log_probabilities):
                _expect_random_reads(array)
            return False
        self.hidden = np.array(self.hidden)
        self.taps = tuple(np.array(array) for array in self.taps)
        self.top_ids, self.top_log_probabilities = np.array(self.top_ids), np.array(self.top_log_probabilities)
        return True

    def mark(self, done: int) -> None:
        """Write down that the first `done` tokens are filled."""
        write_json(self.folder / "states.json", asdict(self.info) | {"done": done}, indent=None)

    def end_at(self, info: StatesInfo) -> None:
        """Keep the first `info.tokens` tokens, all of them filled: they are what a shorter corpus is read as."""
        self.info = info
        self.mark(info.tokens)

    def hidden_states(self, index: Tensor) -> Tensor:
        """[..., H (1 + taps)] bfloat16 at tokens `index` [...]: final norm first, then the taps."""
        arrays = (self.hidden, *self.taps)
        flat = index.reshape(-1).numpy()
        parts = [torch.from_numpy(array[flat].view(np.int16)).view(torch.bfloat16) for array in arrays]
        return torch.cat(parts, dim=-1).reshape(*index.shape, -1)

    def best_next(self, index: Tensor) -> tuple[Tensor, Tensor]:
        """Full ids [R, k] and log-probabilities [R, k] of the base's best next tokens at `index` [R]."""
        flat = index.numpy()
        ids = torch.from_numpy(self.top_ids[flat].astype(np.int64))
        return ids, torch.from_numpy(self.top_log_probabilities[flat].astype(np.float32))


def bytes_needed(info: StatesInfo) -> int:
    """Disk bytes of full states."""
    return info.tokens * (2 * info.hidden_size * (1 + len(info.taps)) + 6 * info.top_tokens)


def states_room(folder: Path, info: StatesInfo, asked: int | None) -> int:
    """Tokens whose states have room on the disk of `folder`.

    Args:
        info: of any number of tokens.
        asked: bytes they may take at most; None: half of what is free.
    """
    import shutil

    there = next(parent for parent in (folder, *folder.absolute().parents) if parent.exists())
    free = shutil.disk_usage(there).free
    taken = sum(file.stat().st_size for file in (folder / "teacher").glob("*.npy"))  # by an earlier run's
    most = min(asked, int(0.95 * free) + taken) if asked is not None else free // 2 + taken
    return most * max(1, info.tokens) // bytes_needed(info)


def _expect_random_reads(array: np.ndarray) -> None:
    mapped = array.base
    if isinstance(mapped, mmap.mmap) and hasattr(mmap, "MADV_RANDOM"):  # Windows has no such call
        mapped.madvise(mmap.MADV_RANDOM)


def _free_memory() -> int:
    import psutil

    return int(psutil.virtual_memory().available)


def _require_room(folder: Path, info: StatesInfo) -> None:
    import shutil

    free, needed = shutil.disk_usage(folder).free, bytes_needed(info)
    if needed > free * 0.95:
        raise PlaygroundError(
            f"The teacher's hidden states need {needed / 1e9:.1f} GB in {folder}, but {free / 1e9:.1f} GB are free. "
            f"Free some space, choose another folder with --work, or use fewer tokens with --max-tokens."
        )
