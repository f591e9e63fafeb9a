"""Recurrent drafting: draft, tree, verify, accept, commit, on one screen.

Knows the stages and their order; the stages know the work. Emits exactly what plain decoding of the same base model
and seed emits. Does not know tokenizers, trace files or the screen.
"""

from __future__ import annotations

import torch

from kernels import KernelSet
from playground import trace
from playground.base_model.adapter import BaseModel
from playground.base_model.types import BaseOutput
from playground.config import BeamShape, Sampling
from playground.decode.accept import accept
from playground.decode.draft import DraftModel, draft
from playground.decode.lane import BytesOf, Lane
from playground.decode.recording import Step, Taken, describe
from playground.decode.records import Verdict
from playground.decode.tree import build_tree, first_nodes


class RecurrentDecoder(Lane):
    """The drafting lane. Without `record`, steps carry no judgement of the base model: for measuring only."""

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
    ) -> None:
        super().__init__(base, sampling, max_new_tokens, kernels, bytes_of)
        self.drafter, self.shape, self.record = drafter, shape, record
        self.extra_slots = shape.max_nodes
        self.steps = 0

    @torch.inference_mode()
    def step(self) -> trace.StepRecord:
        """One step: from 1 to beam length + 1 tokens.

        State before it: n committed tokens, the base model's hidden state at position n - 1, and the root, certain
        but not committed, at position n.
        """
        clock, kernels, eos, width = self._clock, self.kernels, self._eos, self.shape.width
        n, committed = self.cache.committed, self.cache.committed_tensor
        # The step adds a token of the base model's own to those it accepts, so longer beams would be cut.
        length = min(self.shape.length, self.wanted - 1)
        clock.begin()

        history = self._history[: n + 1]
        beams = draft(
            self.drafter,
            self._hidden,
            history,
            committed,
            width=width,
            length=length,
            sampling=self.sampling,
            eos=eos,
            kernels=kernels,
        )
        clock.mark("draft")

        merged = build_tree(beams, self._root, kernels)
        tree = first_nodes(merged, int(merged.count))
        clock.mark("tree")

        output = self.base.forward(tree.token, tree.depth, tree.ancestors, self.cache)
        clock.mark("verify")

        verdict = accept(
            output.logits, tree, committed, levels=length, sampling=self.sampling, eos=eos, kernels=kernels
        )
        taken = _read(verdict)
        clock.mark("accept")

        self._commit(output, verdict, taken)
        clock.mark("commit")

        ms = trace.StageMs(**clock.resolve())
        self.clock_ms += ms.total
        self._emit(taken.picks)
        self.steps += 1
        next_root = taken.picks[-1] if self.finish_reason is None else None
        done = Step(self.steps - 1, n, beams, tree, output.logits, taken, next_root, ms, self.clock_ms)
        return describe(done, self._bytes_of, judged=self.record)

    def _begin(self, prompt: torch.Tensor, output: BaseOutput, root: torch.Tensor) -> None:
        self.steps = 0
        self._history = prompt.new_zeros(self.cache.capacity)  # [S] committed tokens, then the root
        self._history[: len(prompt)] = prompt
        self._history[len(prompt)] = root
        self._hidden, self._root = output.hidden, root  # [1, H (1 + taps)], []

    def _commit(self, output: BaseOutput, verdict: Verdict, taken: Taken) -> None:
        """Keep the path's cache rows and move the state to its end; nothing is cloned."""
        end, emitted = len(taken.path), len(taken.picks)
        path, first = verdict.path[:end], self.cache.committed + 1
        self._history[first : first + emitted] = verdict.picks[:emitted]
        self.cache.commit(path)
        self._hidden = output.hidden.index_select(0, path[-1:])
        self._root = verdict.next_root


def _read(verdict: Verdict) -> Taken:
    """The step's one copy to the host that acceptance needs."""
    path, picks = torch.stack((verdict.path, verdict.picks)).tolist()
    return Taken(
        path=tuple(node for node in path if node >= 0),
        picks=tuple(token for token in picks if token >= 0),
    )
