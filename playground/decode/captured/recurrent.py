"""Recurrent drafting on a captured program: the host launches, waits once, and reads one message a step.

The order of a step is turned round so that one wait does: it verifies the tree that the step before left, accepts,
commits, and already drafts the next tree, whose size it needs to choose the next verification. A step's record still
tells its own draft. Knows when to replay what; the program knows the stages.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import torch

from kernels import KernelSet
from playground import trace
from playground.base_model.adapter import BaseModel
from playground.base_model.cache import KVCache
from playground.base_model.types import BaseOutput
from playground.config import BeamShape, Sampling
from playground.decode.captured.graphs import GraphStore
from playground.decode.captured.live_seed import any_seed
from playground.decode.captured.program import DraftingProgram
from playground.decode.draft import DraftModel
from playground.decode.lane import BytesOf, Lane
from playground.decode.recording import Judgement, Step, Taken, compose
from playground.decode.records import Beams, PrefixTree

CAPACITY_STEP = 512  # cache capacities are multiples of it, so that prompts of like length share a program


@dataclass(frozen=True)
class _Draft:
    """A tree that waits for its verification, on the host."""

    nodes: int
    beams: Beams
    tree: PrefixTree  # ancestors left out


class CapturedDecoder(Lane):
    """The drafting lane; the surface of `RecurrentDecoder`."""

    name: trace.Lane = "redrafter"

    def __init__(
        self,
        base: BaseModel,
        drafter: DraftModel,
        shape: BeamShape,
        sampling: Sampling,
        max_new_tokens: int,
        kernels: KernelSet,
        bytes_of: BytesOf,
        record: bool = True,
        store: GraphStore | None = None,
    ) -> None:
        super().__init__(base, sampling, max_new_tokens, kernels, bytes_of)
        self.drafter, self.shape, self.record = drafter, shape, record
        self.extra_slots = shape.max_nodes + 1
        self.steps = 0
        self._store = GraphStore() if store is None else store
        self._program: DraftingProgram
        self._drafted: dict[str, float]  # ms of the draft and tree that wait for their step
        self._waiting: _Draft

    def _open_cache(self, capacity: int) -> KVCache:
        capacity = -(-capacity // CAPACITY_STEP) * CAPACITY_STEP
        sampling = any_seed(self.sampling)
        key = ("redrafter", id(self.base), id(self.drafter), self.shape, sampling, capacity, self.base.taps)

        def build() -> DraftingProgram:
            return DraftingProgram(self.base, self.drafter, self.shape, self.sampling, capacity, self.kernels)

        self._program = self._store.get(key, build)
        self._program.cache.reset()
        return self._program.cache

    def _begin(self, prompt: torch.Tensor, output: BaseOutput, root: torch.Tensor) -> None:
        """Take over the state, and draft the first tree; its time belongs to the first step."""
        program, clock = self._program, self._clock
        self.steps = 0
        program.begin(prompt, output.hidden, root, prompt.shape[0] + self._limit - 1, self.sampling.seed)
        program.prepare()
        clock.begin()
        self._propose()
        self._drafted = clock.resolve()
        self._waiting = self._read_draft()

    def _propose(self) -> None:
        """Draft, build the tree, and start the copy of the message."""
        for stage in ("draft", "tree", "tell"):
            getattr(self._program, stage)()
            self._clock.mark(stage)

    @torch.inference_mode()
    def step(self) -> trace.StepRecord:
        """One step: from 1 to beam length + 1 tokens."""
        n, drafted, ms_before = self.cache.committed, self._waiting, self._drafted
        bucket, clock = self._program.bucket(drafted.nodes), self._clock
        began = time.perf_counter()
        clock.begin()
        bucket.verify()
        clock.mark("verify")
        bucket.accept()
        clock.mark("accept")
        if self.record:
            bucket.judge()
        clock.mark("judge")
        bucket.commit()
        clock.mark("commit")
        self._propose()
        ms = clock.resolve()  # the step's one wait
        taken, judgement = self._read_verdict(drafted.nodes)
        self.cache.follow(len(taken.path))
        self._waiting = self._read_draft()
        whole = (time.perf_counter() - began) * 1e3

        self._drafted = {stage: ms[stage] for stage in ("draft", "tree")}
        stages = self._stage_ms(ms, ms_before, whole)
        self.clock_ms += stages.total
        self._emit(taken.picks)
        self.steps += 1
        next_root = taken.picks[-1] if self.finish_reason is None else None
        nothing = torch.empty(0)
        done = Step(self.steps - 1, n, drafted.beams, drafted.tree, nothing, taken, next_root, stages, self.clock_ms)
        return compose(done, self._bytes_of, judgement)

    def _stage_ms(self, ms: dict[str, float], before: dict[str, float], whole: float) -> trace.StageMs:
        """The step's stages: its own draft's time, and what the host added to its reading of the verdict.

        Judging is for the record and drafting the next tree is the next step's, so both are taken off the whole.
        """
        lost = max(0.0, whole - sum(ms.values()))
        return trace.StageMs(
            draft=before["draft"],
            tree=before["tree"],
            verify=ms["verify"],
            accept=ms["accept"] + ms["tell"] + lost,
            commit=ms["commit"],
        )

    def _read_verdict(self, nodes: int) -> tuple[Taken, Judgement]:
        """The verdict from the message, and the judgement of nodes 1..N-1 and of the picks."""
        words, numbers = self._program.words.parts, self._program.numbers.parts
        path, picks = words["path"].tolist(), words["picks"].tolist()
        taken = Taken(
            path=tuple(node for node in path if node >= 0), picks=tuple(token for token in picks if token >= 0)
        )
        if not self.record:
            return taken, Judgement((), ())
        count = len(taken.picks)
        return taken, Judgement(
            log_probability=(*numbers["node_logp"][1:nodes].tolist(), *numbers["pick_logp"][:count].tolist()),
            rank=(*words["node_rank"][1:nodes].tolist(), *words["pick_rank"][:count].tolist()),
        )

    def _read_draft(self) -> _Draft:
        """The waiting tree and its beams, copied out of the message before the next one overwrites it."""
        words, numbers = self._program.words.parts, self._program.numbers.parts
        nodes = int(words["count"])
        return _Draft(
            nodes=nodes,
            beams=Beams(words["beams"].clone(), numbers["beam_logp"].clone(), numbers["scores"].clone()),
            tree=PrefixTree(
                token=words["token"][:nodes].clone(),
                parent=words["parent"][:nodes].clone(),
                depth=words["depth"][:nodes].clone(),
                ancestors=torch.empty(0),
                node_of=words["node_of"].clone(),
            ),
        )
