"""A base model on the native CPU library: packed weights, caches and forwards, and nothing of PyTorch in a step.

Knows what the packed model is and how it came to be (`NativeFacts`); neither where it is kept nor who decodes with it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from kernels.native import ModelSpec, NativeCache, NativeModel, Segment
from kernels.native.spec import Format
from playground.config import PlaygroundError
from playground.trace import ModelInfo

_ELEMENT = {"float32": 4, "bfloat16": 2, "int8": 1}
_ROW_FLOATS = 16  # activations of a row a forward keeps at once, in hidden sizes


@dataclass(frozen=True)
class Likelihood:
    """Mean negative log-likelihood of the bundled text's tokens: in this format, and with float32 arithmetic."""

    nats: float
    exact: float

    @property
    def change(self) -> float:
        """Share by which the log-likelihood is better (above 0) or worse than float32's."""
        return (self.exact - self.nats) / self.exact


@dataclass(frozen=True)
class NativeFacts:
    """What is known of a packed model besides its weights."""

    spec: ModelSpec
    info: ModelInfo
    eos_ids: tuple[int, ...]
    likelihood: Likelihood | None  # None: the format is float32 itself, or nobody measured


class NativeBase:
    """A base model ready to verify trees."""

    device = torch.device("cpu")
    devices = (device,)
    put_aside = ""

    def __init__(self, model: NativeModel, facts: NativeFacts) -> None:
        self.model, self.facts = model, facts
        self.name, self.window = facts.info.name, facts.info.window
        self.eos_ids = frozenset(facts.eos_ids)
        self.eos = np.array(sorted(facts.eos_ids), np.int32)
        self.vocab_size, self.hidden_size = facts.spec.vocabulary, facts.spec.hidden
        self.taps: tuple[int, ...] = ()

    def info(self) -> ModelInfo:
        """The model as traces and cards name it."""
        return self.facts.info

    @property
    def format(self) -> Format:
        return self.facts.spec.format

    @property
    def kernels(self) -> str:
        """Whose operations run: the library and its instruction set."""
        return f"native {self.model.library.isa.name}"

    @property
    def notes(self) -> tuple[str, ...]:
        """How its numbers differ from float32's, as a sentence."""
        if self.facts.likelihood is None:
            return ()
        change = f"{100 * self.facts.likelihood.change:+.2f}%"
        return (f"Weights are {self.format}: log-likelihood of a bundled text {change} against float32.",)

    def set_taps(self, layers: tuple[int, ...]) -> None:
        """Append the residual stream after these decoder layers (1-based, rising) to every hidden state."""
        last = len(self.facts.spec.layers)
        for layer in layers:
            if not 1 <= layer <= last:
                raise PlaygroundError(
                    f"The drafter wants the state after layer {layer}, but {self.name} has {last} layers. "
                    "Choose a drafter trained for this base model."
                )
        if list(layers) != sorted(set(layers)):
            raise PlaygroundError(
                f"The drafter names layers {list(layers)}, but the native engine reads them in rising order. "
                "Use --engine eager."
            )
        self.taps = layers

    def filled_cache(self, context: int, room: int) -> NativeCache:
        """`context` committed tokens of no meaning and room for `room` more: what measurements begin from."""
        cache, places = self.model.new_cache(context + room), np.arange(context, dtype=np.int32)
        self.model.forward([Segment.chain(cache, 0, places % self.vocab_size)])
        cache.commit(0, places)
        return cache

    def slot_bytes(self, _device: torch.device) -> int:
        """Bytes of one cached token, all layers."""
        spec = self.facts.spec
        return 2 * len(spec.layers) * spec.key_value_heads * spec.head_dim * _ELEMENT[spec.key_value_dtype]

    def node_bytes(self, _device: torch.device) -> int:
        """Bytes of one tree node in a forward, beyond its cache row: logits and activations."""
        return 4 * (self.vocab_size + _ROW_FLOATS * self.hidden_size)
