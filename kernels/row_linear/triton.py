"""Triton program of the row-independent linear layer.

Tiles follow from the weight's shape alone. 64 rows a tile cost nothing while weights are read from memory (a tile of
rows is one tensor-core instruction tall), so one row and 64 take the same time.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl

from kernels.interpreter import interpreting

ROWS = 64


@triton.jit(do_not_specialize=["rows"])
def linear_tile(
    x, weight, bias, out, rows, w_out, w_in,
    N: tl.constexpr, K: tl.constexpr, BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr, BLOCK_K: tl.constexpr,
    BIASED: tl.constexpr, WIDEN: tl.constexpr,
):  # fmt: skip
    """Grid (row tiles, column tiles): row tiles fastest, so that they share a weight tile in the L2 cache."""
    row = tl.program_id(0) * BLOCK_M + tl.arange(0, BLOCK_M)
    column = tl.program_id(1) * BLOCK_N + tl.arange(0, BLOCK_N)
    real, inside = row < rows, column < N
    part = tl.arange(0, BLOCK_K)
    x += row.to(tl.int64)[:, None] * K
    weight += column.to(tl.int64)[None, :] * w_out
    total = tl.zeros([BLOCK_M, BLOCK_N], tl.float32)
    for start in range(0, K, BLOCK_K):
        k = start + part
        a = tl.load(x + k[None, :], mask=real[:, None] & (k < K)[None, :], other=0.0)
        b = tl.load(weight + k[:, None] * w_in, mask=inside[None, :] & (k < K)[:, None], other=0.0)
        if WIDEN:  # Triton's interpreter multiplies bfloat16 as bit patterns
            a, b = a.to(tl.float32), b.to(tl.float32)
        total = tl.dot(a, b, total, input_precision="ieee")
    if BIASED:
        total += tl.load(bias + column, mask=inside, other=0.0).to(tl.float32)[None, :]
    at = row.to(tl.int64)[:, None] * N + column[None, :]
    tl.store(out + at, total.to(out.dtype.element_ty), mask=real[:, None] & inside[None, :])


def row_linear_triton(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None = None) -> torch.Tensor:
    """As the reference, each row alike whatever stands around it; accumulates in fp32.

    `weight` may be a transposed view.

    Raises:
        ValueError: fp64.
    """
    if x.dtype == torch.float64:
        raise ValueError("Triton's linear computes in float32, but was given float64. Choose the reference kernels.")
    lead, interpreted = x.shape[:-1], interpreting()
    x = x.reshape(-1, x.shape[-1]).contiguous()
    rows, outputs, inputs = x.shape[0], *weight.shape
    out = torch.empty(rows, outputs, dtype=x.dtype, device=x.device)
    # Narrow column tiles keep every multiprocessor reading where there are few columns.
    columns = 16 if outputs <= 2048 else 32 if outputs <= 8192 else 64
    deep = 32 if x.dtype == torch.float32 else 128
    linear_tile[(triton.cdiv(rows, ROWS), triton.cdiv(outputs, columns))](
        x, weight, weight if bias is None else bias, out, rows, *weight.stride(),
        N=outputs, K=inputs, BLOCK_M=ROWS, BLOCK_N=columns, BLOCK_K=deep,
        BIASED=bias is not None, WIDEN=interpreted and x.dtype == torch.bfloat16, num_warps=4, num_stages=4,
    )  # fmt: skip
    return out.view(*lead, outputs)
