"""What a model's forward does, in numbers: frozen, validated when built, with no name of a family in it."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from typing import Any, Literal

from kernels.native import abi
from kernels.native.errors import NativeError

Format = Literal["int8", "float32", "bfloat16"]
FORMATS: tuple[Format, ...] = ("int8", "float32", "bfloat16")
KEY_VALUE_DTYPES = ("float32", "bfloat16", "int8")
ACTIVATIONS = ("silu", "gelu-tanh")
QK_NORMS = ("none", "head", "row")
NORM_PLACES = ("before-attention", "after-attention", "before-mlp", "after-mlp")
BIASES = ("query-key-value", "out", "gate-up", "down")


@dataclass(frozen=True)
class LayerSpec:
    """`window`: how many positions a query sees, itself among them (None: all). `rotary`: which table (None: none)."""

    window: int | None = None
    rotary: int | None = 0


@dataclass(frozen=True)
class Rotary:
    """Inverse frequencies [rotary_dims / 2] in float32, and what cosine and sine are multiplied with."""

    frequencies: tuple[float, ...]
    scale: float = 1.0


@dataclass(frozen=True)
class ModelSpec:
    """A decoder's shapes and rules. Sub-block: x + residual_scale * after(f(before(x))), norms as in `norms`.

    `format` is how weights are kept; `key_value_dtype` how cached keys and values are. Attention's scores are
    attention_scale * q.k, then attention_softcap * tanh(score / attention_softcap) where that is above 0; logits
    likewise with logit_scale and logit_softcap.
    """

    format: Format
    hidden: int
    inner: int
    heads: int
    key_value_heads: int
    head_dim: int
    vocabulary: int
    layers: tuple[LayerSpec, ...]
    rotaries: tuple[Rotary, ...]
    attention_scale: float
    norm_eps: float
    key_value_dtype: str = "float32"
    activation: str = "silu"
    qk_norm: str = "none"
    norms: frozenset[str] = frozenset({"before-attention", "before-mlp"})
    biases: frozenset[str] = frozenset()
    attention_softcap: float = 0.0
    logit_scale: float = 1.0
    logit_softcap: float = 0.0
    embedding_scale: float = 1.0
    residual_scale: float = 1.0

    def __post_init__(self) -> None:
        choices: tuple[tuple[str, tuple[str, ...], str], ...] = (
            (self.format, FORMATS, "number format"),
            (self.key_value_dtype, KEY_VALUE_DTYPES, "dtype of keys and values"),
            (self.activation, ACTIVATIONS, "activation"),
            (self.qk_norm, QK_NORMS, "norm of queries and keys"),
        )
        for value, allowed, what in choices:
            if value not in allowed:
                raise NativeError("spec", f"The {what} is {value!r}, but must be one of: {', '.join(allowed)}.")
        for given, known, what in ((self.norms, NORM_PLACES, "norms"), (self.biases, BIASES, "biases")):
            if given - set(known):
                raise NativeError("spec", f"The {what} are {sorted(given)}, but may only be: {', '.join(known)}.")
        self._check_shapes()

    def _check_shapes(self) -> None:
        for what, value in (("hidden size", self.hidden), ("inner size of the MLP", self.inner),
                            ("width of all heads", self.heads * self.head_dim)):  # fmt: skip
            if value < 32 or value % 32:
                raise NativeError("spec", f"The {what} is {value}, but the native kernels need a multiple of 32.")
        if self.head_dim % 16 or not 16 <= self.head_dim <= 256:
            raise NativeError("spec", f"The head dim is {self.head_dim}, but must be a multiple of 16 from 16 to 256.")
        if self.key_value_dtype == "int8" and self.head_dim % 32:
            raise NativeError("spec", f"The head dim is {self.head_dim}; int8 keys and values need a multiple of 32.")
        if not self.layers or len(self.rotaries) > abi.MAX_ROTARIES:
            raise NativeError("spec", f"There are {len(self.layers)} layers and {len(self.rotaries)} rotary tables.")
        if len({layer.window for layer in self.layers}) > 8:
            raise NativeError("spec", "The layers have more than 8 different windows; run the model eagerly.")
        if len({len(rotary.frequencies) for rotary in self.rotaries}) > 1:
            raise NativeError("spec", "The rotary tables turn different numbers of dims; run the model eagerly.")

    @property
    def rotary_dims(self) -> int:
        return 2 * len(self.rotaries[0].frequencies) if self.rotaries else 0

    def to_c(self) -> tuple[abi.CSpec, Any]:
        """The same for the library: its Spec and array of LayerSpec."""
        flags = sum(1 << i for i, name in enumerate(NORM_PLACES) if name in self.norms)
        flags += sum(16 << i for i, name in enumerate(BIASES) if name in self.biases)
        scales = (ctypes.c_float * abi.MAX_ROTARIES)(*(rotary.scale for rotary in self.rotaries))
        spec = abi.CSpec(
            format=FORMATS.index(self.format),
            key_value_dtype=KEY_VALUE_DTYPES.index(self.key_value_dtype),
            flags=flags,
            activation=ACTIVATIONS.index(self.activation),
            qk_norm=QK_NORMS.index(self.qk_norm),
            layers=len(self.layers),
            rotary_dims=self.rotary_dims,
            rotaries=len(self.rotaries),
            rotary_scale=scales,
            **{name: getattr(self, name) for name in _SAME_NAME},
        )
        layers = (abi.CLayerSpec * len(self.layers))(
            *(
                abi.CLayerSpec(window=layer.window or 0, rotary=-1 if layer.rotary is None else layer.rotary)
                for layer in self.layers
            )
        )
        return spec, layers


_SAME_NAME = (
    "hidden", "inner", "heads", "key_value_heads", "head_dim", "vocabulary", "norm_eps", "attention_scale",
    "attention_softcap", "logit_scale", "logit_softcap", "embedding_scale", "residual_scale",
)  # fmt: skip
