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

from playground.config import PlaygroundError
from playground.models.cache import KVCache

if TYPE_CHECKING:
    from kernels import KernelSet

_counter = itertools.count()

# Arguments that some families pass along and that change nothing here.
_HARMLESS = frozenset(
    {"position_ids", "use_cache", "cache_position", "output_attentions", "is_causal", "position_embeddings"}
)


@dataclass(frozen=True)
class TreeFrame:
    """One forward: N nodes on top of a cache."""

    cache: KVCache
    depth: torch.Tensor  # [N] int64
    ancestors: torch.Tensor  # [N, N] bool, row i: nodes visible to node i, itself included


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
        cache, nodes = frame.cache, query.shape[2]
        n = cache.committed
        keys, values = cache.keys[layer], cache.values[layer]
        keys[:, n : n + nodes].copy_(key[0])
        values[:, n : n + nodes].copy_(value[0])
        out = self.kernels.tree_attention(
            query[0],
            keys,
            values,
            cache.committed_at(layer),
            frame.depth.to(query.device),
            frame.ancestors.to(query.device),
            scale=query.shape[-1] ** -0.5 if scaling is None else scaling,
            window=self.windows[layer],
            softcap=softcap,
            sinks=s_aux,
        )
        return out.unsqueeze(0), None


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
    unknown = sorted(key for key, value in extra.items() if value is not None and value is not False and key not in _HARMLESS)
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
