"""Reads a transformers causal language model into a spec and weights.

Here, and only here, families have names: what each does differently is told to the library in numbers. Knows the
modules' attributes; imports neither transformers nor the library.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from kernels.native.errors import NativeError
from kernels.native.spec import Format, LayerSpec, ModelSpec, Rotary
from kernels.native.weights import Weight, places

FAMILIES = frozenset(
    {"llama", "mistral", "qwen2", "qwen3", "smollm3", "granite", "olmo2", "gemma2", "gemma3_text", "phi3"}
)
STATIC_ROTARY = frozenset({"default", "linear", "llama3", "yarn", "proportional"})  # frequencies that no length changes
ACTIVATIONS = {"silu": "silu", "swish": "silu", "gelu_pytorch_tanh": "gelu-tanh", "gelu_new": "gelu-tanh"}
GEMMAS = frozenset({"gemma2", "gemma3_text"})


def read_spec(model: Any, format: Format, key_value_dtype: str | None = None) -> ModelSpec:
    """What `model` does, kept as `format`, keys and values as `key_value_dtype` or as `default_key_values` says.

    Raises:
        NativeError: a family, an activation, a rotary kind or shapes that the kernels do not have.
    """
    config, layers = model.config, model.model.layers
    if config.model_type not in FAMILIES:
        raise NativeError("spec", f"Models of type {config.model_type!r} have no native forward; run them eagerly.")
    attention = layers[0].self_attn
    rotaries, table_of = _rotaries(model)
    return ModelSpec(
        format=format,
        hidden=config.hidden_size,
        inner=config.intermediate_size,
        heads=config.num_attention_heads,
        key_value_heads=config.num_key_value_heads,
        head_dim=attention.head_dim,
        vocabulary=model.get_output_embeddings().weight.shape[0],
        layers=tuple(_layer(config, layer.self_attn, table_of) for layer in layers),
        rotaries=rotaries,
        attention_scale=float(attention.scaling),
        norm_eps=float(config.rms_norm_eps),
        key_value_dtype=key_value_dtype or default_key_values(format, attention.head_dim, _biases(layers[0])),
        activation=_activation(config),
        qk_norm={"qwen3": "head", "gemma3_text": "head", "olmo2": "row"}.get(config.model_type, "none"),
        norms=_norms(config),
        biases=_biases(layers[0]),
        attention_softcap=float(getattr(config, "attn_logit_softcapping", None) or 0.0),
        logit_scale=1.0 / float(getattr(config, "logits_scaling", None) or 1.0),
        logit_softcap=float(getattr(config, "final_logit_softcapping", None) or 0.0),
        embedding_scale=_embedding_scale(model),
        residual_scale=float(getattr(config, "residual_multiplier", 1.0)),
    )


def _activation(config: Any) -> str:
    name = getattr(config, "hidden_activation", None) or config.hidden_act
    if name not in ACTIVATIONS:
        raise NativeError("spec", f"The activation {name!r} has no native kernel; run the model eagerly.")
    return ACTIVATIONS[name]


def _layer(config: Any, attention: Any, table_of: dict[str, int]) -> LayerSpec:
    own = hasattr(attention, "sliding_window")
    window = attention.sliding_window if own else getattr(config, "sliding_window", None)
    turns = bool(getattr(attention, "use_rope", True))
    kind = getattr(attention, "layer_type", None) if len(table_of) > 1 else None
    return LayerSpec(window, table_of[kind or next(iter(table_of))] if turns else None)


def _rotaries(model: Any) -> tuple[tuple[Rotary, ...], dict[str, int]]:
    """The tables, and which layer type uses which; models with one table have it under one name."""
    rotary = model.model.rotary_emb
    kinds = rotary.rope_type if isinstance(rotary.rope_type, dict) else {"": rotary.rope_type}
    for kind in kinds.values():
        if kind not in STATIC_ROTARY:
            raise NativeError("spec", f"Rotary embeddings of type {kind!r} have no native form; run the model eagerly.")
    tables = []
    for name in kinds:
        prefix = f"{name}_" if name else ""
        frequencies = getattr(rotary, f"{prefix}inv_freq").float().tolist()
        tables.append(Rotary(tuple(frequencies), float(getattr(rotary, f"{prefix}attention_scaling"))))
    return tuple(tables), {name: index for index, name in enumerate(kinds)}


def _norms(config: Any) -> frozenset[str]:
    if config.model_type == "olmo2":
        return frozenset({"after-attention", "after-mlp"})
    before = frozenset({"before-attention", "before-mlp"})
    return before | {"after-attention", "after-mlp"} if config.model_type in GEMMAS else before


def default_key_values(format: Format, head_dim: int, biases: frozenset[str]) -> str:
    """float32 beside weights that are not int8. Else int8, which attention multiplies as integers; but bfloat16 where
    heads do not divide into groups, or biases may lift some of a key's dims far above the rest: a key has one scale."""
    if format != "int8":
        return "float32"
    return "bfloat16" if head_dim % 32 or "query-key-value" in biases else "int8"


