"""Tiny random models of every family the adapter promises, and trees to try on them."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import transformers

VOCABULARY = 97
CONTEXT = 40
SLIDING = 16

COMMON = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 128,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
MIXED = {
    "layer_types": ["sliding_attention", "full_attention"],
    "sliding_window": SLIDING,
}

FAMILIES: dict[str, tuple[str, dict[str, Any]]] = {
    "llama": ("Llama", {}),
    "llama-tied": ("Llama", {"tie_word_embeddings": True}),
    "mistral-sliding": ("Mistral", {"sliding_window": SLIDING}),
    "mistral-full": ("Mistral", {"sliding_window": None}),
    "qwen2": ("Qwen2", {}),
    "qwen2-mixed": ("Qwen2", {"use_sliding_window": True, **MIXED}),
    "qwen3": ("Qwen3", {"head_dim": 16}),
    "gemma2-mixed": ("Gemma2", {"head_dim": 8, "query_pre_attn_scalar": 8, **MIXED}),
    "gemma3-mixed": ("Gemma3Text", {"head_dim": 8, "query_pre_attn_scalar": 8, **MIXED}),
    "phi3": ("Phi3", {}),
    "phi3-sliding": ("Phi3", {"sliding_window": SLIDING}),
    "gpt2": ("GPT2LMHead", {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 128, "n_inner": 48}),
    "gpt-neox": ("GPTNeoX", {"num_key_value_heads": 4}),
    "olmo2": ("Olmo2", {}),
    "granite": ("Granite", {"logits_scaling": 4.0, "attention_multiplier": 0.3, "residual_multiplier": 0.6}),
    "smollm3": ("SmolLM3", {"no_rope_layers": [1, 0]}),
    "smollm3-mixed": ("SmolLM3", {"no_rope_layers": [1, 0], "use_sliding_window": True, **MIXED}),
    # Beyond the promised matrix: attention sinks, a logit multiplier, and keys and values of different width.
    "gpt-oss-sinks": ("GptOss", {"head_dim": 8, "num_local_experts": 2, "num_experts_per_tok": 1, **MIXED}),
    "cohere": ("Cohere", {"logit_scale": 0.25}),
    "opt": ("OPT", {"ffn_dim": 48, "word_embed_proj_dim": 32}),
    "deepseek-v3": (
        "DeepseekV3",
        {
            "q_lora_rank": 16,
            "kv_lora_rank": 16,
            "qk_rope_head_dim": 8,
            "qk_nope_head_dim": 8,
            "v_head_dim": 12,
            "num_key_value_heads": 4,
            "first_k_dense_replace": 2,
        },
    ),
    # Mixtures of experts: every token is routed by itself, so that its neighbours in a tree must not matter.
    "mixtral": ("Mixtral", {"num_local_experts": 4, "num_experts_per_tok": 2}),
    "qwen3-moe": (
        "Qwen3Moe",
        {"head_dim": 16, "moe_intermediate_size": 24, "num_experts": 4, "num_experts_per_tok": 2},
    ),
    "olmoe": ("Olmoe", {"num_experts": 4, "num_experts_per_tok": 2}),
}


def build(family: str, **overrides: Any) -> Any:
    """A tiny random fp32 model, spread wide enough that a wrong token in sight changes its logits."""
    name, settings = FAMILIES[family]
    return random_model(name, **{**settings, **overrides})


def random_model(name: str, **settings: Any) -> Any:
    """A transformers causal language model `name` of a tiny random config."""
    config = getattr(transformers, f"{name.removesuffix('LMHead')}Config")(**{**COMMON, **settings})
    torch.manual_seed(11)
    head = f"{name}Model" if name.endswith("LMHead") else f"{name.removesuffix('Text')}ForCausalLM"
    model = getattr(transformers, head)(config).eval()
    spread(model)
    return model


def spread(model: Any) -> None:
    """Random weights of a size at which attention is far from uniform and logits far from flat."""
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if weight.dim() >= 2:
                weight.normal_(0.0, 1.6 / weight.shape[-1] ** 0.5 if "embed" not in name else 0.7)
            else:
                weight.add_(torch.randn_like(weight) * 0.1)


@dataclass(frozen=True)
class Tree:
    """A random tree: nodes with parents before children."""

    tokens: torch.Tensor  # [N]
    parent: list[int]
    depth: torch.Tensor  # [N]
    ancestors: torch.Tensor  # [N, N]

    def path(self, node: int) -> list[int]:
        """Nodes from the root to `node`."""
        steps = [node]
        while self.parent[steps[-1]] >= 0:
            steps.append(self.parent[steps[-1]])
        return steps[::-1]

    def deepest(self) -> int:
        return int(self.depth.argmax())


def random_tree(nodes: int, generator: torch.Generator, deepest: int = 5) -> Tree:
    """A tree whose node i hangs under a random earlier node."""
    parent, depth = [-1], [0]
    while len(parent) < nodes:
        candidate = int(torch.randint(len(parent), (), generator=generator))
        if depth[candidate] < deepest:
            parent.append(candidate)
            depth.append(depth[candidate] + 1)
    ancestors = torch.eye(nodes, dtype=torch.bool)
    for node in range(1, nodes):
        ancestors[node] |= ancestors[parent[node]]
    tokens = torch.randint(3, VOCABULARY, (nodes,), generator=generator)
    return Tree(tokens, parent, torch.tensor(depth), ancestors)


class Sequential:
    """The independent reference: the stock model, eager attention, one whole sequence a forward, no cache."""

    def __init__(self, model: Any) -> None:
        self.model = copy.deepcopy(model)
        self.model.set_attn_implementation("eager")

    def __call__(self, tokens: torch.Tensor) -> torch.Tensor:
        """Logits [V] after the last of `tokens` [n]."""
        with torch.no_grad():
            return self.model(input_ids=tokens[None], use_cache=False).logits[0, -1]

    def all_hidden(self, tokens: torch.Tensor) -> list[torch.Tensor]:
        """Hidden states [n, H] after the embedding and after every layer, as transformers gives them."""
        with torch.no_grad():
            found = self.model(input_ids=tokens[None], use_cache=False, output_hidden_states=True).hidden_states
        return [state[0] for state in found]


Corruption = Callable[[Tree], Tree]
