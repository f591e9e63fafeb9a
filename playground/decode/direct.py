"""The runner that calls the stages as they stand: any device, any model, nothing prepared.

On the host's own device it asks for every verdict at once, which costs nothing there; on CUDA it waits once a slice.
"""

from __future__ import annotations

import torch

from playground.decode import recording
from playground.decode.decoding import Decoding
from playground.decode.host_copy import HostCopy
from playground.decode.runner import Taken
from playground.decode.stages import Stages
from playground.decode.torch_runner import TorchRunner
from playground.sampling import rule_of


class DirectRunner(TorchRunner):
    """See `playground.decode.runner.Runner`."""

    def __init__(self, decoding: Decoding) -> None:
        super().__init__(decoding, asks=decoding.base.device.type != "cuda")
        self._copy = HostCopy()

    def open(self, capacity: int) -> Stages:
        return Stages(self.decoding, rule_of(self.decoding.sampling), capacity)

    def prepare(self) -> None:
        """Nothing."""

    @torch.inference_mode()
    def settle(self) -> Taken | None:
        """Verify, accept, commit; the verdict where the host may ask."""
        stages, nodes, mark = self.stages, self.nodes, self.clock.mark
        self.begin_slice(nodes)
        stages.verify(nodes)
        mark("verify")
        stages.accept(nodes)
        taken = recording.taken(stages.verdict.path, stages.verdict.picks) if self.asks else None
        mark("accept")
        stages.commit()
        if taken is not None:
            self.follow(taken)
        mark("commit")
        if self.decoding.judged:
            stages.judge(nodes)
        mark("judge")
        return taken

    @torch.inference_mode()
    def propose(self) -> None:
        """Draft and build the tree."""
        stages, mark = self.stages, self.clock.mark
        self.proposed = True
        if self.decoding.drafting is not None:
            stages.draft(stages.cache.committed if self.asks else None, self.last_position)
            mark("draft")
            stages.tree()
            mark("tree")
        if not self.asks:
            self._copy.send(stages.told())
            mark("tell")

    def told(self) -> recording.Told:
        return self.stages.told() if self.asks else self._copy.read()