def _biases(layer: Any) -> frozenset[str]:
    """Where linear layers have one; a fused or split layer has it for all of its parts."""
    attention, mlp = layer.self_attn, layer.mlp
    inputs = getattr(attention, "q_proj", None) or attention.qkv_proj
    gates = getattr(mlp, "gate_proj", None) or mlp.gate_up_proj
    linears = {"query-key-value": inputs, "out": attention.o_proj, "gate-up": gates, "down": mlp.down_proj}
    return frozenset(name for name, linear in linears.items() if linear.bias is not None)


def _embedding_scale(model: Any) -> float:
    table = model.get_input_embeddings()
    scale = getattr(table, "embed_scale", None)
    if scale is not None:  # rounded to the weights' dtype, as the model itself does
        return float(scale.to(table.weight.dtype))
    return float(getattr(model.config, "embedding_multiplier", 1.0))


def read_weights(model: Any, spec: ModelSpec) -> Iterator[Weight]:
    """Every weight of `spec`, views of the model's own where they are kept alike."""
    gemma = model.config.model_type in GEMMAS
    yield Weight("embedding", 0, model.get_input_embeddings().weight)
    yield Weight("head", 0, model.get_output_embeddings().weight)
    yield Weight("final-norm", 0, _norm(model.model.norm, gemma))
    names = places(spec)
    for index, layer in enumerate(model.model.layers):
        found = {**_linears(layer.self_attn, layer.mlp, spec), **_layer_norms(layer, spec, gemma)}
        yield from (Weight(name, index, found[name]) for name in names)


def _norm(norm: Any, gemma: bool) -> Any:
    return norm.weight.detach().float() + 1.0 if gemma else norm.weight


def _linears(attention: Any, mlp: Any, spec: ModelSpec) -> dict[str, Any]:
    query, key = spec.heads * spec.head_dim, spec.key_value_heads * spec.head_dim
    found = {"out": attention.o_proj, "down": mlp.down_proj}
    if hasattr(attention, "q_proj"):
        found |= {"query": attention.q_proj, "key": attention.k_proj, "value": attention.v_proj}
        found |= {"gate": mlp.gate_proj, "up": mlp.up_proj}
    weights: dict[str, Any] = {}
    for name, linear in found.items():
        weights |= {name: linear.weight, f"{name}-bias": linear.bias}
    if hasattr(attention, "qkv_proj"):
        fused = attention.qkv_proj.weight
        weights |= dict(zip(("query", "key", "value"), fused.split([query, key, key]), strict=True))
        weights |= dict(zip(("gate", "up"), mlp.gate_up_proj.weight.chunk(2), strict=True))
    return weights


def _layer_norms(layer: Any, spec: ModelSpec, gemma: bool) -> dict[str, Any]:
    sandwich = "before-mlp" in spec.norms and "after-mlp" in spec.norms
    before_mlp = "pre_feedforward_layernorm" if sandwich else "post_attention_layernorm"
    modules = {
        "attention-norm": getattr(layer, "input_layernorm", None),
        "after-attention-norm": layer.post_attention_layernorm,
        "mlp-norm": getattr(layer, before_mlp, None),
        "after-mlp-norm": getattr(layer, "post_feedforward_layernorm", None),
        "query-norm": getattr(layer.self_attn, "q_norm", None),
        "key-norm": getattr(layer.self_attn, "k_norm", None),
    }
    return {name: _norm(module, gemma) for name, module in modules.items() if module is not None}
