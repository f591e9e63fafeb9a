"""The one copy to the host that a slice makes: named tensors packed on the device, read together after one wait.

Knows names, shapes and dtypes; nothing of what the tensors mean.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch


class HostCopy:
    """`send` may be part of a captured stage once it has run; `read` only after the stream has been waited for."""

    def __init__(self) -> None:
        self._names: dict[torch.dtype, list[str]] = {}
        self._shapes: dict[str, torch.Size] = {}
        self._buffers: dict[torch.dtype, tuple[torch.Tensor, torch.Tensor]] = {}  # on the device, on the host

    def send(self, parts: Mapping[str, torch.Tensor]) -> None:
        """Start the copy of parts that are the same in name, shape and dtype every time."""
        if not self._shapes:
            self._allocate(parts)
        for dtype, names in self._names.items():
            there, here = self._buffers[dtype]
            torch.cat([parts[name].reshape(-1) for name in names], out=there)
            here.copy_(there, non_blocking=True)

    def read(self) -> dict[str, torch.Tensor]:
        """The parts on the host, valid until the next `send`."""
        found = {}
        for dtype, names in self._names.items():
            pieces = torch.split(self._buffers[dtype][1], [self._shapes[name].numel() for name in names])
            found.update({name: piece.view(self._shapes[name]) for name, piece in zip(names, pieces, strict=True)})
        return found

    def _allocate(self, parts: Mapping[str, torch.Tensor]) -> None:
        for name, part in parts.items():
            self._names.setdefault(part.dtype, []).append(name)
            self._shapes[name] = part.shape
        for dtype, names in self._names.items():
            size = sum(self._shapes[name].numel() for name in names)
            there = torch.zeros(size, dtype=dtype, device=parts[names[0]].device)
            self._buffers[dtype] = there, torch.zeros(size, dtype=dtype, pin_memory=there.is_cuda)
