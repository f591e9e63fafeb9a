"""Which weights a spec asks for, and where each goes in the packed model."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kernels.native.spec import ModelSpec

if TYPE_CHECKING:
    import torch

TENSORS = (
    "embedding", "final-norm", "head", "frequencies", "qkv", "out", "gate-up", "down", "qkv-bias", "out-bias",
    "gate-up-bias", "down-bias", "attention-norm", "after-attention-norm", "mlp-norm", "after-mlp-norm", "query-norm",
    "key-norm",
)  # fmt: skip


@dataclass(frozen=True)
class Weight:
    """One tensor of a model: its name here, its layer (0 for those outside layers), float32, bfloat16 or float16.

    Norm weights are what the normed row is multiplied with: 1 + w where a family keeps w.
    """

    name: str
    layer: int
    tensor: torch.Tensor


@dataclass(frozen=True)
class Place:
    """Where a weight goes: the packed tensor, its first 16-row panel, the step between panels, and its shape."""

    tensor: int
    first: int
    step: int
    shape: tuple[int, ...]


def places(spec: ModelSpec) -> dict[str, Place]:
    """Every per-layer weight the spec asks for, by name."""
    query, key = spec.heads * spec.head_dim, spec.key_value_heads * spec.head_dim
    found = {
        "out": _place("out", (spec.hidden, query)),
        "down": _place("down", (spec.hidden, spec.inner)),
        **_parts("qkv", query, key, spec.hidden),
        **_halves("gate-up", spec.inner, spec.hidden),
    }
    if "query-key-value" in spec.biases:
        found |= {f"{name}-bias": place for name, place in _parts("qkv-bias", query, key, None).items()}
    if "gate-up" in spec.biases:
        found |= {f"{name}-bias": place for name, place in _halves("gate-up-bias", spec.inner, None).items()}
    for name, kind in (("out-bias", "out"), ("down-bias", "down")):
        if kind in spec.biases:
            found[name] = _place(name, (spec.hidden,))
    names = ("attention-norm", "after-attention-norm", "mlp-norm", "after-mlp-norm")
    kinds = ("before-attention", "after-attention", "before-mlp", "after-mlp")
    for name, kind in zip(names, kinds, strict=True):
        if kind in spec.norms:
            found[name] = _place(name, (spec.hidden,))
    if spec.qk_norm != "none":
        whole = spec.qk_norm == "row"
        found["query-norm"] = _place("query-norm", (query if whole else spec.head_dim,))
        found["key-norm"] = _place("key-norm", (key if whole else spec.head_dim,))
    return found


def outer_places(spec: ModelSpec) -> dict[str, Place]:
    """The weights outside layers. The head is always given, also where it is the embedding's own matrix."""
    return {
        "embedding": _place("embedding", (spec.vocabulary, spec.hidden)),
        "final-norm": _place("final-norm", (spec.hidden,)),
        "head": _place("head", (spec.vocabulary, spec.hidden)),
    }


def wanted(spec: ModelSpec) -> Iterator[tuple[str, int]]:
    """Name and layer of every weight a model of this spec is made of."""
    yield from ((name, 0) for name in outer_places(spec))
    for layer in range(len(spec.layers)):
        yield from ((name, layer) for name in places(spec))


def _place(name: str, shape: tuple[int, ...], first: int = 0, step: int = 1) -> Place:
    return Place(TENSORS.index(name), first, step, shape)


def _parts(name: str, query: int, key: int, columns: int | None) -> dict[str, Place]:
    shape = () if columns is None else (columns,)
    return {
        "query": _place(name, (query, *shape)),
        "key": _place(name, (key, *shape), query // 16),
        "value": _place(name, (key, *shape), (query + key) // 16),
    }


def _halves(name: str, inner: int, columns: int | None) -> dict[str, Place]:
    shape = () if columns is None else (columns,)
    return {"gate": _place(name, (inner, *shape), 0, 2), "up": _place(name, (inner, *shape), 1, 2)}
