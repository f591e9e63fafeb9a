"""How long each stage of a slice took on the lane's device.

On CPU the host's clock; on CUDA and MPS events in the stream, resolved once at the end of the slice, which drains the
device: no stage waits for its timer. Knows nothing of what the stages do.
"""

from __future__ import annotations

import time
from typing import Any

import torch


class SliceClock:
    """Times one slice of a lane: `begin`, a `mark` after each stage, `resolve` at the end."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._names: list[str] = []
        self._moments: list[Any] = []  # seconds, or events

    def begin(self) -> None:
        self._names, self._moments = [], [self._moment()]

    def mark(self, stage: str) -> None:
        """End `stage`, which began at the last mark."""
        self._names.append(stage)
        self._moments.append(self._moment())

    def resolve(self) -> dict[str, float]:
        """Milliseconds of each stage; waits for the device to finish the last."""
        if self._device.type in ("cuda", "mps"):
            self._moments[-1].synchronize()
        pairs = zip(self._moments, self._moments[1:], strict=False)
        return {name: self._elapsed(*pair) for name, pair in zip(self._names, pairs, strict=True)}

    def _moment(self) -> Any:
        if self._device.type not in ("cuda", "mps"):
            return time.perf_counter()
        with_timing = torch.cuda.Event if self._device.type == "cuda" else torch.mps.Event
        event = with_timing(enable_timing=True)
        event.record()
        return event

    def _elapsed(self, start: Any, end: Any) -> float:
        if self._device.type not in ("cuda", "mps"):
            return float(end - start) * 1e3
        return float(start.elapsed_time(end))
