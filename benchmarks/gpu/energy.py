"""Joules from NVML's total energy counter; knows nothing of what runs meanwhile."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch


@dataclass
class Reading:
    """What was spent between entering and leaving `EnergyMeter.reading`."""

    joules: float = 0.0
    seconds: float = 0.0


class EnergyMeter:
    """The counter of the current CUDA device; it counts millijoules since the driver was loaded (Volta and later)."""

    def __init__(self, nvml: Any, handle: Any) -> None:
        self._nvml, self._handle = nvml, handle

    @classmethod
    def open(cls) -> EnergyMeter | None:
        """The meter, or None without CUDA, nvidia-ml-py or such a counter."""
        if not torch.cuda.is_available():
            return None
        try:
            import pynvml
        except ImportError:
            return None
        try:
            pynvml.nvmlInit()
            identity = torch.cuda.get_device_properties(torch.cuda.current_device()).uuid
            handle = pynvml.nvmlDeviceGetHandleByUUID(f"GPU-{identity}".encode())
            pynvml.nvmlDeviceGetTotalEnergyConsumption(handle)
        except pynvml.NVMLError:
            return None
        return cls(pynvml, handle)

    @contextmanager
    def reading(self) -> Iterator[Reading]:
        """Joules and seconds of the block, the device drained before and after."""
        found = Reading()
        torch.cuda.synchronize()
        before, start = self._nvml.nvmlDeviceGetTotalEnergyConsumption(self._handle), time.perf_counter()
        yield found
        torch.cuda.synchronize()
        found.seconds = time.perf_counter() - start
        found.joules = (self._nvml.nvmlDeviceGetTotalEnergyConsumption(self._handle) - before) * 1e-3
