"""Move the cache rows of the accepted path together, in every layer at once.

Knows slots; nothing of what the rows hold. The path [0, 2, 3] reads row 2 while row 2 is written, so every load
comes before every store.
"""

from __future__ import annotations

import torch

from kernels.types import Buffers


def kv_commit_reference(
    keys: Buffers,
    values: Buffers,
    committed: torch.Tensor,  # []
    path: torch.Tensor,  # [P] node ids, the root first
    count: torch.Tensor | int | None = None,  # [] how many of the path's entries are real; None = all
) -> None:
    """Row committed + path[d] becomes row committed + d, in place, for every d < count."""
    order = torch.arange(path.shape[0], device=path.device)
    if count is not None:
        path = torch.where(order < count, path, order)
    if path.device.type == "cpu":  # reading the path costs nothing there: rows that stay need no copy
        moved = path != order
        if not moved.any():
            return
        path, order = path[moved], order[moved]
    source, target = committed + path, committed + order
    for buffer in (*keys, *values):  # [Hkv, S, D]
        buffer.index_copy_(1, target, buffer.index_select(1, source))
