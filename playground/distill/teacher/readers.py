"""Base models that read whole rows: the transformers model in batches, and the native engine row beside row.

Know the two kinds of base model; nothing of files and of what the states are for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor

from kernels.native import Segment
from playground.base_model.description import decoder_layers
from playground.base_model.native import NativeBase
from playground.base_model.output_head import read_output_head
from playground.base_model.placement import device_of, weights_at_hand
from playground.distill.teacher.fill import Read, best_of, idle

BATCH_TOKENS = {"cpu": 2048}
"""Tokens of one forward where it is not 4,096: a CPU's caches hold the activations of half as many."""
_HEAD_ROWS = 512  # rows of logits at once, so that [rows, V] stays small
_LOGIT_BYTES = 32 * 2**20  # of the native engine's
_NATIVE_TOKENS = 512  # tokens of a batch of rows
_CHUNK = 128  # of a row in a native forward: keeps it short enough to be stopped after


class StockReader:
    """A transformers causal language model with its own attention: causal, no cache. See `fill.Reader`."""

    def __init__(self, model: Any, caught: dict[int, Tensor], taps: tuple[int, ...]) -> None:
        self._model, self._caught, self._taps = model, caught, taps
        self._device = device_of(model.get_input_embeddings())
        self.batch_tokens = BATCH_TOKENS.get(self._device.type, 4096)

    def read(self, ids: np.ndarray, tick: Callable[[], None] = idle) -> Read:
        fed = torch.from_numpy(ids.astype(np.int64)).to(self._device)
        hidden = self._model.base_model(input_ids=fed, use_cache=False).last_hidden_state.flatten(0, 1)
        return Read(hidden, tuple(self._caught[layer].flatten(0, 1) for layer in self._taps))

    def best(self, hidden: Tensor, count: int, tick: Callable[[], None] = idle) -> tuple[Tensor, Tensor]:
        head = self._model.get_output_embeddings()
        with weights_at_hand(head):
            whole = read_output_head(self._model.config.get_text_config(), head)
        device = whole.weight.device
        found = []
        for part in hidden.split(_HEAD_ROWS):
            found.append(best_of(whole(part.to(device)), count))
            tick()
        return _joined(found)


@contextmanager
def stock_reader(model: Any, taps: tuple[int, ...]) -> Iterator[StockReader]:
    """A reader of a transformers model; its taps are off again afterwards."""
    caught: dict[int, Tensor] = {}
    modules = decoder_layers(model, model.config.get_text_config().num_hidden_layers)

    def keep(layer: int) -> Callable[[Any, Any, Any], None]:
        def hook(module: Any, inputs: Any, output: Any) -> None:
            caught[layer] = output[0] if isinstance(output, tuple) else output

        return hook

    hooks = [modules[layer - 1].register_forward_hook(keep(layer)) for layer in taps]
    try:
        yield StockReader(model, caught, taps)
    finally:
        for hook in hooks:
            hook.remove()


class NativeReader:
    """The native engine over rows with caches of their own. See `fill.Reader`."""

    def __init__(self, base: NativeBase, taps: tuple[int, ...]) -> None:
        self._base, self._taps = base, tuple(layer - 1 for layer in taps)
        self._caches: list[Any] = []
        self._capacity = 0
        self.batch_tokens = _NATIVE_TOKENS

    def read(self, ids: np.ndarray, tick: Callable[[], None] = idle) -> Read:
        rows, length = ids.shape
        if length > self._capacity or rows > len(self._caches):
            self._caches = [self._base.model.new_cache(length) for _ in range(rows)]
            self._capacity = length
        fed, parts = ids.astype(np.int32), []
        for start in range(0, length, _CHUNK):
            chunk = [
                Segment.chain(cache, start, row[start : start + _CHUNK])
                for cache, row in zip(self._caches, fed, strict=False)
            ]
            parts.append(self._base.model.forward(chunk, self._taps))
            tick()
        hidden = _in_rows([part.hidden for part in parts], rows)
        taps = (_in_rows([part.taps[at] for part in parts], rows) for at in range(len(self._taps)))
        return Read(hidden, tuple(taps))

    def best(self, hidden: Tensor, count: int, tick: Callable[[], None] = idle) -> tuple[Tensor, Tensor]:
        at_once = max(1, _LOGIT_BYTES // (4 * self._base.vocab_size))
        found = []
        for part in hidden.split(at_once):
            found.append(best_of(torch.from_numpy(self._base.model.logits(part.numpy())), count))
            tick()
        return _joined(found)


def _in_rows(parts: list[np.ndarray], rows: int) -> Tensor:
    """Chunks of all rows, [rows x chunk, H] each, as rows laid end to end."""
    width = parts[0].shape[-1]
    whole = np.concatenate([part.reshape(rows, -1, width) for part in parts], axis=1)
    return torch.from_numpy(whole.reshape(-1, width))


def _joined(parts: list[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
    return torch.cat([values for values, _ in parts]), torch.cat([ids for _, ids in parts])
