"""A runner of PyTorch stages: what its kinds have in common, the state, the clock and the reading of a slice.

How the stages are carried out its kinds say. Knows nothing of the loop.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

import torch

from playground.base_model.types import BaseOutput, TreeModel
from playground.decode import recording
from playground.decode.clock import SliceClock
from playground.decode.decoding import Decoding
from playground.decode.judge import judge
from playground.decode.runner import Judgement, Opening, Reading, Taken
from playground.decode.stages import Stages
from playground.sampling import pick_gap
from playground.trace import StageMs

Part = TypeVar("Part")


class TorchRunner(ABC):
    """A `playground.decode.runner.Runner` but for `settle` and `propose`.

    Attributes:
        asks: the host hears the verdict while it settles; else it hears it when the slice is read.
        nodes: of the proposal that waits.
        last_position: of the last token that is wanted.
        proposed: this slice has made a proposal.
    """

    def __init__(self, decoding: Decoding, *, asks: bool) -> None:
        self.decoding, self.asks = decoding, asks
        self.stages: Stages
        self.clock = SliceClock(decoding.base.device)
        self.nodes, self.last_position = 1, 0
        self._began = 0.0
        self._settled = 0  # nodes that this slice settles, 0 for none
        self._position = 0  # n before them
        self.proposed = False

    @property
    def model(self) -> TreeModel:
        return self.decoding.base

    @abstractmethod
    def open(self, capacity: int) -> Stages:
        """Stages with an empty cache for at least `capacity` tokens."""

    @abstractmethod
    def prepare(self) -> None:
        """What is done once the prompt is read, outside every clock."""

    @abstractmethod
    def told(self) -> recording.Told:
        """What the slice told, on the host; the device has been waited for."""

    @torch.inference_mode()
    def start(self, prompt_ids: Sequence[int], limit: int, should_stop: Callable[[], bool]) -> Opening | None:
        """Read a prompt and pick the first root; None where it was stopped between two parts of it."""
        count = len(prompt_ids)
        self.stages = self.open(count + limit + self.decoding.max_nodes)
        self.nodes, self.last_position = 1, count + limit - 1
        prompt = torch.tensor(prompt_ids, dtype=torch.int64, device=self.model.device)  # [P]
        self.clock.begin()
        output = self.stages.begin(prompt, limit, should_stop)
        if output is None:
            return None
        root = int(self.stages.root)
        self.clock.mark("prompt")
        opening = self._opening(output, root, self.clock.resolve()["prompt"])
        self.prepare()
        self.begin_slice(settling=0)
        return opening

    def _opening(self, output: BaseOutput, root: int, ms: float) -> Opening:
        stages, gap = self.stages, None
        found = judge(output.logits, torch.zeros_like(stages.root)[None], stages.root[None])
        if self.decoding.drafting is None:
            gap = float(pick_gap(output.logits[0], stages.rules.pick, stages.cache.committed_tensor))
        return Opening(root, float(found.log_probability), gap, ms)

    def begin_slice(self, settling: int) -> None:
        """Start the clocks of a slice that settles a proposal of so many nodes."""
        self._settled, self._position, self.proposed = settling, self.stages.cache.committed, False
        self._began = time.perf_counter()
        self.clock.begin()

    def follow(self, taken: Taken) -> None:
        """The path is committed: let the host count it."""
        self.stages.cache.follow(self._position + len(taken.path))

    @torch.inference_mode()
    def read(self) -> Reading:
        """End the slice: the one wait where the device is not the host."""
        ms = self.clock.resolve()
        told, taken, gap, judgement, drafted = self.told(), None, None, Judgement(), None
        if self._settled:
            taken = recording.taken(told["path"], told["picks"])
            self.follow(taken)
            if not self.asks:
                ms["host"] = max(0.0, (time.perf_counter() - self._began) * 1e3 - sum(ms.values()))
            if self.decoding.judged:
                gap, judgement = recording.gap(told), recording.judgement(told, self._settled, len(taken.picks))
        if self.proposed and self.decoding.drafting is not None:
            wanted = self.last_position - self.stages.cache.committed - 1
            drafted = recording.drafted(told, max(0, min(self.decoding.length, wanted)))
            self.nodes = drafted.tree.nodes
        return Reading(_stage_ms(ms), taken, gap, _made(judgement), None if drafted is None else _made(drafted))


def _made(part: Part) -> Callable[[], Part]:
    """What is made already: the message it comes from lasts until the next one."""
    return lambda: part


def _stage_ms(ms: Mapping[str, float]) -> StageMs:
    """The stages of a step; its judgement is for the record and left out.

    What the host adds to its hearing of the verdict, and the copy that tells it, belong to accepting.
    """
    hearing = ms.get("tell", 0.0) + ms.get("host", 0.0)
    return StageMs(
        draft=ms.get("draft", 0.0),
        tree=ms.get("tree", 0.0),
        verify=ms.get("verify", 0.0),
        accept=ms.get("accept", 0.0) + hearing,
        commit=ms.get("commit", 0.0),
    )
