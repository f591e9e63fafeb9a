"""Calls of one instruction set's functions on plain numpy arrays: layouts in, layouts out, outputs poisoned."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from typing import Any

import numpy as np

from kernels.native import abi

GROUP, BLOCK = 32, 128
Array = np.ndarray[Any, np.dtype[Any]]


def poisoned(*shape: int) -> Array:
    return np.full(shape, np.nan, np.float32)


def at(array: Array, element: int = 0) -> int:
    """Address of an element."""
    assert array.flags.c_contiguous
    return int(array.ctypes.data) + element * array.itemsize


def bits(array: Array) -> Array:
    """For comparing floats bit by bit."""
    return np.ascontiguousarray(array, np.float32).view(np.uint32)


@dataclass(frozen=True)
class Quantised:
    values: Array  # int8 [R, K]
    scale: Array  # [R, G]
    offset: Array  # int32 [R, G]


def pointers(x: Array) -> Array:
    """Addresses of the rows of x."""
    return np.array([at(x, r * x.shape[1]) for r in range(len(x))], np.uintp)


def quantise(kernels: Any, x: Array) -> Quantised:
    """Rows [R, K] one by one."""
    rows, inner = x.shape
    values, scale = np.full((rows, inner), 99, np.int8), poisoned(rows, inner // GROUP)
    offset = np.full((rows, inner // GROUP), 12345, np.int32)
    addresses = pointers(x)
    for r in range(rows):
        kernels.quantise(
            at(addresses, r), 1, None, None, inner, at(values, r * inner), inner, 4, at(scale[r]), at(offset[r]), 1
        )
    return Quantised(values, scale, offset)


def tiled(kernels: Any, x: Array, norm: Array | None = None, weight: Array | None = None) -> tuple[Array, Array, Array]:
    """Rows [R, K] quantised into one tile of this set's layout: bytes, scales [G, R], offsets [G, R].

    With norm [R] and weight [K], rows are multiplied by both first.
    """
    rows, inner = x.shape
    values, scale = np.full(rows * inner, 99, np.int8), poisoned(inner // GROUP, rows)
    offset = np.full((inner // GROUP, rows), 12345, np.int32)
    row, step = (inner, 4) if kernels.row_major else (4, 4 * rows)
    factors = (None, None) if norm is None or weight is None else (at(norm), at(weight))
    addresses = pointers(x)
    kernels.quantise(at(addresses), rows, *factors, inner, at(values), row, step, at(scale), at(offset), rows)
    return values, scale, offset


def rows_of(kernels: Any, values: Array, rows: int) -> Array:
    """A tile's bytes as rows [R, K]."""
    if kernels.row_major:
        return values.reshape(rows, -1)
    return values.reshape(-1, rows, 4).transpose(1, 0, 2).reshape(rows, -1)


