"""The base model's own output head, restricted to chosen vocabulary rows.

Knows where families keep logit scales and soft caps; whether that reading is right is checked at load, against the
stock logits. Does not know who wants the rows.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch

from playground.base_model.packed import linear_of


@dataclass(frozen=True)
class OutputHead:
    """softcap * tanh(scale * (weight @ hidden + bias) / softcap), or without the soft cap where there is none."""

    weight: torch.Tensor  # [V', H]
    bias: torch.Tensor | None  # [V']
    scale: float
    softcap: float | None

    def __call__(self, hidden: torch.Tensor) -> torch.Tensor:
        """Logits [..., V'] of hidden states [..., H], as they enter the base model's head."""
        return self._finished(self._product(hidden))

    def of_tokens(self, hidden: torch.Tensor, ids: torch.Tensor) -> torch.Tensor:
        """Logits [B] of one token each, `ids` [B], of hidden states [B, H]; summed in float32 at least."""
        wide = torch.promote_types(hidden.dtype, torch.float32)
        some = select_rows(self, ids).to(hidden.device)
        logits = (hidden.to(wide) * some.weight.to(wide)).sum(-1)
        return self._finished(logits if some.bias is None else logits + some.bias)

    def _finished(self, logits: torch.Tensor) -> torch.Tensor:
        if self.scale != 1.0:
            logits = logits * self.scale
        if self.softcap is not None:
            logits = torch.tanh(logits / self.softcap) * self.softcap
        return logits

    def to(self, device: torch.device) -> OutputHead:
        """This head on a device; itself where it stands there."""
        if self.weight.device == device:
            return self
        bias = None if self.bias is None else self.bias.to(device)
        return OutputHead(self.weight.to(device), bias, self.scale, self.softcap)

    @cached_property
    def _product(self) -> Callable[[torch.Tensor], torch.Tensor]:
        return linear_of(self.weight, self.bias)


def read_output_head(config: Any, head: torch.nn.Module) -> OutputHead:
    """The whole head of a causal language model; weights are shared with the model, not copied."""
    scale = 1.0
    if (multiplier := getattr(config, "logit_scale", None)) is not None:
        scale *= float(multiplier)
    if (divisor := getattr(config, "logits_scaling", None)) is not None:
        scale /= float(divisor)
    softcap = getattr(config, "final_logit_softcapping", None)
    weight = head.weight
    assert isinstance(weight, torch.Tensor)
    return OutputHead(weight.detach(), _detached(getattr(head, "bias", None)), scale, softcap)


def select_rows(head: OutputHead, ids: torch.Tensor) -> OutputHead:
    """The rows `ids` [V'] of a head, copied together."""
    ids = ids.to(head.weight.device)
    bias = None if head.bias is None else head.bias.index_select(0, ids)
    return OutputHead(head.weight.index_select(0, ids), bias, head.scale, head.softcap)


def _detached(tensor: torch.Tensor | None) -> torch.Tensor | None:
    return None if tensor is None else tensor.detach()
