"""Why a model cannot run here, as far as its class and config say so.

What they do not say, the probe and the self-check find out. Runs nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from playground.config import PlaygroundError

_LAYER_TYPES = frozenset({"full_attention", "sliding_attention"})
_MOVING_ROPE = frozenset({"dynamic", "longrope"})


def refuse_by_flags(model: Any) -> None:
    """Refuse a model whose state cannot be rolled back, or whose attention does not go by position alone.

    Raises:
        PlaygroundError: the family and the reason.
    """
    config = model.config.get_text_config()
    reason = next(_reasons(model, config), None)
    if reason is not None:
        raise PlaygroundError(
            f"{type(model).__name__} (family {config.model_type!r}) cannot verify a tree of drafts: {reason}. "
            "Choose a decoder-only model with plain attention, such as Llama, Qwen, Gemma or SmolLM."
        )


def _reasons(model: Any, config: Any) -> Iterator[str]:
    if getattr(model, "_is_stateful", False):
        yield "it keeps a recurrent state, which cannot be rolled back to the accepted tokens"
    if getattr(config, "is_encoder_decoder", False) or getattr(config, "add_cross_attention", False):
        yield "it attends to an encoder"
    if model.get_output_embeddings() is None:
        yield "it has no output head over a vocabulary"
    if not getattr(model, "_supports_attention_backend", False):
        yield "its attention cannot be replaced through transformers' attention interface"
    odd = sorted({str(kind) for kind in getattr(config, "layer_types", None) or ()} - _LAYER_TYPES)
    if odd:
        yield f"its layers of type {', '.join(odd)} are neither full nor sliding-window attention"
    if getattr(config, "num_kv_shared_layers", 0):
        yield "some of its layers share their keys and values"
    if getattr(config, "use_bidirectional_attention", False) or getattr(config, "is_causal", True) is False:
        yield "its attention also looks ahead"
    moving = sorted(_rope_types(getattr(config, "rope_parameters", None)) & _MOVING_ROPE)
    if moving:
        yield f"its {', '.join(moving)} rotary embedding changes with the text's length, so cached keys go stale"


def _rope_types(parameters: Any) -> set[str]:
    """Rotary embedding types in a config: one, or one for each type of layer."""
    if not isinstance(parameters, Mapping):
        return set()
    own = {str(parameters["rope_type"])} if "rope_type" in parameters else set()
    return own.union(*(_rope_types(value) for value in parameters.values()))
