"""Memory: how much is free, and running out of it said in a sentence.

Knows the three ways torch reports it, and nothing of models.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from playground.config import PlaygroundError


def is_out_of_memory(error: BaseException | None) -> bool:
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    text = str(error)
    return isinstance(error, RuntimeError) and ("can't allocate memory" in text or "out of memory" in text.lower())


def readable_bytes(count: float) -> str:
    """1536 -> '1.5 KiB'."""
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if count < 1024 or unit == "GiB":
            return f"{count:.0f} {unit}" if unit == "bytes" else f"{count:.1f} {unit}"
        count /= 1024
    raise AssertionError("unreachable")


@contextmanager
def explain_out_of_memory(what: str, needed: int | None, remedy: str) -> Iterator[None]:
    """Turn an allocation failure inside the block into a PlaygroundError that names `what` and the `remedy`."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        size = f" ({readable_bytes(needed)})" if needed else ""
        raise PlaygroundError(f"There is no room in memory for {what}{size}. {remedy}.") from error


def free_bytes(device: torch.device) -> int:
    """Bytes that a run on `device` can still have."""
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        cached = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return int(free + cached)
    import psutil

    return int(psutil.virtual_memory().available)
