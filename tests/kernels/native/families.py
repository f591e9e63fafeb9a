"""Tiny random models of every family with a native forward, of shapes the kernels take, and trees to try on them."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import transformers

VOCABULARY = 97
SLIDING = 16

COMMON = {
    "vocab_size": VOCABULARY,
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 512,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
MIXED = {"layer_types": ["sliding_attention", "full_attention"], "sliding_window": SLIDING}

FAMILIES: dict[str, tuple[str, dict[str, Any]]] = {
    "llama": ("Llama", {}),
    "llama-tied": ("Llama", {"tie_word_embeddings": True}),
    "llama-biases": ("Llama", {"attention_bias": True, "mlp_bias": True}),
    "llama-one-group": ("Llama", {"num_attention_heads": 2, "num_key_value_heads": 2, "head_dim": 48}),
    "llama3-rotary": (
        "Llama",
        {
            "rope_parameters": {
                "rope_type": "llama3",
                "rope_theta": 10000.0,
                "factor": 8.0,
                "low_freq_factor": 1.0,
                "high_freq_factor": 4.0,
                "original_max_position_embeddings": 64,
            }
        },
    ),
    "mistral-sliding": ("Mistral", {"sliding_window": SLIDING}),
    "mistral-full": ("Mistral", {"sliding_window": None, "head_dim": 32}),
    "qwen2": ("Qwen2", {}),
    "qwen2-mixed": ("Qwen2", {"use_sliding_window": True, **MIXED}),
    "qwen3": ("Qwen3", {"head_dim": 32}),
    "gemma2-mixed": ("Gemma2", {"head_dim": 32, "query_pre_attn_scalar": 20, **MIXED}),
    "gemma3-mixed": ("Gemma3Text", {"head_dim": 32, "query_pre_attn_scalar": 20, **MIXED}),
    "phi3": ("Phi3", {}),
    "phi3-partial-sliding": ("Phi3", {"sliding_window": SLIDING, "partial_rotary_factor": 0.5}),
    "olmo2": ("Olmo2", {}),
    "granite": (
        "Granite",
        {"logits_scaling": 3.0, "attention_multiplier": 0.3, "residual_multiplier": 0.6, "embedding_multiplier": 1.7},
    ),
    "smollm3": ("SmolLM3", {"no_rope_layers": [1, 0]}),
    "smollm3-mixed": ("SmolLM3", {"no_rope_layers": [1, 0], "use_sliding_window": True, **MIXED}),
}


def build(family: str, **overrides: Any) -> Any:
    """A tiny random float32 model, spread wide enough that a wrong token in sight changes its logits."""
    name, settings = FAMILIES[family]
    config = getattr(transformers, f"{name}Config")(**{**COMMON, **settings, **overrides})
    torch.manual_seed(11)
    model = getattr(transformers, f"{name.removesuffix('Text')}ForCausalLM")(config).eval()
    with torch.no_grad():
        for weight_name, weight in model.named_parameters():
            if weight.dim() >= 2:
                weight.normal_(0.0, 1.6 / weight.shape[-1] ** 0.5 if "embed" not in weight_name else 0.7)
            else:
                weight.add_(torch.randn_like(weight) * 0.1)
    model.set_attn_implementation("eager")
    return model


def random_parents(rows: int, random: np.random.Generator, deepest: int = 5) -> list[int]:
    """A tree whose row i hangs under a random earlier row."""
    parents, depths = [-1], [0]
    while len(parents) < rows:
        candidate = int(random.integers(len(parents)))
        if depths[candidate] < deepest:
            parents.append(candidate)
            depths.append(depths[candidate] + 1)
    return parents


def depths_of(parents: list[int]) -> list[int]:
    depths: list[int] = []
    for parent in parents:
        depths.append(0 if parent < 0 else depths[parent] + 1)
    return depths


def path_to(node: int, parents: list[int]) -> list[int]:
    """Rows from the root to `node`."""
    path = [node]
    while parents[path[-1]] >= 0:
        path.append(parents[path[-1]])
    return path[::-1]
