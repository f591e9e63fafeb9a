"""The check at load tells a model that rounds from a model that keeps a state; the latter is refused in any dtype."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from kernels import KernelSet
from playground.base_model import self_check
from playground.base_model.adapter import BaseModel
from playground.base_model.full_precision import can_widen, in_float32
from playground.config import PlaygroundError
from tests.families import FAMILIES, build

SENTENCE = list(range(3, 90, 7))
NO_ROUNDING = 1e-5  # a limit that every half-precision model misses, as a noisy one misses the real limit


def smear(_module: object, _arguments: object, output: torch.Tensor) -> torch.Tensor:
    """What a hidden convolution looks like: each row sees the row before it, whoever its parent is."""
    return output + torch.nn.functional.pad(output, (0, 0, 1, 0))[:, :-1]


@pytest.mark.parametrize("family", ["llama-tied", "gemma3-mixed", "phi3", "gpt2", "gpt-oss-sinks"])
def test_rounding_is_settled_in_float32(family: str, kernels: KernelSet, monkeypatch: pytest.MonkeyPatch) -> None:
    distances: list[tuple[torch.dtype, float]] = []
    measured = self_check.distance

    def noted(got: torch.Tensor, expected: torch.Tensor) -> float:
        distances.append((got.dtype, measured(got, expected)))
        return distances[-1][1]

    monkeypatch.setattr(self_check, "_WRONG_HALF", NO_ROUNDING)
    monkeypatch.setattr(self_check, "distance", noted)
    base = BaseModel.from_model(build(family).bfloat16(), kernels=kernels, check_ids=SENTENCE)
    (half, error), (full, settled) = distances[:2]
    assert (half, full) == (torch.bfloat16, torch.float32)
    assert error > NO_ROUNDING and settled < 1e-4
    assert base.dtype == torch.bfloat16 and base.new_cache(4).keys[0].dtype == torch.bfloat16


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
def test_a_state_is_refused_in_every_dtype(dtype: torch.dtype, kernels: KernelSet) -> None:
    model = build("llama").to(dtype)
    model.model.layers[0].mlp.register_forward_hook(smear)
    with pytest.raises(PlaygroundError, match=r"other logits on a tree.*Compared were ten tokens.*another family"):
        BaseModel.from_model(model, kernels=kernels, check_ids=SENTENCE)


def test_a_small_state_is_refused_where_half_precision_cannot_tell(
    kernels: KernelSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(self_check, "_WRONG_HALF", NO_ROUNDING)
    model = build("llama").bfloat16()
    model.model.layers[0].mlp.register_forward_hook(smear)
    with pytest.raises(PlaygroundError, match=r"off by .* in float32, where 0\.01 is allowed"):
        BaseModel.from_model(model, kernels=kernels, check_ids=SENTENCE)


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_in_float32_is_the_widened_model(family: str) -> None:
    model = build(family).bfloat16().eval()
    if not can_widen(model):
        pytest.skip("no half-precision weights")
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    ids = torch.tensor([SENTENCE])
    with torch.inference_mode():
        with in_float32(model):
            got = model(input_ids=ids, use_cache=False).logits
        assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
        assert {p.dtype for p in model.parameters()} == {torch.bfloat16}
        expected = model.float()(input_ids=ids, use_cache=False).logits
    assert got.dtype == torch.float32
    assert self_check.distance(got, expected) < 1e-2


def test_weights_come_back_after_an_error() -> None:
    model = build("llama").bfloat16().eval()

    def fail(_module: object, _arguments: object) -> None:
        raise RuntimeError("stop")

    model.model.layers[1].mlp.down_proj.register_forward_pre_hook(fail)
    with pytest.raises(RuntimeError, match="stop"), in_float32(model):
        model(input_ids=torch.tensor([SENTENCE]))
    assert {p.dtype for p in model.parameters()} == {torch.bfloat16}


def test_the_check_reads_real_text(tiny_base: Path, kernels: KernelSet, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[list[int] | None] = []
    real = self_check.check_tokens
    monkeypatch.setattr(
        "playground.base_model.adapter.check_tokens", lambda ids, *rest: (seen.append(ids), real(ids, *rest))[1]
    )
    BaseModel.load(tiny_base, device=torch.device("cpu"), dtype=torch.float32, kernels=kernels)
    assert seen and seen[0] is not None and len(seen[0]) > 10


def test_ids_that_do_not_fit_are_replaced() -> None:
    spread = self_check.check_tokens(None, 97, torch.device("cpu"))
    assert torch.equal(self_check.check_tokens([1, 2, 3], 97, torch.device("cpu")), spread)
    assert torch.equal(self_check.check_tokens([200, *SENTENCE], 97, torch.device("cpu")), spread)
    assert self_check.check_tokens(SENTENCE, 97, torch.device("cpu")).tolist() == SENTENCE[:10]
