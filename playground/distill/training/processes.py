"""One process or several: training under `accelerate launch`, each process on its own device.

accelerate sets the processes up and finds their devices; this only says who is who. Knows nothing of models.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import torch

_POLL_SECONDS = 0.5

Value = TypeVar("Value")


@dataclass(frozen=True)
class Processes:
    """This process among all that train together."""

    rank: int = 0
    world: int = 1

    @property
    def main(self) -> bool:
        """Whether this process writes what only one may write."""
        return self.rank == 0

    @classmethod
    def launched(cls, device: torch.device) -> Processes:
        """The processes `accelerate launch` (or torchrun) started; this one alone where neither did."""
        if int(os.environ.get("WORLD_SIZE", "1")) <= 1:
            return cls()
        from accelerate import PartialState

        state = PartialState(cpu=device.type == "cpu")
        return cls(int(state.process_index), int(state.num_processes))

    def device(self, wanted: torch.device) -> torch.device:
        """This process's own device of the wanted kind."""
        if self.world == 1 or wanted.type != "cuda":
            return wanted
        from accelerate import PartialState

        return torch.device(PartialState().device)

    def wait(self) -> None:
        """Wait for the others, who are about to come."""
        if self.world > 1:
            torch.distributed.barrier()

    def wait_until(self, done: Callable[[], bool]) -> None:
        """Wait for long work of another process, longer than a barrier may take."""
        while not done():
            time.sleep(_POLL_SECONDS)
        self.wait()

    def average(self, parameters: torch.nn.Module) -> None:
        """Average the gradients of all processes, in place."""
        if self.world == 1:
            return
        for parameter in parameters.parameters():
            if parameter.grad is not None:
                torch.distributed.all_reduce(parameter.grad)
                parameter.grad /= self.world

    def agree(self, flag: bool) -> bool:
        """True in all processes where it is true in any."""
        return self.largest(float(flag)) > 0

    def largest(self, value: float) -> float:
        """The largest of all processes' values."""
        if self.world == 1:
            return value
        found = torch.tensor([value], dtype=torch.float64)
        if torch.distributed.get_backend() == "nccl":
            found = found.to(self.device(torch.device("cuda")))
        torch.distributed.all_reduce(found, op=torch.distributed.ReduceOp.MAX)
        return float(found.item())

    def of_main(self, value: Value) -> Value:
        """The main process's value, in all of them."""
        if self.world == 1:
            return value
        box = [value]
        torch.distributed.broadcast_object_list(box, src=0)
        return box[0]
