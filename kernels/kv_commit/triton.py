"""Triton program of the cache commit: every layer and head in one launch, all loads of a tile before its stores."""

from __future__ import annotations

import torch
import triton
import triton.language as tl

from kernels.types import Buffers

TILE = 32  # path entries moved at a time


@triton.jit
def move_rows(
    keys, values, committed, path, count, entries, heads,
    k_layer, k_head, k_slot, v_layer, v_head, v_slot,
    D: tl.constexpr, DV: tl.constexpr, BLOCK_D: tl.constexpr, ROWS: tl.constexpr, COUNTED: tl.constexpr,
):  # fmt: skip
    """Grid (layers * heads, 2): keys, then values. Rows of a tile are read whole before any is written.

    A path goes down the tree, so path[d] >= d: a later tile never reads what an earlier one wrote.
    """
    layer, head = tl.program_id(0) // heads, tl.program_id(0) % heads
    n = tl.load(committed)
    real = entries
    if COUNTED:
        real = tl.minimum(entries, tl.load(count).to(tl.int32))
    d = tl.arange(0, BLOCK_D)
    if tl.program_id(1) == 0:
        base = keys + layer.to(tl.int64) * k_layer + head.to(tl.int64) * k_head
        stride, inside = k_slot, d < D
    else:
        base = values + layer.to(tl.int64) * v_layer + head.to(tl.int64) * v_head
        stride, inside = v_slot, d < DV
    for start in range(0, real, ROWS):
        step = start + tl.arange(0, ROWS)
        node = tl.load(path + step, mask=step < real, other=0)
        moved = (step < real) & (node != step)
        mask = moved[:, None] & inside[None, :]
        rows = tl.load(base + (n + node)[:, None] * stride + d[None, :], mask=mask)
        tl.debug_barrier()  # other warps of this program may not have read their rows yet
        tl.store(base + (n + step)[:, None] * stride + d[None, :], rows, mask=mask)


def commit_rows(
    keys: torch.Tensor,  # [Layers, Hkv, S, D]
    values: torch.Tensor,  # [Layers, Hkv, S, Dv]
    committed: torch.Tensor,
    path: torch.Tensor,
    count: torch.Tensor | None,
) -> None:
    """One launch over every layer."""
    layers, heads, _, width = keys.shape
    value_width = values.shape[-1]
    move_rows[(layers * heads, 2)](
        keys, values, committed, path.contiguous(), path if count is None else count, path.shape[0], heads,
        *keys.stride()[:3], *values.stride()[:3],
        D=width, DV=value_width, BLOCK_D=triton.next_power_of_2(max(width, value_width)), ROWS=TILE,
        COUNTED=count is not None,
    )  # fmt: skip


def kv_commit_triton(
    keys: Buffers,
    values: Buffers,
    committed: torch.Tensor,
    path: torch.Tensor,
    count: torch.Tensor | int | None = None,
) -> None:
    """As the reference: one launch for stacked buffers, one a layer for a list."""
    if isinstance(count, int):
        path, count = path[:count], None
    if isinstance(keys, torch.Tensor) and isinstance(values, torch.Tensor):
        commit_rows(keys, values, committed, path, count)
        return
    for layer_keys, layer_values in zip(keys, values, strict=True):
        commit_rows(layer_keys[None], layer_values[None], committed, path, count)
