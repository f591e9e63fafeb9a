"""Where models come from: the default pair, a folder on this machine, or a hub id.

Turns what a person typed into a checked local folder. Does not load weights.
"""

from __future__ import annotations

import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from playground.config import PlaygroundError
from playground.progress import Report, silent
from playground.sources import hub
from playground.sources.checkpoint import check_config, check_safetensors, check_weights, read_config
from playground.sources.default_base import DEFAULT_BASE, ensure_default_base

DEFAULT_DRAFTER = "SmolLM2-135M-Instruct-drafter"
DEFAULT_DRAFTER_FOLDER = Path(__file__).resolve().parents[2] / "assets" / "drafters" / "smollm2-135m-instruct"


@dataclass(frozen=True)
class ModelFolder:
    """A checked folder, and the name people know it by."""

    name: str
    path: Path


def resolve_base(source: str | Path | None, report: Report = silent) -> ModelFolder:
    """The base model's folder. None, or the default's name, gives the default one, converting it at first use.

    Raises:
        PlaygroundError: nothing usable is there; the sentence says why and what to do.
    """
    if source is None or str(source) == DEFAULT_BASE:
        return ModelFolder(DEFAULT_BASE, ensure_default_base(report))
    found = _local_folder(source)
    if found is None:
        name = str(source)
        found = ModelFolder(name, hub.fetch(name, report, check_config))
    check_config(read_config(found.path, found.name), found.name)
    check_weights(found.path, found.name)
    return found


def training_command(source: str | Path | None) -> str:
    """The command that trains a drafter for a base model, to be pasted into a terminal, from whatever folder it is.

    Args:
        source: as in `resolve_base`.
    """
    words = ["python", "-m", "playground", "train"]
    if source is not None and str(source) != DEFAULT_BASE:
        found = _local_folder(source)
        words += ["--base", str(found.path.resolve()) if found else str(source)]
    words += ["--out", "my-drafter"]
    return subprocess.list2cmdline(words) if sys.platform == "win32" else shlex.join(words)


def resolve_drafter(source: str | Path | None, report: Report = silent) -> ModelFolder:
    """The drafter's folder: config.json and model.safetensors. None gives the default one.

    Raises:
        PlaygroundError: nothing usable is there; the sentence says why and what to do.
    """
    if source is None or str(source) == DEFAULT_DRAFTER:
        found = ModelFolder(DEFAULT_DRAFTER, DEFAULT_DRAFTER_FOLDER)
        if not found.path.is_dir():
            raise PlaygroundError(f"The default drafter is missing from {found.path}. Restore the assets folder.")
    else:
        local = _local_folder(source)
        name = str(source)
        found = local or ModelFolder(name, hub.fetch(name, report, _any_config))
    read_config(found.path, found.name)
    weights = found.path / "model.safetensors"
    if not weights.is_file():
        raise PlaygroundError(
            f"The drafter {found.name} has no model.safetensors. Choose a folder that `train` wrote, or convert "
            "Apple's model.pt to safetensors first."
        )
    check_safetensors(weights)
    return found


def _local_folder(source: str | Path) -> ModelFolder | None:
    """The folder of that path; None where it can only be a hub id."""
    if str(source) != (said := str(source).encode("utf-8", "backslashreplace").decode()):
        raise PlaygroundError(f"The name {said} is not UTF-8, and safetensors opens no such files. Rename the folder.")
    path = Path(source).expanduser()
    if path.is_dir():
        return ModelFolder(path.resolve().name, path)
    if path.is_file():
        raise PlaygroundError(f"{path} is a file, but a model is a folder. Choose the folder it lies in.")
    text = str(source)
    if not text.strip():
        raise PlaygroundError("The model's name is empty. Name a folder or a hub id, or leave it out for the default.")
    if isinstance(source, Path) or text.startswith((".", "/", "~")) or text.count("/") > 1 or "\\" in text:
        raise PlaygroundError(f"There is no folder {path}. Check the path, or name a hub id such as owner/model.")
    return None


def _any_config(_config: dict[str, Any], _name: str) -> None:
    """A drafter's config is the drafter's to judge."""
