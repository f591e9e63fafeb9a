"""The engine's own device operations: each a Triton kernel beside a PyTorch reference of the same signature.

Knows nothing of `playground`, models or decoding. Triton is imported only when a Triton set is asked for; the
choice between the two is explicit and is never changed behind the caller's back.
"""

from __future__ import annotations

from functools import partial

import torch

from kernels.interpreter import interpreting
from kernels.types import KernelsChoice, KernelSet, PickRule

__all__ = ["KernelSet", "KernelsChoice", "PickRule", "interpreting", "kernel_set"]


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


def _reference() -> KernelSet:
    from kernels.best.reference import best_reference
    from kernels.candidate_tree.reference import candidate_tree_reference
    from kernels.children.reference import children_reference
    from kernels.gated.reference import gated_reference
    from kernels.kv_commit.reference import kv_commit_reference
    from kernels.pick.reference import pick_reference
    from kernels.prefix_tree.reference import prefix_tree_reference
    from kernels.rms_norm.reference import rms_norm_reference
    from kernels.rotary_store.reference import rotary_store_reference
    from kernels.row_linear.reference import row_linear_reference
    from kernels.tree_attention.reference import tree_attention_reference
    from kernels.walk.reference import walk_reference

    return KernelSet(
        name="reference",
        tree_attention=tree_attention_reference,
        prefix_tree=prefix_tree_reference,
        candidate_tree=candidate_tree_reference,
        children=children_reference,
        best=best_reference,
        pick=pick_reference,
        kv_commit=kv_commit_reference,
        walk=walk_reference,
        rms_norm=rms_norm_reference,
        gated=gated_reference,
        rotary_store=rotary_store_reference,
        linear=row_linear_reference,
    )


def _triton(exact: bool) -> KernelSet:
    import triton

    from kernels.best.triton import best_triton
    from kernels.candidate_tree.triton import candidate_tree_triton
    from kernels.children.triton import children_triton
    from kernels.gated.triton import gated_triton
    from kernels.kv_commit.triton import kv_commit_triton
    from kernels.pick.triton import pick_triton
    from kernels.prefix_tree.triton import prefix_tree_triton
    from kernels.rms_norm.triton import rms_norm_triton
    from kernels.rotary_store.triton import rotary_store_triton
    from kernels.row_linear.reference import row_linear_reference
    from kernels.row_linear.triton import row_linear_triton
    from kernels.tree_attention.triton import tree_attention_triton
    from kernels.walk.triton import walk_triton

    return KernelSet(
        name="triton",
        tree_attention=partial(tree_attention_triton, exact=exact),
        prefix_tree=prefix_tree_triton,
        candidate_tree=candidate_tree_triton,
        children=children_triton,
        best=best_triton,
        pick=pick_triton,
        kv_commit=kv_commit_triton,
        walk=walk_triton,
        rms_norm=rms_norm_triton,
        gated=gated_triton,
        rotary_store=rotary_store_triton,
        linear=row_linear_triton if exact else row_linear_reference,  # the vendor's is the faster one
        exact=exact,
        fuses=True,
        reads_device=False,
        first_gpu_only=True,
        dtypes=(torch.float32, torch.bfloat16, torch.float16),
        versions={"triton": triton.__version__},
    )
