"""Loads a checked model folder into memory as the stock transformers model.

Does not know trees, caches or where the folder came from.
"""

from __future__ import annotations

from typing import Any

import torch

from playground.base_model.offload import OffloadFolder
from playground.config import DeviceMap, PlaygroundError
from playground.memory import explain_out_of_memory, is_out_of_memory
from playground.sources.bounds import require_weights
from playground.sources.catalogue import ModelFolder
from playground.sources.checkpoint import first_line, plain_config, weights_bytes


def load_transformers_model(
    folder: ModelFolder, *, device: torch.device, dtype: torch.dtype, device_map: DeviceMap | None
) -> Any:
    """The stock causal language model in `folder`, in evaluation mode.

    Args:
        device_map: where accelerate puts its modules, in place of `device`.

    Raises:
        PlaygroundError: weights are missing or do not fit the config or the map, or there is no room in memory.
    """
    if device_map is None:
        model = _load(folder, dtype, {}).to(device)
        return model.eval()
    offload = OffloadFolder()
    try:
        model = _load(folder, dtype, {"device_map": device_map, "offload_folder": str(offload.path)})
    except BaseException:
        offload.remove()
        raise
    offload.goes_with(model)
    return model.eval()


def _load(folder: ModelFolder, dtype: torch.dtype, placement: dict[str, Any]) -> Any:
    from transformers import AutoModelForCausalLM

    loader: Any = AutoModelForCausalLM
    remedy = "Choose a smaller base model, bfloat16, or a device with more memory"
    config = plain_config(folder.path, folder.name)
    try:
        with torch.device("meta"):
            wanted = sum(weight.numel() for weight in loader.from_config(config).parameters())
        require_weights(wanted, folder.path, folder.name)
        with explain_out_of_memory(f"the weights of {folder.name}", weights_bytes(folder.path), remedy):
            model, loaded = loader.from_pretrained(
                str(folder.path),
                config=config,
                dtype=dtype,
                use_safetensors=True,
                trust_remote_code=False,
                local_files_only=True,
                output_loading_info=True,
                **placement,
            )
    except Exception as error:  # each family's code fails in ways of its own
        if isinstance(error, PlaygroundError) or is_out_of_memory(error):
            raise
        remedy = "Download or save the model again, or choose another one."
        if placement:
            remedy = "Use the device map 'auto', or leave it out; or download or save the model again."
        raise PlaygroundError(f"{folder.name} could not be loaded: {first_line(error)} {remedy}") from error
    _require_whole(folder.name, loaded)
    return model


def _require_whole(name: str, loaded: dict[str, Any]) -> None:
    """transformers fills weights it did not find with random numbers; that is no model anyone asked for."""
    missing, mismatched = sorted(loaded.get("missing_keys") or ()), sorted(loaded.get("mismatched_keys") or ())
    if missing or mismatched:
        first = (missing or mismatched)[0]
        raise PlaygroundError(
            f"{name} lacks {len(missing)} weights of its architecture and {len(mismatched)} have another shape, "
            f"the first being {first if isinstance(first, str) else first[0]}. Download or save the model again."
        )
