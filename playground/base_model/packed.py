"""Linear layers on a CPU, their weights laid out once as oneDNN's bfloat16 kernels read them.

PyTorch hands oneDNN a plain matrix, which is laid out anew at every call: for the few rows of a decoding step that
takes as long as the product itself. The numbers stay the same. Knows modules and weights; nothing of models and trees.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.nn.functional as F

_ROWS = 16  # a decoding step's, about; the layout oneDNN chooses for it serves any number of rows


def packable(weight: torch.Tensor) -> bool:
    """Whether packing this weight [out, in] pays: bfloat16 on a CPU whose oneDNN multiplies bfloat16."""
    return (
        weight.device.type == "cpu"
        and weight.dtype == torch.bfloat16
        and weight.dim() == 2
        and torch.backends.mkldnn.is_available()
        and bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
    )


class PackedLinear:
    """x W^T + b with W laid out for oneDNN: `x` [..., in] bfloat16 -> [..., out]."""

    def __init__(self, weight: torch.Tensor, bias: torch.Tensor | None) -> None:
        with torch.inference_mode():
            self._packed = torch.ops.mkldnn._reorder_linear_weight(weight.detach().contiguous(), _ROWS)
        self._bias = None if bias is None else bias.detach()

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        product: torch.Tensor = torch.ops.mkldnn._linear_pointwise(x, self._packed, self._bias, "none", [], "")
        return product


def linear_of(weight: torch.Tensor, bias: torch.Tensor | None) -> Callable[[torch.Tensor], torch.Tensor]:
    """x W^T + b, packed where that pays and the input is what the packed product takes."""
    if not packable(weight):
        return lambda x: F.linear(x, weight, bias)
    packed = PackedLinear(weight, bias)

    def product(x: torch.Tensor) -> torch.Tensor:
        plain = x.dtype != torch.bfloat16 or (torch.is_grad_enabled() and x.requires_grad)
        return F.linear(x, weight, bias) if plain else packed(x)

    return product


@contextmanager
def linears_called(model: torch.nn.Module) -> Iterator[list[torch.nn.Linear]]:
    """Collects the linear modules that forwards inside the block go through; others' weights are read elsewhere."""
    called: list[torch.nn.Linear] = []

    def note(module: torch.nn.Module, _arguments: Any) -> None:
        if isinstance(module, torch.nn.Linear) and module not in called:
            called.append(module)

    hooks = [module.register_forward_pre_hook(note) for module in model.modules() if type(module) is torch.nn.Linear]
    try:
        yield called
    finally:
        for hook in hooks:
            hook.remove()


def pack(modules: list[torch.nn.Linear], keep: set[int], *, release: bool) -> int:
    """Replace the forward of `modules` where packing pays; how many were replaced.

    Args:
        keep: storage addresses of weights that others read too.
        release: give up the plain weights, except those to keep: a large model would not fit twice.
    """
    count = 0
    for module in modules:
        if not packable(module.weight) or hasattr(module, "_hf_hook"):  # accelerate moves that one's inputs
            continue
        module.forward = PackedLinear(module.weight, module.bias)  # type: ignore[method-assign,assignment]
        if release and module.weight.data_ptr() not in keep:
            empty = module.weight.new_empty(0)
            module.weight = torch.nn.Parameter(empty, requires_grad=False)
        count += 1
    return count
