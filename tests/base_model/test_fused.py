"""Our kernels inside stock modules: where they go, that the model stays the model, and that exact mode is exact.

In Triton's interpreter, on tiny models.
"""

from __future__ import annotations

import dataclasses

import pytest
import torch

from kernels import KernelSet, kernel_set
from playground.base_model.adapter import BaseModel
from playground.base_model.fused import Fused
from playground.config import PlaygroundError
from tests.families import build


@pytest.fixture(autouse=True)
def _interpreted(monkeypatch: pytest.MonkeyPatch) -> None:
    if not torch.cuda.is_available():
        monkeypatch.setenv("TRITON_INTERPRET", "1")


DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")


def load(family: str, kernels: KernelSet, dtype: torch.dtype = torch.float32) -> BaseModel:
    torch.manual_seed(0)
    one = {"num_hidden_layers": 1} | ({"layer_types": ["sliding_attention"]} if family == "gemma2-mixed" else {})
    return BaseModel.from_model(build(family, **one).to(dtype).to(DEVICE), kernels=kernels)


def logits_of(base: BaseModel) -> torch.Tensor:
    cache = base.new_cache(16)
    base.prefill(torch.tensor([3, 9, 4, 1], device=DEVICE), cache)
    ancestors = torch.tensor([[1, 0, 0], [1, 1, 0], [1, 0, 1]], dtype=torch.bool, device=DEVICE)
    depth = torch.tensor([0, 1, 1], device=DEVICE)
    return base.forward(torch.tensor([7, 2, 5], device=DEVICE), depth, ancestors, cache).logits


# One family a style of norm is all the interpreter has time for.
@pytest.mark.parametrize(
    ("family", "want"), [("qwen3", Fused(norms=5, gates=1, attentions=1)), ("gemma2-mixed", Fused(norms=5, gates=1))]
)
def test_the_model_stays_the_model(family: str, want: Fused) -> None:
    stock = load(family, kernel_set("reference", DEVICE))
    fused = load(family, kernel_set("triton", DEVICE))
    assert stock.fused == Fused() and fused.fused == want
    torch.testing.assert_close(logits_of(fused), logits_of(stock), atol=2e-4, rtol=2e-4)


@pytest.mark.parametrize(("family", "dtype"), [("llama", torch.bfloat16), ("gpt2", torch.float32)])
def test_exact_mode_is_exact(family: str, dtype: torch.dtype) -> None:
    """`require_exact` runs at load: that it does not raise is the point."""
    base = load(family, kernel_set("triton", DEVICE, exact=True), dtype)
    assert base.fused.linears > 0


def test_the_trial_of_exact_mode_can_fail() -> None:
    """A product whose rounding hangs on the number of rows."""
    exact = kernel_set("triton", DEVICE, exact=True)

    def careless(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None = None) -> torch.Tensor:
        return exact.linear(x, weight, bias) * (1.0 + 1e-3 * (x.shape[-2] > 1))

    with pytest.raises(PlaygroundError, match="Run without --exact"):
        load("llama", dataclasses.replace(exact, linear=careless))
