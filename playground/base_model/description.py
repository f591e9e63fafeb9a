"""What a transformers model says about itself: for traces and cards, where its layers are, what ends a text.

Reads configs and module lists. Runs nothing.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

import torch

from playground.config import PlaygroundError, shown
from playground.trace import ModelInfo

_UNSAID_WINDOW = 32_768  # where a config names none, positions are computed, not looked up


def model_info(model: Any, name: str, vocab_size: int) -> ModelInfo:
    """The model as traces and cards name it; `vocab_size` is the width of its logits."""
    config = model.config.get_text_config()
    return ModelInfo(
        name=name,
        family=config.model_type,
        parameters=sum(weight.numel() for weight in model.parameters()),
        layers=config.num_hidden_layers,
        hidden_size=config.hidden_size,
        vocab_size=vocab_size,
        window=int(getattr(config, "max_position_embeddings", None) or _UNSAID_WINDOW),
        config_hash=config_hash(model.config),
    )


def decoder_layers(model: Any, count: int) -> torch.nn.ModuleList:
    """The list of the decoder's layers."""
    for module in model.base_model.modules():
        if isinstance(module, torch.nn.ModuleList) and len(module) == count:
            return module
    raise PlaygroundError(f"{type(model).__name__} keeps its layers in no list, so no state between them can be read.")


def eos_ids(model: Any) -> frozenset[int]:
    """Ids that end a text: the generation config's and the model config's."""
    found: set[int] = set()
    for config in (getattr(model, "generation_config", None), model.config, model.config.get_text_config()):
        ids = getattr(config, "eos_token_id", None)
        listed = ids if isinstance(ids, list | tuple) else [] if ids is None else [ids]
        if not all(type(one) is int for one in listed):
            raise PlaygroundError(
                f"{type(model).__name__} names {shown(ids)} as what ends a text, which is no token id nor a list of "
                "some. Repair config.json and generation_config.json in the model's folder."
            )
        found.update(listed)
    return frozenset(found)


def config_hash(config: Any) -> str:
    """SHA-256 of what the config says about the model itself, not where or how it was loaded."""
    told = {
        key: value
        for key, value in config.to_dict().items()
        if not key.startswith("_") and key not in ("transformers_version", "dtype", "torch_dtype")
    }
    return hashlib.sha256(json.dumps(told, sort_keys=True, default=str).encode()).hexdigest()
