"""The key-value cache of a batch of rows that grow together, one token a forward.

The buffers are static; attention is shown only the part that has been written, so that a row half full costs half.
Knows transformers' caches, nothing of what the rows say.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor


def rows_cache(config: Any, capacity: int) -> Any:
    """A transformers cache for rows of up to `capacity` tokens.

    Layers with a window of their own, or with a state in place of a cache, stay as transformers makes them.
    """
    from transformers import StaticCache
    from transformers.cache_utils import StaticLayer

    class SeenLayer(StaticLayer):
        """Keys and values [B, Hkv, n, D] of the n tokens written so far, views of the buffers."""

        seen = 0

        def update(self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
            self.seen += key_states.shape[-2]
            keys, values = super().update(key_states, value_states, *args, **kwargs)
            return keys[:, :, : self.seen], values[:, :, : self.seen]

        def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
            return self.seen + query_length, 0

    cache = StaticCache(config=config, max_cache_len=capacity)
    cache.layers = [SeenLayer(capacity) if type(layer) is StaticLayer else layer for layer in cache.layers]
    return cache
