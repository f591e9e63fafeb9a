"""A stage as something to replay: on CUDA a captured graph, elsewhere the function itself on the same static buffers.

Knows streams and graphs; nothing of what a stage does. A stage reads and writes tensors that outlive it, takes no
arguments and asks the device nothing.
"""

from __future__ import annotations

import gc
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from typing import Any

import torch

from playground.config import PlaygroundError
from playground.memory import is_out_of_memory

WARM_UPS = 2  # runs before a capture: libraries make their workspaces, Triton compiles


class Replay:
    """One stage. `prepare` it outside every clock: the warm-up runs it, so it must bear that, or have an `undo`."""

    def __init__(
        self,
        stage: Callable[[], None],
        device: torch.device,
        undo: Callable[[], Callable[[], None]] | None = None,
        pool: Any = None,
    ) -> None:
        """One stage.

        Args:
            undo: called before a warm-up, gives what puts the stage's state back after it.
            pool: of `memory_pool`; stages that are replayed one after another may share one, in any order, if what
                they leave to each other is held.
        """
        self._stage, self._device, self._undo, self._pool = stage, device, undo, pool
        self._graph: Any = None

    def prepare(self) -> None:
        """Warm up and capture; nothing where the stage is captured already, or never is.

        Raises:
            PlaygroundError: the stage asks the device something, so it cannot be captured.
        """
        if self._device.type != "cuda" or self._graph is not None:
            return
        stream = torch.cuda.Stream(self._device)
        stream.wait_stream(torch.cuda.current_stream(self._device))
        with torch.cuda.stream(stream), torch.inference_mode():
            restore = None if self._undo is None else self._undo()
            for run in range(WARM_UPS):
                if run + 1 < WARM_UPS:
                    self._stage()
                else:  # where a stage asks is found here, as a capture that fails leaves its traces in the allocator
                    with _capturable(), _asking_is_an_error():
                        self._stage()
                if restore is not None:
                    restore()
        torch.cuda.current_stream(self._device).wait_stream(stream)
        self._graph = self._captured()

    def _captured(self) -> Any:
        graph = torch.cuda.CUDAGraph()
        capturing = torch.cuda.graph(graph, pool=self._pool, capture_error_mode="thread_local")
        with _capturable(), torch.inference_mode(), _no_collection(), capturing:
            self._stage()
        return graph

    def __call__(self) -> None:
        if self._graph is not None:
            self._graph.replay()
        elif self._device.type == "cuda":
            raise RuntimeError("A stage was replayed before it was captured.")
        else:
            self._stage()


@contextmanager
def _capturable() -> Iterator[None]:
    """Say what to do where a stage cannot be captured."""
    try:
        yield
    except RuntimeError as error:
        if is_out_of_memory(error):
            raise
        raise PlaygroundError(
            f"A step of this model cannot be captured as a CUDA graph: {str(error).splitlines()[0]}. "
            "Start with --engine eager, which runs any model."
        ) from error


@contextmanager
def _asking_is_an_error() -> Iterator[None]:
    """The host may not wait for the device."""
    before = torch.cuda.get_sync_debug_mode()
    torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode(before)


@contextmanager
def _no_collection() -> Iterator[None]:
    """No garbage collection: what it would free of older graphs is not allowed while one is captured."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()


def memory_pool(device: torch.device) -> Any:
    """Memory for the graphs of one program; None where nothing is captured."""
    return torch.cuda.graph_pool_handle() if device.type == "cuda" else None


class GraphStore:
    """Static buffers and their captured stages, kept from run to run; the least recently used one goes first."""

    def __init__(self, places: int = 2) -> None:
        self._places = places
        self._held: OrderedDict[Hashable, Any] = OrderedDict()

    def get(self, key: Hashable, build: Callable[[], Any]) -> Any:
        """What is held under `key`, built if nothing is; makes room before it builds."""
        if key in self._held:
            self._held.move_to_end(key)
            return self._held[key]
        if len(self._held) >= self._places:
            while len(self._held) >= self._places:
                self._held.popitem(last=False)
            gc.collect()  # a program and its stages refer to each other, so nothing else lets their memory go
        self._held[key] = build()
        return self._held[key]

    def clear(self) -> None:
        """Let every buffer go."""
        self._held.clear()
        gc.collect()


def bucket_sizes(largest: int) -> tuple[int, ...]:
    """Node counts that verification is captured for: fine steps where trees usually are, then coarse, `largest` last.

    Multiples of 8 suit tensor cores; the step is about an eighth of the size, so padding wastes little.
    """
    sizes, size = [1], 8
    while size < largest:
        sizes.append(size)
        size += max(8, 1 << (size.bit_length() - 3))
    return tuple(sizes) if sizes[-1] == largest else (*sizes, largest)


def bucket_of(nodes: int, sizes: tuple[int, ...]) -> int:
    """The smallest bucket that holds `nodes`."""
    return next(size for size in sizes if size >= nodes)
