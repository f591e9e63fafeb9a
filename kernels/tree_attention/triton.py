"""Tree attention in Triton: tile sizes, split sizes, scratch, and the launches of its programs.

Knows shapes and dtypes; reads nothing from the device, so a launch can be captured in a CUDA graph.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from kernels.interpreter import interpreting
from kernels.tree_attention import programs

LOG2_E = 1.4426950408889634
EXACT_SPLIT = 256  # positions; a multiple of every KEYS below, and part of the arithmetic: changing it changes bits
MAX_SPLIT_NODES = 128  # more rows than this fill the device without splitting the context


@dataclass(frozen=True)
class _Tiles:
    """Tile sizes that follow from head widths and dtype alone."""

    keys: int
    block_d: int
    block_dv: int
    warps: int


def _tiles(width: int, value_width: int, dtype: torch.dtype) -> _Tiles:
    widest = max(width, value_width)
    wide = widest > 128 or dtype == torch.float32  # keys and values of a block then still fit in shared memory
    return _Tiles(
        keys=32 if wide else 64,
        block_d=max(16, _power_of_two(width)),
        block_dv=max(16, _power_of_two(value_width)),
        warps=8 if widest > 128 else 4,
    )


def _power_of_two(number: int) -> int:
    return 1 << (number - 1).bit_length()


def _refuse(query: torch.Tensor, values: torch.Tensor) -> None:
    if query.dtype not in (torch.float32, torch.bfloat16, torch.float16):
        raise ValueError(
            f"Triton's tree attention computes in float32, bfloat16 and float16, but was given {query.dtype}. "
            "Choose the reference kernels for this dtype."
        )
    if max(query.shape[-1], values.shape[-1]) > 256:
        raise ValueError(
            f"Triton's tree attention takes heads up to 256 wide, but they are {query.shape[-1]} and "
            f"{values.shape[-1]}. Choose the reference kernels for this model."
        )


@dataclass(frozen=True)
class _Call:
    """One call's tensors, with unit inner strides."""

    query: torch.Tensor  # [Hq, N, D]
    keys: torch.Tensor  # [Hkv, S, D]
    values: torch.Tensor  # [Hkv, S, Dv]
    committed: torch.Tensor  # []
    depth: torch.Tensor  # [N]
    ancestors: torch.Tensor  # [N, N] uint8
    result: torch.Tensor  # [N, Hq, Dv]
    sinks: torch.Tensor  # [Hq], or any tensor where there are none

    @property
    def group(self) -> int:
        return self.query.shape[0] // self.keys.shape[0]

    def strides(self) -> tuple[int, ...]:
        return (*self.query.stride()[:2], *self.keys.stride()[:2], *self.values.stride()[:2], self.ancestors.stride(0))

    def scratch(self, parts: int, nodes: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        shape = (parts, self.keys.shape[0], nodes * self.group)
        floats: dict[str, Any] = {"dtype": torch.float32, "device": self.query.device}
        return (
            torch.empty(shape, **floats),
            torch.empty(shape, **floats),
            torch.empty((*shape, self.values.shape[-1]), **floats),
        )


def _inner(tensor: torch.Tensor) -> torch.Tensor:
    return tensor if tensor.stride(-1) == 1 else tensor.contiguous()


def tree_attention_triton(
    query: torch.Tensor,
    keys: torch.Tensor,
    values: torch.Tensor,
    committed: torch.Tensor,
    depth: torch.Tensor,
    ancestors: torch.Tensor,
    *,
    scale: float,
    window: int | None = None,
    softcap: float | None = None,
    sinks: torch.Tensor | None = None,
    exact: bool = False,
) -> torch.Tensor:
    """As the reference, on the device alone. With `exact`, a node's output does not depend on the other nodes.

    Raises:
        ValueError: fp64, or heads wider than 256.
    """
    _refuse(query, values)
    heads, nodes, width = query.shape
    call = _Call(
        query=_inner(query),
        keys=keys,
        values=values,
        committed=committed,
        depth=depth.contiguous(),
        ancestors=_inner(ancestors).view(torch.uint8),
        result=torch.empty(nodes, heads, values.shape[-1], dtype=query.dtype, device=query.device),
        sinks=query if sinks is None else sinks.contiguous(),
    )
    tiles = _tiles(width, values.shape[-1], query.dtype)
    constants: dict[str, Any] = {
        "GROUP": call.group,
        "D": width,
        "DV": values.shape[-1],
        "BLOCK_D": tiles.block_d,
        "BLOCK_DV": tiles.block_dv,
        "KEYS": tiles.keys,
        "WINDOWED": window is not None,
        "CAPPED": softcap is not None,
        "WIDEN": interpreting() and query.dtype == torch.bfloat16,
        "num_warps": tiles.warps,
        "num_stages": 3,
    }
    scales = (scale * LOG2_E, 0.0) if softcap is None else (scale / softcap, softcap * LOG2_E)
    run = _ordered if exact else _masked
    run(call, 0 if window is None else window, scales, constants, sinks is not None)
    return call.result


def _masked(call: _Call, window: int, scales: tuple[float, float], constants: dict[str, Any], sinks: bool) -> None:
    kv_heads, capacity, _ = call.keys.shape
    nodes = call.query.shape[1]
    rows = min(64, max(16, _power_of_two(nodes * call.group)))
    if call.query.dtype == torch.float32:
        rows = 16  # no tensor cores: more rows would spill
    elif constants["BLOCK_D"] > 128:
        rows = min(rows, 32)
    # About 32 splits of the whole cache: enough programs at one node, few enough to merge quickly.
    split = min(1024, max(128, _power_of_two(capacity // 32 + 1)))
    if nodes > MAX_SPLIT_NODES:
        split = _power_of_two(max(capacity, 128))
    parts = -(-capacity // split)
    scratch = call.scratch(parts, nodes)
    grid = (-(-nodes * call.group // rows), kv_heads, parts)
    programs.masked_partials[grid](
        call.query, call.keys, call.values, call.committed, call.depth, call.ancestors, *scratch,
        *call.strides(), nodes, window, split, *scales, **constants, ROWS=rows,
    )  # fmt: skip
    _merge(call, scratch, (nodes, 0, nodes, parts), split, constants, ordered=False, sinks=sinks)


def _ordered(call: _Call, window: int, scales: tuple[float, float], constants: dict[str, Any], sinks: bool) -> None:
    kv_heads, capacity, _ = call.keys.shape
    nodes, rows = call.query.shape[1], 16
    shared, own = -(-capacity // EXACT_SPLIT), (nodes - 1) // EXACT_SPLIT + 2
    for first in range(0, nodes, MAX_SPLIT_NODES):  # bounds the scratch; a row does not notice
        here = min(MAX_SPLIT_NODES, nodes - first)
        scratch = call.scratch(shared + own, here)
        common = (call.query, call.keys, call.values, call.committed, call.depth, call.ancestors, *scratch)
        for alone, grid in (
            (0, (-(-here * call.group // rows), kv_heads, shared)),
            (1, (here * -(-call.group // rows), kv_heads, own)),
        ):
            programs.ordered_partials[grid](
                *common, *call.strides(), here, first, nodes, alone, shared, window, *scales, **constants,
                ROWS=rows, SPLIT=EXACT_SPLIT,
            )  # fmt: skip
        _merge(call, scratch, (here, first, nodes, shared), EXACT_SPLIT, constants, ordered=True, sinks=sinks)


def _merge(
    call: _Call,
    scratch: tuple[torch.Tensor, torch.Tensor, torch.Tensor],
    counts: tuple[int, int, int, int],
    split: int,
    constants: dict[str, Any],
    *,
    ordered: bool,
    sinks: bool,
) -> None:
    programs.merge_partials[(counts[0], call.query.shape[0])](
        *scratch, call.sinks, call.committed, call.depth, call.result, *counts, split,
        HEADS=call.query.shape[0], GROUP=call.group, DV=constants["DV"], BLOCK_DV=constants["BLOCK_DV"],
        ORDERED=ordered, SINKS=sinks, num_warps=1,
    )  # fmt: skip
