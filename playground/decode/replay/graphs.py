"""A stage as something to replay: on CUDA a captured graph, elsewhere the function itself on the same static buffers.

Knows streams and graphs; nothing of what a stage does. A stage reads and writes tensors that outlive it, takes no
arguments and asks the device nothing.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
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
        memory: Any = None,
    ) -> None:
        """One stage.

        Args:
            undo: called before a warm-up, gives what puts the stage's state back after it.
            memory: of `graph_memory`; stages that are replayed one after another may share it, in any order, if what
                they leave to each other is held.
        """
        self._stage, self._device, self._undo, self._memory = stage, device, undo, memory
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
        capturing = torch.cuda.graph(graph, pool=self._memory, capture_error_mode="thread_local")
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


def graph_memory(device: torch.device) -> Any:
    """Memory that the graphs of one program share; None where nothing is captured."""
    return torch.cuda.graph_pool_handle() if device.type == "cuda" else None
