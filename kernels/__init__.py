"""The engine's own device operations: each a Triton kernel beside a PyTorch reference of the same signature.

Knows nothing of `playground`, models or decoding. Triton is imported only when a Triton set is asked for; the
choice between the two is explicit and is never changed behind the caller's back.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import torch

    from kernels.beam_topk import BeamTop
    from kernels.prefix_tree import TreeTensors
    from kernels.walk import Walk

KernelsChoice = Literal["auto", "triton", "reference"]


@dataclass(frozen=True)
class KernelSet:
    """The operations from one source; `name` is what the trace says ran."""

    name: Literal["reference", "triton"]
    tree_attention: Callable[..., torch.Tensor]
    prefix_tree: Callable[..., TreeTensors]
    beam_topk: Callable[..., BeamTop]
    pick: Callable[..., torch.Tensor]
    kv_commit: Callable[..., None]
    walk: Callable[..., Walk]


def interpreting() -> bool:
    """Whether Triton runs its kernels in its interpreter, on CPU tensors."""
    return os.environ.get("TRITON_INTERPRET", "0") == "1"


def _require_triton(device: torch.device) -> None:
    if device.type != "cuda" and not interpreting():
        raise ValueError(
            f"Triton kernels need a CUDA device, but the device is {device.type!r}. "
            f"Choose the reference kernels, or set TRITON_INTERPRET=1 to run Triton's (slow) interpreter."
        )
    try:
        import triton  # noqa: F401
    except ImportError as error:
        raise ValueError(
            "Triton kernels were asked for, but triton is not installed. Install triton (Linux only), "
            "or choose the reference kernels."
        ) from error


def kernel_set(name: KernelsChoice, device: torch.device) -> KernelSet:
    """The operations of one source; `auto` is Triton on CUDA and the reference elsewhere.

    Raises:
        ValueError: an unknown name, or Triton where it cannot run.
    """
    from kernels import beam_topk, kv_commit, pick, prefix_tree, tree_attention, walk

    sources: dict[str, dict[str, Any]] = {
        source: {
            "tree_attention": getattr(tree_attention, f"tree_attention_{source}"),
            "prefix_tree": getattr(prefix_tree, f"prefix_tree_{source}"),
            "beam_topk": getattr(beam_topk, f"beam_topk_{source}"),
            "pick": getattr(pick, f"pick_{source}"),
            "kv_commit": getattr(kv_commit, f"kv_commit_{source}"),
            "walk": getattr(walk, f"walk_{source}"),
        }
        for source in ("reference", "triton")
    }
    if name == "auto":
        name = "triton" if device.type == "cuda" else "reference"
    if name not in sources:
        raise ValueError(f"Kernels are {name!r}, but must be one of: auto, triton, reference.")
    if name == "triton":
        _require_triton(device)
    return KernelSet(name=name, **sources[name])
