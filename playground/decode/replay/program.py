"""The stages of one decoding on static buffers, each as something to replay.

Knows which stages are replayed together and what a warm-up must undo; nothing of when.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, is_dataclass
from typing import Any

import torch

from playground.base_model.types import BaseOutput
from playground.decode.decoding import Decoding
from playground.decode.host_copy import HostCopy
from playground.decode.replay.graphs import Replay, graph_memory
from playground.decode.stages import Result, Stages
from playground.sampling import rule_of

Replays = dict[str, Replay]  # by the name of their stage, in order


class InPlace:
    """Keeps results in tensors that stay where they are; the first of each name are copied to make them."""

    def __init__(self) -> None:
        self._held: dict[str, Any] = {}

    def __call__(self, name: str, fresh: Result) -> Result:
        held: Result | None = self._held.get(name)
        if held is None:
            held = self._held[name] = _cloned(fresh)
        else:
            _overwrite(held, fresh)
        return held


class Program:
    """Static buffers for one decoding, with any seed, and one cache capacity.

    Attributes:
        proposing: draft, tree and tell, which starts the copy to the host; in plain decoding tell alone.
    """

    def __init__(self, decoding: Decoding, capacity: int) -> None:
        device = decoding.base.device
        self.seed = torch.zeros((), dtype=torch.int64, device=device)  # graphs bake in all settings but this
        self._sizes = bucket_sizes(decoding.max_nodes)
        self.stages = stages = Stages(decoding, rule_of(decoding.sampling, self.seed), capacity, InPlace(), self._sizes)
        self.copy = HostCopy()
        self._plain = decoding.drafting is None
        self._device, self._memory = device, graph_memory(device)
        self._buckets: dict[int, Replays] = {}
        self._outputs: list[BaseOutput] = []  # where the buckets' graphs leave theirs; held, so never given away
        self.proposing: Replays = {"tell": self._replay(lambda: self.copy.send(stages.told()))}
        if not self._plain:
            drafting = {"draft": self._replay(stages.draft), "tree": self._replay(stages.tree)}
            self.proposing = drafting | self.proposing

    def prepare(self) -> None:
        """Capture what every slice replays; outside every clock, after a prompt was read."""
        for stage in self.proposing.values():
            stage.prepare()

    def settling(self, nodes: int) -> Replays:
        """What settles a proposal of `nodes`, captured if it is the first of its size; outside every clock.

        Verify, accept, commit and judge; in plain decoding "verify" is the first three, as nobody asks for the time of
        each, and every launch is felt.
        """
        size = bucket_of(nodes, self._sizes)
        if size not in self._buckets:
            self._buckets[size] = bucket = self._token(size) if self._plain else self._step(size)
            for stage in bucket.values():
                stage.prepare()
            if self._device.type == "cuda":
                self._outputs.append(self.stages.output)
        return self._buckets[size]

    def _step(self, nodes: int) -> Replays:
        stages = self.stages
        return {
            "verify": self._replay(lambda: stages.verify(nodes)),
            "accept": self._replay(lambda: stages.accept(nodes)),
            "commit": self._replay(stages.commit, undo=self._remember),
            "judge": self._replay(lambda: stages.judge(nodes)),
        }

    def _token(self, nodes: int) -> Replays:
        stages = self.stages

        def token() -> None:
            stages.verify(nodes)
            stages.accept(nodes)
            stages.commit()

        return {
            "verify": self._replay(token, undo=self._remember),
            "judge": self._replay(lambda: stages.judge(nodes)),
        }

    def _replay(self, stage: Callable[[], None], undo: Callable[[], Callable[[], None]] | None = None) -> Replay:
        return Replay(stage, self._device, undo=undo, memory=self._memory)

    def _remember(self) -> Callable[[], None]:
        """What puts back all that a commit changes but cache rows, which the next verification writes anew."""
        stages = self.stages
        changed = (stages.history, stages.hidden, stages.root, stages.cache.committed_tensor)
        held = [tensor.clone() for tensor in changed]

        def undo() -> None:
            for tensor, before in zip(changed, held, strict=True):
                tensor.copy_(before)

        return undo


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


def _cloned(record: Any) -> Any:
    """A record of tensors, and of such records, in tensors of its own."""
    if not is_dataclass(record):
        return record.clone()
    make: Any = type(record)
    return make(**{part.name: _cloned(getattr(record, part.name)) for part in fields(record)})


def _overwrite(held: Any, fresh: Any) -> None:
    """Copy every tensor of a record into the held one's."""
    if not is_dataclass(held):
        held.copy_(fresh)
        return
    for part in fields(held):
        _overwrite(getattr(held, part.name), getattr(fresh, part.name))
