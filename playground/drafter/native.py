"""A drafter's weights as the native library packs them, and the drafter that comes of it.

Knows the names of a checkpoint's parameters and the library's layers; no files.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from kernels.native import DrafterSpec, NativeDrafter, NativeModel
from kernels.native.spec import Format
from playground.drafter.cell import Drafter
from playground.drafter.config import DrafterConfig
from playground.trace import DrafterInfo

Arrays = Mapping[str, np.ndarray[Any, Any]]


def native_spec(config: DrafterConfig, format: Format) -> DrafterSpec:
    """The drafter's shape, its weights kept as `format`."""
    return DrafterSpec(
        format=format,
        hidden=config.hidden_size,
        exit=config.exit_dim,
        blocks=config.num_draft_layers,
        recurrent=config.rnn,
        drafted=config.head_vocab,
        tied=config.tied_head,
        taps=len(config.context_layers),
        recent=config.context_tokens,
        context=config.context_dim,
        lookup=config.lookup_tokens,
        match=config.lookup_match if config.context_dim else 0,
        cut=config.logit_cut,
    )


def native_drafter(config: DrafterConfig, arrays: Arrays, base: NativeModel, format: Format) -> NativeDrafter:
    """Pack a drafter beside its base model.

    Args:
        arrays: its parameters by the names `playground.drafter.cell.Drafter` gives them, in float32.

    Raises:
        NativeError: it does not fit the base model, or there is no memory.
    """
    spec = native_spec(config, format)
    ids = arrays["draft_vocabulary"] if config.draft_vocab_size else None
    whole = ids is not None and len(ids) == config.vocab_size  # every token, in order
    return NativeDrafter(base, spec, _layers(config, arrays), None if whole else ids)


def _layers(config: DrafterConfig, arrays: Arrays) -> dict[str, Any]:
    def of(name: str) -> tuple[Any, Any]:
        return arrays[f"{name}.weight"], arrays[f"{name}.bias"]

    layers: dict[str, Any] = {"output": arrays["output.weight"]}
    layers |= {f"block.{i}": of(f"blocks.{i}.linear") for i in range(config.num_draft_layers)}
    if config.exit_dim != 2 * config.hidden_size:
        layers["input"] = of("input_proj")
    if config.rnn:
        both = np.concatenate((arrays["rnn_w.weight"], arrays["rnn_u.weight"]), axis=1)
        layers["cell"] = (both, arrays["rnn_u.bias"])
    if config.context_dim:
        layers |= {"context-in": of("context_in"), "context-out": of("context_out")}
    if config.lookup_tokens:
        layers |= {"lookup": arrays["lookup_w.weight"], "bonus": of("lookup_bonus")}
    return layers


class NativeDraftModel:
    """A drafter packed beside its base model."""

    def __init__(self, native: NativeDrafter, config: DrafterConfig, info: DrafterInfo) -> None:
        self.native, self.config, self._info = native, config, info

    @classmethod
    def of(cls, drafter: Drafter, base: NativeModel, base_name: str) -> NativeDraftModel:
        """Pack a drafter that was read from its files, in the base model's own format.

        Raises:
            PlaygroundError: hidden size or vocabulary differ.
        """
        config = drafter.config
        config.require_base(drafter.name, base_name, base.spec.hidden, base.spec.vocabulary)
        arrays = {
            name: tensor.float().numpy() if tensor.is_floating_point() else tensor.numpy()
            for name, tensor in drafter.state_dict().items()
        }
        return cls(native_drafter(config, arrays, base, base.spec.format), config, drafter.info())

    def info(self) -> DrafterInfo:
        """The drafter as traces and cards name it."""
        return self._info

    @property
    def taps(self) -> tuple[int, ...]:
        """Base layers whose residual stream the hidden state must carry."""
        return self.config.context_layers
