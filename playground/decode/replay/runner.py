"""The runner that replays: the host launches what was captured, waits once a slice, and reads one message.

Where nothing can be captured (no CUDA) the same stages run on the same static buffers, so that tests show them equal
to the direct runner's without a GPU. Knows when to replay what; the program knows the stages.
"""

from __future__ import annotations

import torch

from playground.decode import recording
from playground.decode.decoding import Decoding
from playground.decode.replay.program import Program, Replays
from playground.decode.replay.programs import Programs
from playground.decode.stages import Stages
from playground.decode.torch_runner import TorchRunner

CAPACITY_STEP = 512  # cache capacities are multiples of it, so that prompts of like length share a program


class ReplayedRunner(TorchRunner):
    """See `playground.decode.runner.Runner`."""

    def __init__(self, decoding: Decoding, programs: Programs | None = None) -> None:
        super().__init__(decoding, asks=False)
        self._programs = Programs() if programs is None else programs
        self._program: Program

    def open(self, capacity: int) -> Stages:
        capacity = -(-capacity // CAPACITY_STEP) * CAPACITY_STEP
        decoding = self.decoding.any_seed
        self._program = self._programs.get(
            (decoding, capacity, decoding.base.taps), lambda: Program(decoding, capacity)
        )
        self._program.seed.fill_(self.decoding.sampling.seed)
        self._program.stages.cache.reset()
        return self._program.stages

    def prepare(self) -> None:
        self._program.prepare()

    @torch.inference_mode()
    def settle(self) -> None:
        """Verify, accept, commit, judge; `read` tells the verdict."""
        settling = self._program.settling(self.nodes)
        self.begin_slice(self.nodes)
        self._play({name: stage for name, stage in settling.items() if name != "judge" or self.decoding.judged})

    @torch.inference_mode()
    def propose(self) -> None:
        """Draft, build the tree, and start the copy of the message."""
        self.proposed = True
        self._play(self._program.proposing)

    def told(self) -> recording.Told:
        return self._program.copy.read()

    def _play(self, stages: Replays) -> None:
        for name, stage in stages.items():
            stage()
            self.clock.mark(name)
