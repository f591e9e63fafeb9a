"""The one copy to the host a step makes: named parts of a device buffer, read together after one wait.

Knows names and shapes; nothing of what the parts mean.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch


class Message:
    """Parts of one dtype, packed on the device by `send` and read on the host after the stream has been waited for."""

    def __init__(self, shapes: Mapping[str, tuple[int, ...]], dtype: torch.dtype, device: torch.device) -> None:
        self._shapes = dict(shapes)
        size = sum(math.prod(shape) for shape in self._shapes.values())
        pinned = device.type == "cuda"
        self._device_side = torch.zeros(size, dtype=dtype, device=device)
        self._host_side = torch.zeros(size, dtype=dtype, pin_memory=pinned)
        self.parts: dict[str, torch.Tensor] = {}  # views of the host side
        start = 0
        for name, shape in self._shapes.items():
            end = start + math.prod(shape)
            self.parts[name] = self._host_side[start:end].view(shape)
            start = end

    def send(self, parts: Mapping[str, torch.Tensor]) -> None:
        """Start the copy; part of a captured stage."""
        flat = [parts[name].reshape(-1).to(self._device_side.dtype) for name in self._shapes]
        torch.cat(flat, out=self._device_side)
        self._host_side.copy_(self._device_side, non_blocking=True)
