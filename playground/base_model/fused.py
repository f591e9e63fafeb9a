"""Our kernels inside a stock model's own modules: norms, gated MLPs, rotary attention, and linear layers in exact mode.

Small models are bound by launches, and a stock Llama layer makes dozens. Nothing is forked: a module keeps its weights
and its place, only its `forward` is replaced, and only where a trial shows that ours computes the same. Does not know
trees or lanes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from kernels import KernelSet
    from kernels.types import Gate, NormStyle
    from playground.base_model.attention import TreeAttention

_ROTARY = ("LlamaAttention", "MistralAttention", "Qwen2Attention", "Qwen3Attention")


@dataclass(frozen=True)
class Fused:
    """How many modules run our kernels."""

    norms: int = 0
    gates: int = 0
    attentions: int = 0
    linears: int = 0


def fuse(model: Any, attention: TreeAttention, kernels: KernelSet) -> Fused:
    """Put the set's kernels into `model`; does nothing with a set that would only be slower."""
    weight = next(model.parameters())
    if not kernels.fuses or not kernels.takes(weight.dtype):
        return Fused()
    modules = [module for module in model.modules() if module is not model]
    with torch.inference_mode():
        linears = sum(_fuse_linear(module, kernels) for module in modules) if kernels.exact else 0
        return Fused(
            norms=sum(_fuse_norm(module, kernels) for module in modules),
            gates=sum(_fuse_gate(module, kernels) for module in modules),
            attentions=sum(_fuse_attention(module, attention, kernels) for module in modules),
            linears=linears,
        )


def _install(module: Any, forward: Callable[..., Any], trial: torch.Tensor | None) -> bool:
    """Replace the module's forward if `forward` gives what it gives on `trial`; whether it was replaced."""
    if trial is not None:
        want, got = module(trial).double(), forward(trial).double()
        tolerance = 0.05 if trial.dtype.itemsize == 2 else 1e-4
        if not bool(((want - got).abs() <= tolerance * (1.0 + want.abs())).all()):
            return False
    module.forward = forward
    return True


def _trial(module: Any, width: int) -> torch.Tensor:
    """Rows of several sizes, [3, width], the same on every machine."""
    weight = next(module.parameters())
    ramp = torch.linspace(-2.0, 3.0, 3 * width, device=weight.device).view(3, width)
    return (ramp.sin() * torch.tensor([[0.1], [1.0], [7.0]], device=weight.device)).to(weight.dtype)


def _fuse_norm(module: Any, kernels: KernelSet) -> bool:
    eps = getattr(module, "variance_epsilon", getattr(module, "eps", None))
    weight = getattr(module, "weight", None)
    if not type(module).__name__.endswith("RMSNorm") or not isinstance(eps, float) or weight is None:
        return False

    def normed(style: NormStyle, x: torch.Tensor) -> torch.Tensor:
        return kernels.rms_norm(x, module.weight, eps, style)

    trial = _trial(module, weight.shape[0])
    styles: tuple[NormStyle, ...] = ("llama", "gemma")
    return any(_install(module, partial(normed, style), trial) for style in styles)


def _fuse_gate(module: Any, kernels: KernelSet) -> bool:
    parts = [getattr(module, name, None) for name in ("gate_proj", "up_proj", "down_proj")]
    gate, up, down = parts
    if gate is None or up is None or down is None or not all(isinstance(part, torch.nn.Linear) for part in parts):
        return False

    def gated(kind: Gate, x: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = down(kernels.gated(gate(x), up(x), kind))
        return out

    trial = _trial(module, gate.in_features)
    kinds: tuple[Gate, ...] = ("silu", "gelu_tanh")
    return any(_install(module, partial(gated, kind), trial) for kind in kinds)


def _fuse_linear(module: Any, kernels: KernelSet) -> bool:
    if isinstance(module, torch.nn.Linear):
        return _install(module, lambda x: kernels.linear(x, module.weight, module.bias), None)
    if type(module).__name__ == "Conv1D":  # GPT-2 keeps [K, N]
        return _install(module, lambda x: kernels.linear(x, module.weight.T, module.bias), None)
    return False


def _fuse_attention(module: Any, attention: TreeAttention, kernels: KernelSet) -> bool:
    """Rotary embedding and cache write in one launch; the self-check at load compares it with the stock model."""
    if type(module).__name__ not in _ROTARY:
        return False
    stock, width = module.forward, module.head_dim
    query_norm, key_norm = getattr(module, "q_norm", None), getattr(module, "k_norm", None)

    def forward(hidden_states: torch.Tensor, position_embeddings: Any = None, *args: Any, **named: Any) -> Any:
        frame = attention.frame
        if frame is None:  # a stock forward, as training makes them
            return stock(hidden_states, position_embeddings, *args, **named)
        cos, sin = position_embeddings  # [1, N, D]
        rows = hidden_states[0]  # [N, H]
        query = module.q_proj(rows).unflatten(-1, (-1, width))  # [N, Hq, D]
        key = module.k_proj(rows).unflatten(-1, (-1, width))  # [N, Hkv, D]
        value = module.v_proj(rows).unflatten(-1, (-1, width))
        query = query if query_norm is None else query_norm(query)
        key = key if key_norm is None else key_norm(key)
        layer, cache = module.layer_idx, frame.cache
        turned = kernels.rotary_store(
            query, key, value, cos[0], sin[0], cache.keys[layer], cache.values[layer], cache.committed_at(layer)
        )
        out = attention.attend(turned, layer, scaling=module.scaling)  # [N, Hq, D]
        return module.o_proj(out.flatten(1))[None], None

    return _install(module, forward, None)
