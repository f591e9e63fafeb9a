"""Copies of a tiny model with something wrong in them, and what may come of loading them: a sentence, nothing else."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from playground.base_model.description import eos_ids
from playground.base_model.stock import load_transformers_model
from playground.config import PlaygroundError
from playground.drafter.file import load_drafter, read_card
from playground.sources.catalogue import resolve_base, resolve_drafter
from playground.sources.tokenizer import Tokenizer


@contextmanager
def copied(folder: Path, change: Callable[[Path], None]) -> Iterator[Path]:
    """A copy of a model folder, changed."""
    with tempfile.TemporaryDirectory() as place:
        copy = Path(place) / "model"
        shutil.copytree(folder, copy)
        change(copy)
        yield copy


def config_with(**keys: Any) -> Callable[[Path], None]:
    """config.json with other keys; None takes a key out."""

    def change(folder: Path) -> None:
        file = folder / "config.json"
        config = json.loads(file.read_text()) | keys
        file.write_text(json.dumps({key: value for key, value in config.items() if value is not None}))

    return change


def written(name: str, content: bytes) -> Callable[[Path], None]:
    return lambda folder: (folder / name).write_bytes(content) and None  # type: ignore[func-returns-value]


def load_base(folder: Path) -> str | None:
    """The sentence that loading a base model ends in; None where it loads."""
    try:
        found = resolve_base(folder)
        Tokenizer.load(found.path)
        eos_ids(load_transformers_model(found, device=torch.device("cpu"), dtype=torch.float32, device_map=None))
    except PlaygroundError as error:
        return str(error)
    return None


def load_a_drafter(folder: Path) -> str | None:
    """The sentence that loading a drafter ends in; None where it loads."""
    try:
        load_drafter(resolve_drafter(folder).path)
        read_card(folder)
    except PlaygroundError as error:
        return str(error)
    return None
