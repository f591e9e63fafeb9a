"""Memory of a run: what it will take, what it took at most, and which beam shape would fit.

Knows devices and byte counts; nothing of decoding.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import torch

from playground.config import BeamShape, PlaygroundError
from playground.memory import readable_bytes


class SizedModel(Protocol):
    """A base model as one that knows what it takes."""

    device: torch.device

    @property
    def devices(self) -> tuple[torch.device, ...]: ...

    def slot_bytes(self, device: torch.device) -> int:
        """Bytes on `device` of one cached token, all layers."""
        ...

    def node_bytes(self, device: torch.device) -> int:
        """Bytes on `device` of one tree node in a forward, beyond its cache row."""
        ...


@dataclass(frozen=True)
class Footprint:
    """Bytes that a run of one base model takes on one device, beyond the weights."""

    slot: int  # one cached token, all layers on the device
    node: int  # one tree node in a forward, beyond its cache row
    place: str = ""  # the device's name, where there are several

    @classmethod
    def of(cls, base: SizedModel, device: torch.device | None = None) -> Footprint:
        """What a run takes on `device`, the base model's own if None: there logits and hidden states stand."""
        device = device or base.device
        place = str(device) if len(base.devices) > 1 else ""
        return cls(base.slot_bytes(device), base.node_bytes(device), place)

    def run(self, shape: BeamShape, tokens: int, lanes: int) -> int:
        """Bytes of a run: caches of `tokens` in `lanes` lanes and the largest tree of `shape`."""
        cached = (tokens + shape.max_nodes) + (lanes - 1) * tokens
        return cached * self.slot + shape.max_nodes * self.node

    def largest(self, shape: BeamShape, tokens: int, lanes: int, free: int) -> BeamShape | None:
        """The largest shape not above `shape` that fits into `free` bytes.

        With fewer nodes where there is a budget; else narrower, then shorter.
        """
        if shape.nodes is None:
            sizes = itertools.product(range(shape.length, 0, -1), range(shape.width, 0, -1))
            smaller = (replace(shape, width=width, length=length) for length, width in sizes)
        else:
            smaller = (replace(shape, nodes=nodes) for nodes in range(shape.max_nodes, 1, -1))
        return next((one for one in smaller if self.run(one, tokens, lanes) <= free), None)


def tightest(
    base: SizedModel, shape: BeamShape, tokens: int, lanes: int, free: Callable[[torch.device], int]
) -> tuple[Footprint, int]:
    """The footprint on the device that a run would leave least room on, and the bytes free there."""
    rooms = [(Footprint.of(base, device), free(device)) for device in base.devices]
    return min(rooms, key=lambda room: room[1] - room[0].run(shape, tokens, lanes))


def no_room(footprint: Footprint, shape: BeamShape, tokens: int, lanes: int, free: int) -> PlaygroundError:
    """The sentence for a run that does not fit into `free` bytes: what it needs, what there is, what would fit."""
    fits = footprint.largest(shape, tokens, lanes, free)
    if fits and fits.max_nodes == shape.max_nodes:  # too kind an estimate, or memory that another program took since
        fits = _half(shape)
    remedy = (
        f"{_named(fits, 'with').capitalize()} would fit"
        if fits
        else "No beam shape would fit: ask for fewer new tokens, a shorter prompt or a smaller base model"
    )
    return PlaygroundError(
        f"There is no room in memory for {_named(shape, 'and')} over {tokens} tokens: "
        f"that takes about {readable_bytes(footprint.run(shape, tokens, lanes))}, and {readable_bytes(free)} are "
        f"free{f' on {footprint.place}' if footprint.place else ''}. "
        f"{remedy}."
    )


def _half(shape: BeamShape) -> BeamShape | None:
    if shape.nodes is not None:
        return replace(shape, nodes=shape.max_nodes // 2) if shape.max_nodes > 3 else None
    return replace(shape, width=shape.width // 2) if shape.width > 1 else None


def _named(shape: BeamShape, joined: str) -> str:
    """What of a shape takes memory."""
    if shape.nodes is None:
        return f"beam width {shape.width} {joined} beam length {shape.length}"
    return f"a tree of {shape.max_nodes} nodes"


class PeakMemory:
    """The most memory a run took: of the allocators of all its CUDA devices, or of this process where it has none."""

    def __init__(self, devices: Sequence[torch.device]) -> None:
        self._cuda = [device for device in devices if device.type == "cuda"]

    def reset(self) -> None:
        """Start anew, where the system can forget an earlier peak."""
        for device in self._cuda:
            torch.cuda.reset_peak_memory_stats(device)
        if self._cuda:
            return
        with contextlib.suppress(OSError):
            Path("/proc/self/clear_refs").write_text("5")

    def bytes(self) -> int:
        if self._cuda:
            return sum(int(torch.cuda.max_memory_allocated(device)) for device in self._cuda)
        return _process_peak()


def _process_peak() -> int:
    """Largest resident size of this process so far."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    try:
        import resource
    except ImportError:  # Windows
        import psutil

        return int(psutil.Process().memory_info().peak_wset)
    import sys

    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
