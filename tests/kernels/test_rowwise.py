"""The row-wise operations: device code against references, references against stock modules, rows alone."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from kernels.gated.reference import gated_reference
from kernels.gated.triton import gated_triton
from kernels.rms_norm.reference import rms_norm_reference
from kernels.rms_norm.triton import rms_norm_triton
from kernels.rotary_store.reference import rotary_store_reference
from kernels.rotary_store.triton import rotary_store_triton
from kernels.row_linear.reference import row_linear_reference
from kernels.row_linear.triton import row_linear_triton

DTYPES = [torch.float32, torch.float16, torch.bfloat16]
TOLERANCE = {torch.float32: 3e-5, torch.float16: 4e-3, torch.bfloat16: 3e-2}


def close(got: torch.Tensor, want: torch.Tensor) -> None:
    assert got.dtype == want.dtype
    torch.testing.assert_close(got, want, atol=TOLERANCE[want.dtype], rtol=TOLERANCE[want.dtype])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("rows", "inputs", "outputs"), [(1, 64, 48), (5, 100, 17), (65, 130, 33), (70, 576, 40)])
@pytest.mark.parametrize("biased", [True, False], ids=["bias", "no bias"])
def test_linear(rows, inputs, outputs, biased, dtype, device) -> None:
    x = torch.randn(rows, inputs, device=device).to(dtype)
    weight = (torch.randn(outputs, inputs, device=device) / inputs**0.5).to(dtype)
    bias = torch.randn(outputs, device=device).to(dtype) if biased else None
    close(row_linear_triton(x, weight, bias), row_linear_reference(x, weight, bias))
    stored_transposed = weight.T.contiguous().T  # as GPT-2 keeps its weights
    close(row_linear_triton(x[None], stored_transposed, bias), row_linear_reference(x[None], weight, bias))


@pytest.mark.parametrize("dtype", DTYPES)
def test_linear_rows_do_not_depend_on_their_number(dtype, device) -> None:
    x = torch.randn(70, 200, device=device).to(dtype)
    weight = torch.randn(50, 200, device=device).to(dtype)
    together = row_linear_triton(x, weight)
    for row in (0, 1, 63, 64, 69):
        assert torch.equal(row_linear_triton(x[row : row + 1], weight)[0], together[row])
    assert torch.equal(row_linear_triton(x[3:40], weight), together[3:40])


def test_linear_refuses_float64() -> None:
    with pytest.raises(ValueError, match="Choose the reference kernels"):
        row_linear_triton(torch.ones(1, 2, dtype=torch.float64), torch.ones(1, 2, dtype=torch.float64))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("style", ["llama", "gemma"])
@pytest.mark.parametrize("width", [16, 576, 1000])
def test_rms_norm(width, style, dtype, device) -> None:
    x = torch.randn(2, 3, width, device=device).to(dtype) * 3
    weight = torch.randn(width, device=device).to(dtype)
    got = rms_norm_triton(x, weight, 1e-5, style)
    close(got, rms_norm_reference(x, weight, 1e-5, style))
    assert torch.equal(rms_norm_triton(x[1, 2], weight, 1e-5, style), got[1, 2])
    strided = torch.randn(3, 2 * width, device=device).to(dtype)[:, :width]
    close(rms_norm_triton(strided, weight, 1e-5, style), rms_norm_reference(strided, weight, 1e-5, style))


def test_rms_norm_reference_is_the_stock_modules() -> None:
    from transformers.models.gemma2.modeling_gemma2 import Gemma2RMSNorm
    from transformers.models.llama.modeling_llama import LlamaRMSNorm

    x = torch.randn(4, 24).bfloat16()
    for style, module in (("llama", LlamaRMSNorm(24)), ("gemma", Gemma2RMSNorm(24))):
        module = module.bfloat16()
        module.weight.data.normal_()
        assert torch.equal(rms_norm_reference(x, module.weight.data, 1e-6, style), module(x).data)  # type: ignore[arg-type]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", ["silu", "gelu_tanh"])
def test_gated(kind, dtype, device) -> None:
    gate, up = (torch.randn(2, 3, 700, 2, device=device) * 4).to(dtype).unbind(-1)
    gate[0, 0, :4] = torch.tensor([-100.0, 100.0, 0.0, -0.0])
    close(gated_triton(gate, up, kind), gated_reference(gate, up, kind))


def test_gated_reference_is_silu_times_up() -> None:
    gate, up = torch.randn(2, 5, 7)
    assert torch.equal(gated_reference(gate, up), functional.silu(gate) * up)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("heads", "kv_heads", "width", "value_width"), [(9, 3, 64, 64), (4, 4, 80, 48)])
def test_rotary_store(heads, kv_heads, width, value_width, dtype, device) -> None:
    nodes, committed = 5, 11
    joined = torch.randn(nodes, (heads + kv_heads) * width + kv_heads * value_width, device=device).to(dtype)
    query, key, value = joined.split([heads * width, kv_heads * width, kv_heads * value_width], dim=-1)
    parts = (query.unflatten(1, (heads, -1)), key.unflatten(1, (kv_heads, -1)), value.unflatten(1, (kv_heads, -1)))
    angle = torch.randn(nodes, width // 2, device=device).repeat(1, 2)
    angles = (angle.cos().to(dtype), angle.sin().to(dtype))
    results = []
    for operation in (rotary_store_reference, rotary_store_triton):
        keys = torch.full((kv_heads, 20, width), 7.0, device=device).to(dtype)
        values = torch.full((kv_heads, 20, value_width), 7.0, device=device).to(dtype)
        out = operation(*parts, *angles, keys, values, torch.tensor(committed, device=device))
        results.append((out, keys, values))
    for want, got in zip(*results, strict=True):
        close(got, want)
    assert results[1][1][:, :committed].eq(7.0).all() and results[1][1][:, committed + nodes :].eq(7.0).all()


def test_rotary_reference_is_the_stock_function() -> None:
    from transformers.models.llama.modeling_llama import apply_rotary_pos_emb

    query, key = torch.randn(5, 4, 16), torch.randn(5, 2, 16)
    angle = torch.randn(5, 8).repeat(1, 2)
    keys, values = torch.zeros(2, 9, 16), torch.zeros(2, 9, 16)
    got = rotary_store_reference(query, key, key, angle.cos(), angle.sin(), keys, values, torch.tensor(2))
    want = apply_rotary_pos_emb(
        query.transpose(0, 1)[None], key.transpose(0, 1)[None], angle.cos()[None], angle.sin()[None]
    )
    torch.testing.assert_close(got, want[0][0])
    torch.testing.assert_close(keys[:, 2:7], want[1][0])
