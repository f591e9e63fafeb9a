"""Packed models in the cache folder: one folder each, named by what made it, so that later starts map a file.

Knows files and what a packed model's facts are as JSON; neither how models are packed nor what they compute.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from kernels.native import LayerSpec, ModelSpec, NativeError, NativeLibrary, NativeModel, Rotary, abi
from kernels.native.spec import Format
from playground.base_model.native import Likelihood, NativeBase, NativeFacts
from playground.files import cache_folder, folder_written_whole
from playground.sources.catalogue import ModelFolder
from playground.trace import ModelInfo

LAYOUT = 2  # of these folders and of how weights are read: raised when either changes
_WEIGHTS, _FACTS = "weights.bin", "facts.json"


def fingerprint(folder: ModelFolder) -> str:
    """Tells the folder's weights and config apart without reading the weights."""
    digest = hashlib.sha256(f"{LAYOUT}|{abi.VERSION}|{folder.path.resolve()}".encode())
    for file in sorted((*folder.path.glob("*.safetensors"), *folder.path.glob("*config.json"))):
        told = file.stat()
        digest.update(f"|{file.name} {told.st_size} {told.st_mtime_ns}".encode())
    return digest.hexdigest()[:20]


def image_folder(model: str, format: Format) -> Path:
    """Where the weights of fingerprint `model` are kept, packed as `format`."""
    return cache_folder() / "native" / f"{model}-{format}"


def read_image(folder: Path, library: NativeLibrary) -> NativeBase | None:
    """The packed model in `folder`, mapped; None where there is none, or none that this library can read."""
    try:
        facts = facts_from_json(json.loads((folder / _FACTS).read_text(encoding="utf-8")))
        return NativeBase(NativeModel.load(library, facts.spec, folder / _WEIGHTS), facts)
    except (OSError, ValueError, KeyError, TypeError) as error:
        if isinstance(error, NativeError) and error.kind != "image":
            raise
        return None


def write_image(folder: Path, base: NativeBase) -> None:
    """Keep a packed model for later starts, whole or not at all; an older one in its place goes."""
    with folder_written_whole(folder, lambda _: False) as workplace:
        base.model.save(workplace / _WEIGHTS)
        (workplace / _FACTS).write_text(json.dumps(facts_to_json(base.facts)), encoding="utf-8")


def facts_to_json(facts: NativeFacts) -> dict[str, Any]:
    told = asdict(facts)
    told["spec"] |= {"norms": sorted(facts.spec.norms), "biases": sorted(facts.spec.biases)}
    return told


def facts_from_json(told: dict[str, Any]) -> NativeFacts:
    """Undo `facts_to_json`.

    Raises:
        KeyError, TypeError, ValueError: it is something else.
    """
    spec = dict(told["spec"])
    spec |= {
        "layers": tuple(LayerSpec(**layer) for layer in spec["layers"]),
        "rotaries": tuple(Rotary(tuple(one["frequencies"]), one["scale"]) for one in spec["rotaries"]),
        "norms": frozenset(spec["norms"]),
        "biases": frozenset(spec["biases"]),
    }
    likelihood = Likelihood(**told["likelihood"]) if told["likelihood"] else None
    return NativeFacts(ModelSpec(**spec), ModelInfo(**told["info"]), tuple(told["eos_ids"]), likelihood)
