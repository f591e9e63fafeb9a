"""A model's modules for a moment in float32, one module's weights at a time: what half precision rounds away shows.

Knows no family. Weights that accelerate keeps elsewhere stay as they are.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch


def can_widen(model: torch.nn.Module) -> bool:
    """Whether `in_float32` would make a difference, and may: half precision, all weights where they are used."""
    hooked = any(hasattr(module, "_hf_hook") for module in model.modules())
    return not hooked and any(parameter.dtype.itemsize == 2 for parameter in model.parameters())


@contextmanager
def in_float32(model: torch.nn.Module) -> Iterator[None]:
    """Every module that runs inside the block computes in float32, with the same weights.

    A module's half-precision parameters are widened when it starts and put back when it ends, so that memory holds one
    module twice at most, not the model.
    """
    kept: dict[torch.nn.Module, dict[str, torch.Tensor]] = {}

    def widen(module: torch.nn.Module, arguments: tuple[Any, ...], named: dict[str, Any]) -> Any:
        own = {n: p.data for n, p in module.named_parameters(recurse=False) if p.dtype.itemsize == 2}
        kept[module] = own
        for name, data in own.items():
            getattr(module, name).data = data.float()
        return tuple(map(_wide, arguments)), {name: _wide(value) for name, value in named.items()}

    def restore(module: torch.nn.Module, _arguments: Any, _output: Any) -> None:
        for name, data in kept.pop(module, {}).items():
            getattr(module, name).data = data

    with_weights = [module for module in model.modules() if any(True for _ in module.parameters(recurse=False))]
    hooks = [module.register_forward_pre_hook(widen, with_kwargs=True) for module in with_weights]
    hooks += [module.register_forward_hook(restore, always_call=True) for module in with_weights]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
        for module in list(kept):
            restore(module, None, None)


def _wide(value: Any) -> Any:
    half = isinstance(value, torch.Tensor) and value.is_floating_point() and value.dtype.itemsize == 2
    return value.float() if half else value
