"""Looks at a model folder before anything is loaded, and says in a sentence why it cannot be used here.

Reads config.json and the headers of safetensors files only. Does not load weights and does not reach the network.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from playground.config import PlaygroundError, shown
from playground.sources.bounds import MAX_CONFIG_BYTES, check_bounds

_CODE_KEYS = frozenset({
    "auto_map", "attn_implementation", "_attn_implementation", "_attn_implementation_internal",
    "experts_implementation", "_experts_implementation", "_experts_implementation_internal",
})  # fmt: skip
_OTHER_WEIGHTS = {".bin": "PyTorch pickle", ".pt": "PyTorch pickle", ".pth": "PyTorch pickle", ".gguf": "GGUF"}


def read_config(folder: Path, name: str) -> dict[str, Any]:
    """The folder's config.json.

    Raises:
        PlaygroundError: it is missing or not JSON.
    """
    file = folder / "config.json"
    if not file.is_file():
        if (folder / "adapter_config.json").is_file():
            raise PlaygroundError(
                f"{name} is a fine-tuning adapter, not a whole model. "
                "Merge it into its base model (PEFT's merge_and_unload), save that, and choose the saved folder."
            )
        raise PlaygroundError(
            f"{name} has no config.json, so it is no model folder. "
            "Choose a folder with config.json, tokenizer files and safetensors weights."
        )
    if file.stat().st_size > MAX_CONFIG_BYTES:
        raise PlaygroundError(f"{file} is larger than {MAX_CONFIG_BYTES:,} bytes. Download or save the model again.")
    try:
        config = json.loads(file.read_text(encoding="utf-8"))
    except (ValueError, RecursionError, OSError) as error:
        raise PlaygroundError(f"{file} is not readable JSON ({error}). Download or save the model again.") from error
    if not isinstance(config, dict):
        raise PlaygroundError(f"{file} holds no JSON object. Download or save the model again.")
    return config


def stored_dtype(config: dict[str, Any]) -> str:
    """The dtype that the weights are stored in, as config.json names it."""
    return str(config.get("dtype") or config.get("torch_dtype") or "float32")


def check_config(config: Mapping[str, Any], name: str) -> None:
    """Refuse by config.json what would not load, or not as a plain causal language model.

    Raises:
        PlaygroundError: remote code, quantised, an unknown architecture, or not a causal language model.
    """
    from transformers import CONFIG_MAPPING
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

    family = config.get("model_type")
    if not isinstance(family, str | None):
        raise PlaygroundError(f"{name} names no architecture: model_type is {shown(family)}. Choose another model.")
    if quantisation := config.get("quantization_config"):
        method = quantisation.get("quant_method", "unknown method") if isinstance(quantisation, dict) else "unknown"
        raise PlaygroundError(
            f"{name} is quantised ({method}). Choose the model's original weights in float32, bfloat16 or float16."
        )
    if family not in CONFIG_MAPPING:
        if config.get("auto_map"):
            raise PlaygroundError(
                f"{name} needs code of its own that comes with the weights, and the playground never runs remote code. "
                f"Choose a model whose architecture transformers knows; {family!r} is not among them."
            )
        raise PlaygroundError(
            f"{name} is of architecture {family!r}, which the installed transformers does not know. "
            "Choose another model, or install a newer transformers."
        )
    if config.get("is_encoder_decoder") or family not in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES:
        raise PlaygroundError(
            f"{name} is of architecture {family!r}, which is not a decoder-only language model. "
            "Choose one that continues text, such as a Llama, Qwen, Gemma or SmolLM model."
        )
    check_bounds(config, name)


def plain_config(folder: Path, name: str) -> Any:
    """The folder's config as transformers' own object, without what it says of which code is to run.

    A config can name an attention or expert function, and such a name can be a hub repository of kernels.

    Raises:
        PlaygroundError: transformers does not take it.
    """
    from transformers import CONFIG_MAPPING

    said = _without(read_config(folder, name), _CODE_KEYS)
    check_config(said, name)
    family: Any = CONFIG_MAPPING[said["model_type"]]
    try:
        return family.from_dict(said)
    except Exception as error:  # classes of configs judge their keys in ways of their own
        raise PlaygroundError(
            f"{name} could not be loaded: transformers does not take its config.json ({first_line(error)}). "
            "Download or save it again."
        ) from error


def _without(value: Any, keys: frozenset[str]) -> Any:
    """A JSON value, some keys of its objects left out at any depth."""
    if isinstance(value, dict):
        return {key: _without(item, keys) for key, item in value.items() if key not in keys}
    return [_without(item, keys) for item in value] if isinstance(value, list) else value


def check_weights(folder: Path, name: str) -> None:
    """Refuse weights that are missing, truncated, incomplete or not safetensors.

    Raises:
        PlaygroundError: which of these, and what to do.
    """
    shards = _shards(folder)
    missing = [shard for shard in shards if not (folder / shard).is_file()]
    if missing:
        raise PlaygroundError(
            f"{name} is incomplete: {len(missing)} of its {len(shards)} weight files are missing, "
            f"the first being {missing[0]}. Download or save the model again."
        )
    files = sorted(folder.glob("*.safetensors"))
    if not files:
        others = {_OTHER_WEIGHTS[file.suffix] for file in folder.iterdir() if file.suffix in _OTHER_WEIGHTS}
        found = f"only {' and '.join(sorted(others))} weights" if others else "no weights"
        raise PlaygroundError(
            f"{name} has {found}, but safetensors are needed: they cannot run code when they are opened. "
            "Save the model with save_pretrained(), which writes safetensors."
        )
    for file in files:
        check_safetensors(file)


def check_safetensors(file: Path) -> None:
    """Refuse a safetensors file whose header is damaged or whose data is not as long as the header says.

    Raises:
        PlaygroundError: the file, and which of these.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(file, framework="numpy"):
            return
    except (SafetensorError, OSError) as error:
        again = "Download or copy it again."
        told = str(error)
        if "not fully covered" in told:
            size = f"{file.stat().st_size:,} bytes, but its header asks for another size"
            raise PlaygroundError(f"{file} is cut short or damaged: it has {size}. {again}") from error
        if "header too small" in told or "invalid header length" in told:
            raise PlaygroundError(
                f"{file} is not a whole safetensors file: it ends inside its header. {again}"
            ) from error
        raise PlaygroundError(
            f"{file} is not a safetensors file, or its header is damaged ({first_line(error)}). {again}"
        ) from error


def weights_are_there(folder: Path) -> bool:
    """Whether the folder has every weight file that it names; what is in them is not looked at."""
    return all((folder / name).is_file() for name in _shards(folder) or ["model.safetensors"])


def weights_bytes(folder: Path) -> int:
    """Bytes of the folder's safetensors files."""
    return sum(file.stat().st_size for file in folder.glob("*.safetensors"))


def _shards(folder: Path) -> list[str]:
    """Weight files that the folder's index names; none where there is no index."""
    index = folder / "model.safetensors.index.json"
    if not index.is_file():
        return []
    try:
        found = sorted({str(name) for name in json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()})
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise PlaygroundError(f"{index} is damaged ({error}). Download or save the model again.") from error
    if odd := [name for name in found if name != Path(name).name or not name.endswith(".safetensors")]:
        raise PlaygroundError(
            f"{index} names {shown(odd[0])}, which is no safetensors file of this folder. Download or save it again."
        )
    return found


def first_line(error: BaseException) -> str:
    """The beginning of an error's message, fit for a sentence."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:160]
