"""Tree attention over our own cache, registered with transformers as an attention function.

Receives the fresh queries, keys and values of N tree nodes from the model's own modules, after rotary embedding;
stores keys and values in the cache's next N slots and attends. Does not know which model calls it, where the tree
came from, or which nodes will be accepted.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from playground.base_model.cache import KVCache
from playground.config import PlaygroundError

if TYPE_CHECKING:
    from kernels import KernelSet

_counter = itertools.count()

# Arguments that some families pass along and that change nothing here.
_HARMLESS = frozenset(
    {"position_ids", "use_cache", "cache_position", "output_attentions", "is_causal", "position_embeddings"}
)


@dataclass(frozen=True)
class TreeFrame:
    """One forward: N nodes on top of a cache.

    On CUDA everything is derived from device tensors, so that a forward can be captured and replayed; elsewhere the
    host's own count is cheaper.
    """

    cache: KVCache
    depth: torch.Tensor  # [N] int64
    ancestors: torch.Tensor  # [N, N] bool, row i: nodes visible to node i, itself included
    slots: torch.Tensor | None = None  # [N] int64, where the nodes' rows go; None: right after the committed ones

    @classmethod
    def of(cls, cache: KVCache, depth: torch.Tensor, ancestors: torch.Tensor) -> TreeFrame:
        if not depth.is_cuda:
            return cls(cache, depth, ancestors)
        count = torch.arange(depth.shape[0], device=depth.device)
        return cls(cache, depth, ancestors, cache.committed_tensor + count)

    @property
    def positions(self) -> torch.Tensor:
        """[N] int64."""
        return self.depth + (self.cache.committed if self.slots is None else self.cache.committed_tensor)

    def store(self, layer: int, key: torch.Tensor, value: torch.Tensor) -> None:
        """Write the nodes' keys [Hkv, N, Dk] and values [Hkv, N, Dv] into their slots."""
        keys, values = self.cache.keys[layer], self.cache.values[layer]
        if self.slots is None:
            start, end = self.cache.committed, self.cache.committed + key.shape[1]
            keys[:, start:end] = key
            values[:, start:end] = value
        else:
            slots = self.slots.to(key.device)
            keys.index_copy_(1, slots, key)
            values.index_copy_(1, slots, value)


class TreeAttention:
    """The attention function of one base model; `frame` stands for the time of one forward."""

    def __init__(self, kernels: KernelSet) -> None:
        self.name = f"redrafter_tree_{next(_counter)}"
        self.kernels = kernels
        self.windows: tuple[int | None, ...] = ()  # a layer; None sees everything
        self.frame: TreeFrame | None = None

    def __call__(
        self,
        module: torch.nn.Module,
        query: torch.Tensor,  # [1, Hq, N, Dk]
        key: torch.Tensor,  # [1, Hkv, N, Dk]
        value: torch.Tensor,  # [1, Hkv, N, Dv]
        attention_mask: torch.Tensor | None = None,
        *,
        scaling: float | None = None,
        dropout: float = 0.0,
        sliding_window: int | None = None,  # the probe knows better: families pass it for layers without one
        softcap: float | None = None,
        s_aux: torch.Tensor | None = None,
        **extra: Any,
    ) -> tuple[torch.Tensor, None]:
        """Attention of the frame's nodes, [1, N, Hq, Dv].

        Raises:
            PlaygroundError: the model asks for something this function does not do.
        """
        refuse_unknown(attention_mask, dropout, extra)
        frame, layer = self.frame, layer_index(module)
        if frame is None:
            raise RuntimeError("Tree attention was called outside a forward of its base model.")
        frame.store(layer, key[0], value[0])
        out = self.attend(query[0], layer, scaling=scaling, softcap=softcap, sinks=s_aux)
        return out.unsqueeze(0), None

    def attend(
        self,
        query: torch.Tensor,  # [Hq, N, Dk]
        layer: int,
        *,
        scaling: float | None = None,
        softcap: float | None = None,
        sinks: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Attention [N, Hq, Dv] of the frame's nodes, whose keys and values stand in the cache already."""
        frame = self.frame
        assert frame is not None
        return self.kernels.tree_attention(
            query,
            frame.cache.keys[layer],
            frame.cache.values[layer],
            frame.cache.committed_at(layer),
            frame.depth.to(query.device),
            frame.ancestors.to(query.device),
            scale=query.shape[-1] ** -0.5 if scaling is None else scaling,
            window=self.windows[layer],
            softcap=softcap,
            sinks=sinks,
        )


def layer_index(module: torch.nn.Module) -> int:
    """The layer a call came from."""
    index = getattr(module, "layer_idx", None)
    if not isinstance(index, int):
        raise PlaygroundError(
            f"The model's {type(module).__name__} does not say which layer it is, so its cache cannot be kept. "
            "Choose a model of another family."
        )
    return index


def refuse_unknown(attention_mask: torch.Tensor | None, dropout: float, extra: dict[str, Any]) -> None:
    """Refuse what tree attention would otherwise ignore silently."""
    asked = {key for key, value in extra.items() if value is not None and value is not False}
    unknown = sorted(asked - _HARMLESS)
    if attention_mask is not None:
        unknown.append("attention_mask")
    if dropout:
        unknown.append("dropout")
    if unknown:
        raise PlaygroundError(
            f"The model's attention asks for {', '.join(unknown)}, which tree attention does not know. "
            "Choose a model of another family."
        )


def register(name: str, function: Callable[..., Any]) -> None:
    """Make `function` known to transformers as an attention implementation."""
    from transformers import AttentionInterface

    AttentionInterface.register(name, function)


def unregister(name: str) -> None:
    """Forget it again, so that a closed model's weights can be freed."""
    from transformers import AttentionInterface

    AttentionInterface._global_mapping.pop(name, None)
