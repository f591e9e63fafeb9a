"""What a model's attention really is, found by looking: one short forward with recording attention and mask functions.

Gives every layer's cache shape and true window, or a sentence why the model cannot run here. Knows nothing of trees.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from playground.base_model.attention import layer_index, refuse_unknown, register, unregister
from playground.base_model.cache import LayerShape
from playground.base_model.placement import device_of
from playground.config import PlaygroundError

_TOKENS = 8
_LONGEST = 1 << 17  # positions looked at when a window is measured

MaskFunction = Callable[[Any, Any, torch.Tensor, torch.Tensor], torch.Tensor]


@dataclass(frozen=True)
class ProbeResult:
    """Layer by layer: cache shape, and window in positions (None sees everything before it)."""

    shapes: tuple[LayerShape, ...]
    windows: tuple[int | None, ...]


@dataclass(frozen=True)
class _Call:
    shape: LayerShape
    mask: int | None  # index of the recorded mask function


class _Recorder:
    """Stands in for attention and mask functions during the probe's forward."""

    def __init__(self) -> None:
        self.calls: dict[int, _Call] = {}
        self.repeated: set[int] = set()
        self.masks: list[MaskFunction] = []

    def mask(self, *positional: Any, **arguments: Any) -> torch.Tensor:
        """A 4D mask whose every entry is the number of the mask function it stands for."""
        function: Any = arguments.get("mask_function") or next(filter(callable, positional))
        self.masks.append(function)
        device = arguments.get("device")
        return torch.full((1, 1, _TOKENS, _TOKENS), len(self.masks) - 1, dtype=torch.int64, device=device)

    def attention(
        self,
        module: torch.nn.Module,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        attention_mask: torch.Tensor | None = None,
        *,
        scaling: float | None = None,
        dropout: float = 0.0,
        sliding_window: int | None = None,
        softcap: float | None = None,
        s_aux: torch.Tensor | None = None,
        **extra: Any,
    ) -> tuple[torch.Tensor, None]:
        """Record shapes and mask of the call; attend to nothing."""
        refuse_unknown(None, dropout, extra)
        layer = layer_index(module)
        if layer in self.calls:
            self.repeated.add(layer)
        mask = None if attention_mask is None else int(attention_mask.flatten()[0])
        shape = LayerShape(key.shape[1], key.shape[-1], value.shape[-1], key.device)
        self.calls[layer] = _Call(shape, mask)
        return value.new_zeros(1, query.shape[2], query.shape[1], value.shape[-1]), None


def probe(model: Any, layers: int, window: int) -> ProbeResult:
    """Run 8 tokens through `model` and read off every layer's cache shape and window.

    Raises:
        PlaygroundError: a layer keeps no keys and values, keeps them twice, or sees in a way a tree cannot follow.
    """
    from transformers import AttentionMaskInterface

    recorder = _Recorder()
    name = f"redrafter_probe_{id(recorder)}"
    register(name, recorder.attention)
    AttentionMaskInterface.register(name, recorder.mask)
    try:
        set_attention(model, name)
        tokens = torch.arange(_TOKENS, device=device_of(model.get_input_embeddings()))[None]
        with torch.inference_mode():
            model(input_ids=tokens, position_ids=tokens, past_key_values=None, use_cache=False)
    finally:
        unregister(name)
        AttentionMaskInterface._global_mapping.pop(name, None)
    family = model.config.model_type
    if set(recorder.calls) != set(range(layers)) or recorder.repeated:
        raise PlaygroundError(
            f"The {family} model has {layers} layers, of which {len(recorder.calls)} keep keys and values once each. "
            "Layers that keep anything else cannot be rolled back to the accepted tokens. "
            "Choose a model in which every layer is attention."
        )
    calls = [recorder.calls[layer] for layer in range(layers)]
    windows = [measure_window(mask, min(window, _LONGEST), family) for mask in recorder.masks]
    if any(call.mask is None or not 0 <= call.mask < len(windows) for call in calls):
        raise PlaygroundError(
            f"The {family} model's layers do not say which tokens they may see. Choose a model of another family."
        )
    return ProbeResult(
        shapes=tuple(call.shape for call in calls),
        windows=tuple(windows[call.mask] for call in calls if call.mask is not None),
    )


def measure_window(mask: MaskFunction, positions: int, family: str) -> int | None:
    """The window of a mask function: how many positions, itself included, a query sees; None if all before it.

    Raises:
        PlaygroundError: what it sees is not the nearest positions up to itself.
    """
    zero = torch.tensor(0)
    counts: dict[int, int] = {}
    for query in sorted(
        {0, 1, 7, positions // 3, positions // 2 + 1, positions - 2, positions - 1} & set(range(positions))
    ):
        keys = torch.arange(query + 2)
        sees = torch.as_tensor(mask(zero, zero, torch.tensor(query), keys)).expand(query + 2)
        counts[query] = count = int(sees.sum())
        if count == 0 or not bool(sees[query + 1 - count : query + 1].all()):
            raise _not_causal(family)
    longest = max(counts.values())
    if any(count != min(query + 1, longest) for query, count in counts.items()):
        raise _not_causal(family)
    return None if longest == positions else longest


def set_attention(model: Any, name: str) -> None:
    """Switch the model's attention function, and see that it took.

    Raises:
        PlaygroundError: the family does not route attention through transformers' interface.
    """
    model.set_attn_implementation(name)
    configs = (model.config, model.config.get_text_config())
    if any(config._attn_implementation != name for config in configs):
        raise PlaygroundError(
            f"{type(model).__name__} does not let its attention be replaced, so it cannot verify a tree. "
            "Choose a model of another family."
        )


def _not_causal(family: str) -> PlaygroundError:
    return PlaygroundError(
        f"A layer of the {family} model sees tokens in another way than the nearest ones up to itself "
        "(chunked or bidirectional attention), which a tree cannot follow. Choose a model of another family."
    )
