"""The engine's own device operations: each a Triton kernel beside a PyTorch reference of the same signature.

Knows nothing of `playground`, models or decoding. Triton is imported only when a Triton set is asked for; the
choice between the two is explicit and is never changed behind the caller's back.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import torch

    from kernels.beam_topk import BeamTop
    from kernels.prefix_tree import TreeTensors
    from kernels.walk import Walk

KernelsChoice = Literal["auto", "triton", "reference"]


@dataclass(frozen=True)
class KernelSet:
    """The operations from one source; `name` is what the trace says ran.

    With `exact`, a row's result in `tree_attention` and `linear` does not depend on the other rows.
    """

    name: Literal["reference", "triton"]
    tree_attention: Callable[..., torch.Tensor]
    prefix_tree: Callable[..., TreeTensors]
    beam_topk: Callable[..., BeamTop]
    pick: Callable[..., torch.Tensor]
    kv_commit: Callable[..., None]
    walk: Callable[..., Walk]
    rms_norm: Callable[..., torch.Tensor]
    gated: Callable[..., torch.Tensor]
    rotary_store: Callable[..., torch.Tensor]
    linear: Callable[..., torch.Tensor]
    exact: bool = False


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


def kernel_set(name: KernelsChoice, device: torch.device, *, exact: bool = False) -> KernelSet:
    """The operations of one source; `auto` is Triton on CUDA and the reference elsewhere.

    Raises:
        ValueError: an unknown name, Triton where it cannot run, or `exact` without Triton.
    """
    if name == "auto":
        name = "triton" if device.type == "cuda" else "reference"
    if name == "triton":
        _require_triton(device)
        return _triton(exact)
    if name != "reference":
        raise ValueError(f"Kernels are {name!r}, but must be one of: auto, triton, reference.")
    if exact:
        raise ValueError("Exact mode needs the Triton kernels, but the reference was chosen. Choose kernels triton.")
    return _reference()


def _reference() -> KernelSet:
    from kernels.beam_topk import beam_topk_reference
    from kernels.gated import gated_reference
    from kernels.kv_commit import kv_commit_reference
    from kernels.pick import pick_reference
    from kernels.prefix_tree import prefix_tree_reference
    from kernels.rms_norm import rms_norm_reference
    from kernels.rotary_store import rotary_store_reference
    from kernels.row_linear import row_linear_reference
    from kernels.tree_attention import tree_attention_reference
    from kernels.walk import walk_reference

    return KernelSet(
        name="reference",
        tree_attention=tree_attention_reference,
        prefix_tree=prefix_tree_reference,
        beam_topk=beam_topk_reference,
        pick=pick_reference,
        kv_commit=kv_commit_reference,
        walk=walk_reference,
        rms_norm=rms_norm_reference,
        gated=gated_reference,
        rotary_store=rotary_store_reference,
        linear=row_linear_reference,
    )


def _triton(exact: bool) -> KernelSet:
    from kernels.beam_topk import beam_topk_triton
    from kernels.gated import gated_triton
    from kernels.kv_commit import kv_commit_triton
    from kernels.pick import pick_triton
    from kernels.prefix_tree import prefix_tree_triton
    from kernels.rms_norm import rms_norm_triton
    from kernels.rotary_store import rotary_store_triton
    from kernels.row_linear import row_linear_reference, row_linear_triton
    from kernels.tree_attention import tree_attention_triton
    from kernels.walk import walk_triton

    return KernelSet(
        name="triton",
        tree_attention=partial(tree_attention_triton, exact=exact),
        prefix_tree=prefix_tree_triton,
        beam_topk=beam_topk_triton,
        pick=pick_triton,
        kv_commit=kv_commit_triton,
        walk=walk_triton,
        rms_norm=rms_norm_triton,
        gated=gated_triton,
        rotary_store=rotary_store_triton,
        linear=row_linear_triton if exact else row_linear_reference,  # the vendor's is the faster one
        exact=exact,
    )
