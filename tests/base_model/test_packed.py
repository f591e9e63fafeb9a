"""Packed linear layers: the same numbers, the plain weights given up, and what must not be packed left alone."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from kernels import KernelSet
from playground.base_model.adapter import BaseModel
from playground.base_model.packed import linear_of, linears_called, pack, packable
from tests.families import VOCABULARY, Sequential, build

BF16 = torch.bfloat16
needs_bf16 = pytest.mark.skipif(
    not packable(torch.zeros(2, 2, dtype=BF16)), reason="this CPU's oneDNN does not multiply bfloat16"
)


def linear(inputs: int, outputs: int, seed: int = 0) -> torch.nn.Linear:
    torch.manual_seed(seed)
    return torch.nn.Linear(inputs, outputs).to(BF16).requires_grad_(False)


@needs_bf16
@pytest.mark.parametrize("rows", [1, 3, 8, 24, 200])
@pytest.mark.parametrize(("inputs", "outputs"), [(64, 96), (33, 7), (576, 1536)])
def test_a_packed_layer_gives_the_same_numbers(rows: int, inputs: int, outputs: int) -> None:
    layer = linear(inputs, outputs)
    x = torch.randn(2, rows, inputs, dtype=BF16)
    exact = F.linear(x.double(), layer.weight.double(), layer.bias.double())
    plain = layer(x)
    assert pack([layer], set(), release=True) == 1
    packed = layer(x)
    assert layer.weight.numel() == 0
    assert packed.shape == plain.shape and packed.dtype == BF16
    # Both round the same exact sum; the order of addition may differ in the last bit.
    torch.testing.assert_close(packed.double(), exact, rtol=2**-8, atol=1e-3)
    torch.testing.assert_close(packed, plain, rtol=2**-7, atol=1e-3)


@needs_bf16
def test_only_what_forwards_go_through_is_packed_and_shared_weights_stay() -> None:
    called, shared, idle = linear(8, 8, 1), linear(8, 8, 2), linear(8, 8, 3)
    model = torch.nn.ModuleList([called, shared, idle])
    with linears_called(model) as found:
        shared(called(torch.zeros(1, 8, dtype=BF16)))
        called(torch.zeros(1, 8, dtype=BF16))
    assert found == [called, shared]
    assert pack(found, {shared.weight.data_ptr()}, release=True) == 2
    assert called.weight.numel() == 0 and shared.weight.numel() == 64 and idle.weight.numel() == 64
    assert "forward" not in vars(idle)


def test_other_dtypes_are_left_alone() -> None:
    layer = torch.nn.Linear(4, 4)
    assert pack([layer], set(), release=True) == 0
    assert layer.weight.numel() == 16 and "forward" not in vars(layer)


def test_where_gradients_are_wanted_the_plain_product_runs() -> None:
    layer = linear(4, 4)
    product = linear_of(layer.weight, layer.bias)
    x = torch.randn(3, 4, dtype=BF16, requires_grad=True)
    (gradient,) = torch.autograd.grad(product(x).sum(), x)
    torch.testing.assert_close(gradient[0], layer.weight.sum(0))


@needs_bf16
@pytest.mark.parametrize("family", ["llama", "gpt2", "phi3"])
def test_a_packed_model_says_what_the_stock_model_says(family: str, kernels: KernelSet) -> None:
    text = torch.randint(3, VOCABULARY, (12,), generator=torch.Generator().manual_seed(1))
    expected = Sequential(build(family).to(BF16))(text)
    base = BaseModel.from_model(build(family).to(BF16), kernels=kernels)
    assert base.info().parameters == sum(weight.numel() for weight in build(family).parameters())
    got = base.prefill(text, base.new_cache(16)).logits[0]
    assert base.packed > 0
    torch.testing.assert_close(got.double(), expected.double(), rtol=0.05, atol=0.05)
    with base.stock() as model:
        again = model(input_ids=text[None], use_cache=False).logits[0, -1]
    torch.testing.assert_close(again.double(), expected.double(), rtol=0.05, atol=0.05)