def panel_int8(kernels: Any, x: Array, weights: Array, output_scale: Array) -> Array:
    """Rows [R, K] in float32 times int8 weights [16, K] of -127..127: [R, 16], tile by tile of this set's size."""
    rows, inner = x.shape
    panel = (weights.astype(np.int16) + 128).astype(np.uint8)
    panel = np.ascontiguousarray(panel.reshape(16, inner // 4, 4).transpose(1, 0, 2))  # [K / 4, 16, 4]
    out = poisoned(rows, 17)
    for from_ in range(0, rows, kernels.row_tile):
        tile = np.ascontiguousarray(x[from_ : from_ + kernels.row_tile])
        values, scale, offset = tiled(kernels, tile)
        kernels.panel_int8(
            at(values),
            at(scale),
            at(offset),
            len(tile),
            inner,
            at(panel),
            at(output_scale),
            at(out, from_ * 17),
            17,
            at(panel) if from_ else None,
        )
    assert np.isnan(out[:, 16]).all(), "written beyond the panel"
    return out[:, :16]


def panel_float(kernels: Any, x: Array, weights: Array, bfloat16: bool) -> Array:
    """Rows [R, K] times weights [16, K] (bfloat16: already rounded to it): [R, 16]."""
    rows, inner = x.shape
    panel = np.ascontiguousarray(weights.T)  # [K, 16]
    if bfloat16:
        panel = np.ascontiguousarray(panel.view(np.uint32) >> 16).astype(np.uint16)
    function = kernels.panel_bfloat16 if bfloat16 else kernels.panel_float32
    out = poisoned(rows, 17)
    for from_ in range(0, rows, kernels.row_tile):
        tile = np.ascontiguousarray(x[from_ : from_ + kernels.row_tile].T)  # [K, R]
        function(at(tile), tile.shape[1], inner, at(panel), at(out, from_ * 17), 17)
    assert np.isnan(out[:, 16]).all(), "written beyond the panel"
    return out[:, :16]


def to_bfloat16(x: Array) -> Array:
    """Rounded to the nearest bfloat16, ties to even, as float32."""
    raw = np.ascontiguousarray(x, np.float32).view(np.uint32)
    return ((raw + 0x7FFF + ((raw >> 16) & 1)) & 0xFFFF0000).astype(np.uint32).view(np.float32)


@dataclass(frozen=True)
class Sight:
    """What a query sees: positions first..last-1; below `straight` position = slot, then the slots `strays`."""

    first: int
    straight: int
    strays: tuple[int, ...] = ()

    @property
    def last(self) -> int:
        return self.straight + len(self.strays)

    def slots(self) -> list[int]:
        return [*range(self.straight), *self.strays][self.first :]


KEPT = ("float32", "bfloat16", "int8")  # how keys and values are, by the library's number


def as_kept(x: Array, kept: str) -> Array:
    """Rows [S, D] as a cache gives them back; int8 by one scale a row."""
    if kept == "int8":
        scale = np.abs(x).max(-1, keepdims=True) / np.float32(127)
        return (np.rint(x * (np.float32(1) / scale)) * scale).astype(np.float32)
    return to_bfloat16(x) if kept == "bfloat16" else x


def attend(
    kernels: Any, queries: Array, keys: Array, values: Array, sights: list[Sight], kept: str, softcap: float = 0.0
) -> Array:
    """Attention [Q, D] of queries [Q, D] (scaled) over the slots [S, D] each one sees, block by block.

    Slots that nobody sees are left as they are made: float caches full of NaN, int8 ones of any bytes.
    """
    count, dim = queries.shape
    seen = sorted({slot for sight in sights for slot in sight.slots()})
    room = (len(keys) + BLOCK - 1) // BLOCK * BLOCK * (dim + 4)
    makers = {"float32": (np.nan, np.float32), "bfloat16": (0x7FC0, np.uint16), "int8": (0x7F, np.uint8)}
    stored = np.full((2, room), *makers[kept])
    number = KEPT.index(kept)
    for slot in seen:
        kernels.store(at(keys, slot * dim), dim, at(stored[0]), None, slot, number)
        kernels.store(at(values, slot * dim), dim, None, at(stored[1]), slot, number)
    fresh = [slot for sight in sights for slot in sight.strays]
    out = poisoned(count, dim)
    for from_ in range(0, count, kernels.query_tile):
        chosen = sights[from_ : from_ + kernels.query_tile]
        given = np.ascontiguousarray(queries[from_ : from_ + len(chosen)])
        packed, quantised = np.ascontiguousarray(given.T), tiled(kernels, given) if kept == "int8" else (given,) * 3
        tile = abi.CQueryTile(
            queries=len(chosen), dim=dim, key_value_dtype=number, softcap=softcap, query=at(packed),
            keys=at(stored[0]), values=at(stored[1]), fresh_from=min(fresh, default=0),
            fresh_to=max(fresh, default=-1) + 1, query_bytes=at(quantised[0]), query_scale=at(quantised[1]),
            query_offset=at(quantised[2]),
        )  # fmt: skip
        strays = {sight: np.array(sight.strays or (0,), np.int32) for sight in chosen}  # one list a row
        for q, sight in enumerate(chosen):
            tile.first[q], tile.straight[q], tile.last[q] = sight.first, sight.straight, sight.last
            tile.stray[q] = at(strays[sight])
        _blocks(kernels, tile, max(sight.last for sight in chosen), out[from_ : from_ + len(chosen)])
    return out


def _blocks(kernels: Any, tile: Any, last: int, out: Array) -> None:
    stride = tile.dim + 16
    state, work = (
        poisoned(tile.queries, stride),
        poisoned(tile.queries * (BLOCK + tile.fresh_to + 32)),
    )
    state[:, tile.dim + 1] = 0.0
    for block in range((last + BLOCK - 1) // BLOCK):
        part = poisoned(tile.queries, stride)
        work[:] = np.nan
        kernels.attend(ctypes.byref(tile), block, at(work), at(part), stride)
        for q in range(tile.queries):
            kernels.fold(at(state, q * stride), at(part, q * stride), tile.dim)
    for q in range(tile.queries):
        kernels.finish(at(state, q * stride), tile.dim, at(out[q]))
