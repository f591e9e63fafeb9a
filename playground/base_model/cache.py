"""The key-value cache of one lane: static buffers, a count of committed rows, and the commit of a path.

Does not know what the rows mean: attention writes them, `commit` keeps those of the accepted path.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from playground.config import PlaygroundError
from playground.memory import explain_out_of_memory

if TYPE_CHECKING:
    from kernels import KernelSet


@dataclass(frozen=True)
class LayerShape:
    """What one layer's cache holds: `heads` key-value heads of `key_dim` and `value_dim`, on `device`."""

    heads: int
    key_dim: int
    value_dim: int
    device: torch.device


@dataclass(frozen=True)
class _Group:
    """Layers that commit together: those of one device, stacked where their shapes agree."""

    layers: tuple[int, ...]
    keys: torch.Tensor | list[torch.Tensor]  # [layers, Hkv, S, Dk], or [Hkv, S, Dk] a layer
    values: torch.Tensor | list[torch.Tensor]  # [layers, Hkv, S, Dv], or [Hkv, S, Dv] a layer
    committed: torch.Tensor  # [] int64


def bytes_per_slot(shapes: Sequence[LayerShape], dtype: torch.dtype) -> int:
    """Bytes one cached token takes over all layers."""
    return sum(shape.heads * (shape.key_dim + shape.value_dim) for shape in shapes) * dtype.itemsize


class KVCache:
    """Keys and values of up to `capacity` tokens; the first `committed` slots hold the text so far.

    A forward over N nodes writes slots committed..committed+N-1; `commit` moves the rows of the accepted path
    to the front of them and counts them. Rows beyond `committed` are scratch.
    """

    def __init__(self, shapes: Sequence[LayerShape], capacity: int, dtype: torch.dtype, kernels: KernelSet) -> None:
        if capacity < 1:
            raise PlaygroundError(f"The cache would hold {capacity} tokens, but must hold at least 1.")
        self.capacity = capacity
        self.bytes = bytes_per_slot(shapes, dtype) * capacity
        self._kernels = kernels
        self._committed = 0
        remedy = "Ask for fewer new tokens, a shorter prompt or a smaller beam shape"
        # Buffers made in inference mode could not be written outside it, whoever opens the cache.
        with torch.inference_mode(False), explain_out_of_memory(f"a cache of {capacity} tokens", self.bytes, remedy):
            self._groups = tuple(_allocate(shapes, capacity, dtype))
        self.keys: list[torch.Tensor] = [torch.empty(0)] * len(shapes)  # [Hkv, S, Dk] a layer, views
        self.values: list[torch.Tensor] = [torch.empty(0)] * len(shapes)  # [Hkv, S, Dv] a layer, views
        self._committed_of: list[torch.Tensor] = [torch.empty(0)] * len(shapes)
        for group in self._groups:
            for index, layer in enumerate(group.layers):
                self.keys[layer], self.values[layer] = group.keys[index], group.values[index]
                self._committed_of[layer] = group.committed

    @property
    def committed(self) -> int:
        """Committed tokens n."""
        return self._committed

    @property
    def committed_tensor(self) -> torch.Tensor:
        """Committed tokens n, [] int64 on the first layer's device; the same tensor for the cache's whole life."""
        return self._groups[0].committed

    def committed_at(self, layer: int) -> torch.Tensor:
        """Committed tokens n, [] int64 on that layer's device."""
        return self._committed_of[layer]

    @property
    def free(self) -> int:
        """Slots not committed yet."""
        return self.capacity - self._committed

    def require(self, nodes: int) -> None:
        """Refuse a forward that the free slots cannot take.

        Raises:
            PlaygroundError: more nodes than free slots.
        """
        if nodes > self.free:
            raise PlaygroundError(
                f"The cache holds {self.capacity} tokens and {self._committed} are taken, so {nodes} more do not fit. "
                "Choose a smaller beam shape, fewer new tokens or a shorter prompt."
            )

    def commit(self, path: torch.Tensor) -> None:
        """Keep the rows of the accepted nodes.

        Args:
            path: [P] int64 node ids, the root first, on the first layer's device.
        """
        count = path.shape[0]
        self.require(count)
        if count > 1:  # a path of the root alone stands in its place already
            for group in self._groups:
                here = path.to(group.committed.device)
                self._kernels.kv_commit(group.keys, group.values, group.committed, here, count)
        self.extend(count)

    def commit_counted(self, path: torch.Tensor, length: torch.Tensor) -> None:
        """Keep the first `length` [] rows of `path` [P] without asking the device; the host learns by `follow`."""
        for group in self._groups:
            here = group.committed.device
            count = length.to(here)
            if path.shape[0] > 1:  # a path of the root alone stands in its place already
                self._kernels.kv_commit(group.keys, group.values, group.committed, path.to(here), count)
            group.committed.add_(count)

    def follow(self, committed: int) -> None:
        """The host's own count, once it knows what `commit_counted` came to."""
        self.require(committed - self._committed)
        self._committed = committed

    def extend(self, count: int) -> None:
        """Count the next `count` rows as committed where they stand: a chain needs no moving."""
        self.require(count)
        self._committed += count
        for group in self._groups:
            group.committed.add_(count)

    def reset(self) -> None:
        """Forget every row."""
        self._committed = 0
        for group in self._groups:
            group.committed.zero_()


def _allocate(shapes: Sequence[LayerShape], capacity: int, dtype: torch.dtype) -> list[_Group]:
    """One group a device. Zeros, since a NaN in a masked value row would leak through 0 x NaN."""
    groups = []
    for device in dict.fromkeys(shape.device for shape in shapes):
        layers = tuple(index for index, shape in enumerate(shapes) if shape.device == device)
        here = [shapes[layer] for layer in layers]
        committed = torch.zeros((), dtype=torch.int64, device=device)
        if len(set(here)) == 1:
            heads, key_dim, value_dim = here[0].heads, here[0].key_dim, here[0].value_dim
            keys = torch.zeros(len(here), heads, capacity, key_dim, dtype=dtype, device=device)
            values = torch.zeros(len(here), heads, capacity, value_dim, dtype=dtype, device=device)
            groups.append(_Group(layers, keys, values, committed))
            continue
        key_list = [torch.zeros(s.heads, capacity, s.key_dim, dtype=dtype, device=device) for s in here]
        value_list = [torch.zeros(s.heads, capacity, s.value_dim, dtype=dtype, device=device) for s in here]
        groups.append(_Group(layers, key_list, value_list, committed))
    return groups
