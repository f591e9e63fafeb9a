"""Triton programs of the pick: the best key of each chunk, then of all chunks."""

from __future__ import annotations

import torch
import triton
import triton.language as tl

from kernels.ordered_keys import LOWEST, id_of, key_of
from kernels.pick.noise import filter_threshold
from kernels.types import PickRule

PICK_CHUNK = 4096

_STREAM = tl.constexpr(0x9E3779B9)


@triton.jit
def _mix(x):
    """A 32-bit integer finaliser (Wellons' lowbias32) on uint32."""
    x = x ^ (x >> 16)
    x = x * 0x7FEB352D
    x = x ^ (x >> 15)
    x = x * 0x846CA68B
    return x ^ (x >> 16)


@triton.jit
def _noise(id, stream, step):
    """-log(-log1p(-v)); log1p by Kahan's w = 1 - v, log(w) v / (1 - w), exact where w rounds."""
    bits = _mix(_mix(id.to(tl.uint32) + stream) ^ step)
    v = (bits.to(tl.float32) + 0.5) * 2.3283064365386963e-10
    w = 1.0 - v
    log1p = tl.where(w == 1.0, -v, tl.log(w) * v / tl.where(w == 1.0, 1.0, 1.0 - w))
    return -tl.log(-log1p)


@triton.jit
def pick_in_chunks(
    logits, threshold, position, seed, best, l_row, vocabulary, temperature,
    GREEDY: tl.constexpr, FILTERED: tl.constexpr, CHUNK: tl.constexpr,
):  # fmt: skip
    """Grid (N, chunks): the best key of each chunk."""
    row, chunk = tl.program_id(0), tl.program_id(1)
    id = chunk * CHUNK + tl.arange(0, CHUNK)
    real = id < vocabulary
    value = tl.load(logits + row.to(tl.int64) * l_row + id, mask=real, other=float("-inf")).to(tl.float32)
    if not GREEDY:
        if FILTERED:
            value = tl.where(value < tl.load(threshold + row), float("-inf"), value)
        where = tl.load(position + row).to(tl.uint32)
        stream = _mix(tl.load(seed).to(tl.uint32) ^ _STREAM)
        value = value / temperature + _noise(id, stream, _mix(where * _STREAM + stream))
    keys = tl.where(real, key_of(value, id), LOWEST)
    tl.store(best + row * tl.num_programs(1) + chunk, tl.max(keys, 0))


@triton.jit
def pick_of_chunks(best, picked, chunks, CHUNKS: tl.constexpr):
    """Grid (N,): the id of the best key."""
    row = tl.program_id(0)
    part = tl.arange(0, CHUNKS)
    keys = tl.load(best + row * chunks + part, mask=part < chunks, other=LOWEST)
    tl.store(picked + row, id_of(tl.max(keys, 0)))


def pick_rows(
    logits: torch.Tensor,  # [N, V]
    rule: PickRule,
    position: torch.Tensor,  # [N] int64
    seed: torch.Tensor,  # [] int64, not read when greedy
) -> torch.Tensor:
    """The picked ids [N], in two launches; a filter adds PyTorch's top-k or sort."""
    rows, vocabulary = logits.shape
    logits = logits if logits.stride(1) == 1 else logits.contiguous()
    threshold = position
    if rule.filtered:
        threshold = filter_threshold(logits.float(), rule).contiguous()
    chunks = triton.cdiv(vocabulary, PICK_CHUNK)
    best = torch.empty(rows, chunks, dtype=torch.int64, device=logits.device)
    picked = torch.empty(rows, dtype=torch.int64, device=logits.device)
    pick_in_chunks[(rows, chunks)](
        logits, threshold, position.contiguous(), seed, best, logits.stride(0), vocabulary,
        1.0 if rule.greedy else float(rule.temperature), GREEDY=rule.greedy, FILTERED=rule.filtered, CHUNK=PICK_CHUNK,
    )  # fmt: skip
    pick_of_chunks[(rows,)](best, picked, chunks, CHUNKS=triton.next_power_of_2(chunks), num_warps=1)
    return picked


def pick_triton(logits: torch.Tensor, rule: PickRule, position: torch.Tensor | int) -> torch.Tensor:
    """As the reference, on the device alone: the same noise bits, the floats within rounding.

    Raises:
        ValueError: fp64 logits.
    """
    if logits.dtype == torch.float64:
        raise ValueError("Triton's pick computes in float32, but was given float64. Choose the reference kernels.")

    rows = logits.reshape(-1, logits.shape[-1])
    where = torch.as_tensor(position, device=logits.device).to(torch.int64).reshape(-1)
    seed = rule.seed
    if isinstance(seed, int):  # written by a launch, as a copy from the host could not be captured
        seed = where if rule.greedy else torch.full((), seed, dtype=torch.int64, device=logits.device)
    return pick_rows(rows, rule, where, seed).reshape(logits.shape[:-1])
