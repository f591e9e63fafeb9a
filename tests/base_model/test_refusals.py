"""Models that cannot be rolled back are refused with a sentence, each by the check that sees it."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
import transformers

from kernels import KernelSet
from playground.base_model import adapter as base_module
from playground.base_model.adapter import BaseModel
from playground.base_model.probe import measure_window
from playground.config import PlaygroundError
from tests.families import build, random_model

SMALL_MAMBA: dict[str, Any] = {"state_size": 8, "num_heads": 4, "head_dim": 16, "n_groups": 1, "chunk_size": 8}
CANNOT: dict[str, tuple[str, dict[str, Any], str]] = {
    "mamba": ("Mamba", {"state_size": 8}, "recurrent state"),
    "mamba2": ("Mamba2", SMALL_MAMBA, "recurrent state"),
    "bamba": ("Bamba", {"mamba_n_heads": 4, "mamba_d_head": 16, "mamba_d_state": 8, "mamba_n_groups": 1}, "recurrent"),
    "falcon-h1": (
        "FalconH1",
        {
            "mamba_n_heads": 4,
            "mamba_d_head": 16,
            "mamba_d_ssm": 64,
            "mamba_d_state": 8,
            "mamba_n_groups": 1,
            "head_dim": 8,
        },
        "recurrent state",
    ),
    "lfm2": ("Lfm2", {"layer_types": ["conv", "full_attention"]}, "conv"),
    "recurrent-gemma": ("RecurrentGemma", {"num_hidden_layers": 3, "lru_width": 32, "head_dim": 8}, "recurrent state"),
    "llama4": (
        "Llama4Text",
        {"head_dim": 8, "num_local_experts": 2, "attention_chunk_size": 8, "intermediate_size_mlp": 48},
        "chunked_attention",
    ),
    "bloom": ("Bloom", {"n_layer": 2, "n_head": 4}, "attention interface"),
    "gptj": ("GPTJ", {"n_embd": 32, "n_layer": 2, "n_head": 4, "rotary_dim": 4}, "attention interface"),
    "gpt-neo": (
        "GPTNeo",
        {"attention_types": [[["global", "local"], 1]], "num_layers": 2, "num_heads": 4},
        "attention interface",
    ),
    "rwkv": ("Rwkv", {"attention_hidden_size": 32}, "recurrent state"),
}


@pytest.mark.parametrize("family", CANNOT)
def test_models_that_cannot_be_rolled_back_are_refused(family: str, kernels: KernelSet) -> None:
    name, settings, reason = CANNOT[family]
    if not hasattr(transformers, f"{name.removesuffix('Text')}ForCausalLM"):
        pytest.skip(f"this transformers has no {name}")
    model = random_model(name, **settings)
    with pytest.raises(PlaygroundError, match=f"(?s){reason}.*Choose") as refused:
        BaseModel.from_model(model, kernels=kernels)
    assert len(str(refused.value)) < 500


@pytest.mark.parametrize("family", CANNOT)
def test_they_are_found_where_no_flag_shows_it(
    family: str, kernels: KernelSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second line of defence alone: with the flags looking away, the probe or the self-check refuses."""
    name, settings, _ = CANNOT[family]
    if not hasattr(transformers, f"{name.removesuffix('Text')}ForCausalLM"):
        pytest.skip(f"this transformers has no {name}")
    monkeypatch.setattr(base_module, "refuse_by_flags", lambda model: None)
    with pytest.raises(PlaygroundError, match=r"keep keys and values once each|off by|be replaced|nearest ones"):
        BaseModel.from_model(random_model(name, **settings), kernels=kernels)


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"rope_parameters": {"rope_type": "dynamic", "factor": 2.0, "rope_theta": 1e4}}, "dynamic rotary"),
        ({"layer_types": ["chunked_attention", "full_attention"]}, "chunked_attention"),
    ],
    ids=["dynamic-rope", "chunked"],
)
def test_settings_that_a_tree_cannot_follow_are_refused(
    settings: dict[str, Any], reason: str, kernels: KernelSet
) -> None:
    model = build("llama")
    for key, value in settings.items():
        setattr(model.config, key, value)
    with pytest.raises(PlaygroundError, match=reason):
        BaseModel.from_model(model, kernels=kernels)


def test_longrope_is_refused(kernels: KernelSet) -> None:
    factors = [1.0] * 4
    rope = {
        "rope_type": "longrope",
        "short_factor": factors,
        "long_factor": [2.0] * 4,
        "rope_theta": 1e4,
        "original_max_position_embeddings": 64,
    }
    with pytest.raises(PlaygroundError, match="longrope"):
        BaseModel.from_model(build("phi3", rope_parameters=rope), kernels=kernels)


@pytest.mark.parametrize("flag", ["add_cross_attention", "num_kv_shared_layers", "use_bidirectional_attention"])
def test_flags_are_read(flag: str, kernels: KernelSet) -> None:
    model = build("llama")
    setattr(model.config, flag, 1)
    with pytest.raises(PlaygroundError, match=r"cannot verify a tree.*Choose"):
        BaseModel.from_model(model, kernels=kernels)


def test_the_self_check_sees_a_state_nothing_else_shows(kernels: KernelSet) -> None:
    """A layer that mixes neighbours by slot, not by ancestry, is what a hidden convolution looks like."""
    model = build("llama")

    def smear(_module: object, _arguments: object, output: torch.Tensor) -> torch.Tensor:
        return output + torch.nn.functional.pad(output, (0, 0, 1, 0))[:, :-1]

    model.model.layers[0].mlp.register_forward_hook(smear)
    with pytest.raises(PlaygroundError, match=r"other logits on a tree.*off by"):
        BaseModel.from_model(model, kernels=kernels)


def test_logits_that_are_not_finite_are_said(kernels: KernelSet) -> None:
    model = build("llama").half()
    with torch.no_grad():
        model.lm_head.weight.fill_(60_000.0)
    with pytest.raises(PlaygroundError, match=r"not finite in float16.*float32"):
        BaseModel.from_model(model, kernels=kernels)


def test_an_unknown_attention_argument_is_refused(kernels: KernelSet) -> None:
    model = build("llama")
    attention, original = model.model.layers[1].self_attn, copy.copy(model.model.layers[1].self_attn.forward)
    attention.forward = lambda *a, **k: original(*a, **k, position_bias=torch.zeros(1))
    with pytest.raises(PlaygroundError, match="position_bias"):
        BaseModel.from_model(model, kernels=kernels)


def test_windows_are_measured() -> None:
    def causal(_b: Any, _h: Any, query: torch.Tensor, key: torch.Tensor) -> torch.Tensor:
        return key <= query

    assert measure_window(causal, 128, "x") is None
    assert measure_window(lambda b, h, q, k: (k <= q) & (k > q - 16), 128, "x") == 16
    assert measure_window(lambda b, h, q, k: (k <= q) & (k > q - 500), 128, "x") is None
    for odd in (
        lambda b, h, q, k: (k <= q) & (k // 16 == q // 16),  # chunks
        lambda b, h, q, k: k <= q + 1,  # looks ahead
        lambda b, h, q, k: (k <= q) & ((k > q - 16) | (k < 4)),  # window with a kept beginning
        lambda b, h, q, k: k < 0,  # nothing
    ):
        with pytest.raises(PlaygroundError, match="nearest ones"):
            measure_window(odd, 128, "x")
