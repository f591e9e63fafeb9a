"""The stages of a step on static buffers: what a drafting lane replays.

Each method is one stage, without arguments or host synchronisation, writing tensors that live as long as the program.
The stages themselves are `playground.decode`'s own. Does not know when which is replayed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

import torch

from kernels import KernelSet
from kernels.types import TreeTensors
from playground.base_model.adapter import BaseModel
from playground.base_model.types import BaseOutput
from playground.config import BeamShape, Sampling
from playground.decode.accept import accept
from playground.decode.captured.graphs import Replay, bucket_of, bucket_sizes, memory_pool
from playground.decode.captured.live_seed import live
from playground.decode.captured.message import Message
from playground.decode.draft import DraftModel, draft
from playground.decode.recording import judge_rows
from playground.decode.records import Beams, Verdict
from playground.decode.tree import build_tree, first_nodes


@dataclass(frozen=True)
class Bucket:
    """The stages that depend on how many nodes are verified."""

    nodes: int
    verify: Replay
    accept: Replay
    judge: Replay
    commit: Replay

    def prepare(self) -> None:
        for stage in (self.verify, self.accept, self.judge, self.commit):
            stage.prepare()


class DraftingProgram:
    """Static buffers of one beam shape, sampling (with any seed) and cache capacity, and the stages over them."""

    def __init__(
        self,
        base: BaseModel,
        drafter: DraftModel,
        shape: BeamShape,
        sampling: Sampling,
        capacity: int,
        kernels: KernelSet,
    ) -> None:
        self._base, self._drafter, self._shape = base, drafter, shape
        self._sampling, self._kernels = live(sampling, base.device), kernels
        self._pool = memory_pool(base.device)
        self.cache = base.new_cache(capacity)
        self._sizes = bucket_sizes(shape.max_nodes)
        self._buckets: dict[int, Bucket] = {}
        self._allocate(capacity)
        self.draft, self.tree, self.tell = (self._replay(stage) for stage in (self._draft, self._tree, self._tell))

    def _allocate(self, capacity: int) -> None:
        """Every static buffer. Zeros stand for state until the first prompt comes."""
        device, width, length, nodes = self._base.device, *self._dims()
        wide = torch.promote_types(self._base.dtype, torch.float32)
        longs: dict[str, Any] = {"dtype": torch.int64, "device": device}
        with torch.inference_mode(False):
            self.history = torch.zeros(capacity, **longs)  # [S] committed tokens, then the root
            self.hidden = torch.zeros(1, self._base.context_size, dtype=self._base.dtype, device=device)
            self.root = torch.zeros((), **longs)
            self.last_position = torch.zeros((), **longs)  # of the last token that is wanted
            self._eos = torch.tensor(sorted(self._base.eos_ids), **longs)  # [E]
            self._levels = torch.arange(1, length + 1, device=device)  # [L]
            self._beams = Beams(
                tokens=torch.full((width, length), -1, **longs),
                log_probabilities=torch.zeros(width, length, device=device),
                scores=torch.zeros(width, device=device),
            )
            self._merged = TreeTensors(
                token=torch.zeros(nodes, **longs),
                parent=torch.full((nodes,), -1, **longs),
                depth=torch.zeros(nodes, **longs),
                ancestors=torch.eye(nodes, dtype=torch.bool, device=device),
                node_of=torch.full((width, length), -1, **longs),
                count=torch.ones((), **longs),
            )
            self._verdict = Verdict(
                path=torch.full((length + 1,), -1, **longs),
                picks=torch.full((length + 1,), -1, **longs),
                length=torch.zeros((), **longs),
                next_root=torch.zeros((), **longs),
            )
            self._node_rank, self._pick_rank = torch.zeros(nodes, **longs), torch.zeros(length + 1, **longs)
            self._node_logp = torch.zeros(nodes, dtype=wide, device=device)
            self._pick_logp = torch.zeros(length + 1, dtype=wide, device=device)
            self.words = Message(
                {
                    "path": (length + 1,),
                    "picks": (length + 1,),
                    "node_rank": (nodes,),
                    "pick_rank": (length + 1,),
                    "beams": (width, length),
                    "token": (nodes,),
                    "parent": (nodes,),
                    "depth": (nodes,),
                    "node_of": (width, length),
                    "count": (),
                },
                torch.int64,
                device,
            )
            self.numbers = Message(
                {
                    "node_logp": (nodes,),
                    "pick_logp": (length + 1,),
                    "beam_logp": (width, length),
                    "scores": (width,),
                },
                wide,
                device,
            )

    def _dims(self) -> tuple[int, int, int]:
        return self._shape.width, self._shape.length, self._shape.max_nodes

    def begin(
        self, prompt: torch.Tensor, hidden: torch.Tensor, root: torch.Tensor, last_position: int, seed: int
    ) -> None:
        """State after a prompt [P] was read into the cache: hidden [1, H (1 + taps)] of its last token, root []."""
        count = prompt.shape[0]
        self.history[:count] = prompt
        self.history[count] = root
        self.hidden.copy_(hidden)
        self.root.copy_(root)
        self.last_position.fill_(last_position)
        self._sampling.seed.fill_(seed)

    def prepare(self) -> None:
        """Capture what every step replays; outside every clock."""
        for stage in (self.draft, self.tree, self.tell):
            stage.prepare()

    def bucket(self, nodes: int) -> Bucket:
        """The stages for a tree of `nodes`, captured if it is the first of its size."""
        size = bucket_of(nodes, self._sizes)
        if size not in self._buckets:
            bucket = self._make_bucket(size)
            bucket.prepare()
            self._buckets[size] = bucket
        return self._buckets[size]

    def _make_bucket(self, nodes: int) -> Bucket:
        held: dict[str, BaseOutput] = {}  # where this bucket's graph leaves its output; held, so never given away

        def verify() -> None:
            tree = first_nodes(self._merged, nodes)
            held["output"] = self._base.forward(tree.token, tree.depth, tree.ancestors, self.cache)

        return Bucket(
            nodes=nodes,
            verify=self._replay(verify),
            accept=self._replay(lambda: self._accept(held["output"], nodes)),
            judge=self._replay(lambda: self._judge(held["output"], nodes)),
            commit=self._replay(lambda: self._commit(held["output"]), undo=self._remember_state),
        )

    def _replay(self, stage: Callable[[], None], undo: Callable[[], Callable[[], None]] | None = None) -> Replay:
        return Replay(stage, self._base.device, undo=undo, pool=self._pool)

    def _draft(self) -> None:
        beams = draft(
            self._drafter,
            self.hidden,
            self.history,
            self.cache.committed_tensor,
            width=self._shape.width,
            length=self._shape.length,
            sampling=self._sampling,
            eos=self._eos,
            kernels=self._kernels,
        )
        # A step adds a token of the base model's own to those it accepts; deeper ones would be cut.
        unwanted = self._levels >= self.last_position - self.cache.committed_tensor  # [L]
        _keep(self._beams, beams)
        self._beams.tokens.masked_fill_(unwanted, -1)
        self._beams.log_probabilities.masked_fill_(unwanted, 0.0)

    def _tree(self) -> None:
        _keep(self._merged, build_tree(self._beams, self.root, self._kernels))

    def _accept(self, output: BaseOutput, nodes: int) -> None:
        verdict = accept(
            output.logits,
            first_nodes(self._merged, nodes),
            self.cache.committed_tensor,
            levels=self._shape.length,
            sampling=self._sampling,
            eos=self._eos,
            kernels=self._kernels,
        )
        _keep(self._verdict, verdict)

    def _judge(self, output: BaseOutput, nodes: int) -> None:
        """What the base model thinks of every node's token and of the picks, for the record."""
        tree, verdict = self._merged, self._verdict
        row = torch.cat((tree.parent[:nodes], verdict.path)).clamp_min(0)
        token = torch.cat((tree.token[:nodes], verdict.picks)).clamp_min(0)
        log_probability, rank = judge_rows(output.logits, row, token)
        self._node_logp[:nodes], self._pick_logp[:] = log_probability[:nodes], log_probability[nodes:]
        self._node_rank[:nodes], self._pick_rank[:] = rank[:nodes], rank[nodes:]

    def _commit(self, output: BaseOutput) -> None:
        """Keep the path's cache rows and move the state to its end; nothing is cloned."""
        verdict, committed = self._verdict, self.cache.committed_tensor
        places = committed + 1 + torch.arange(verdict.picks.shape[0], device=committed.device)  # [L + 1]
        known = self.history.index_select(0, places)
        self.history.index_copy_(0, places, torch.where(verdict.picks >= 0, verdict.picks, known))
        self.cache.commit_counted(verdict.path, verdict.length)
        end = verdict.path.index_select(0, (verdict.length - 1).clamp_min(0).reshape(1)).clamp_min(0)
        self.hidden.copy_(output.hidden.index_select(0, end))
        self.root.copy_(verdict.next_root.clamp_min(0))

    def _tell(self) -> None:
        tree, beams, verdict = self._merged, self._beams, self._verdict
        self.words.send(
            {
                "path": verdict.path,
                "picks": verdict.picks,
                "node_rank": self._node_rank,
                "pick_rank": self._pick_rank,
                "beams": beams.tokens,
                "token": tree.token,
                "parent": tree.parent,
                "depth": tree.depth,
                "node_of": tree.node_of,
                "count": tree.count,
            }
        )
        self.numbers.send(
            {
                "node_logp": self._node_logp,
                "pick_logp": self._pick_logp,
                "beam_logp": beams.log_probabilities,
                "scores": beams.scores,
            }
        )

    def _remember_state(self) -> Callable[[], None]:
        """What puts back all that a commit changes but cache rows, which the next verification writes anew."""
        changed = (self.history, self.hidden, self.root, self.cache.committed_tensor)
        held = [tensor.clone() for tensor in changed]

        def undo() -> None:
            for tensor, before in zip(changed, held, strict=True):
                tensor.copy_(before)

        return undo


def _keep(static: Any, fresh: Any) -> None:
    """Copy each field of a record of tensors into the static one."""
    for part in fields(static):
        getattr(static, part.name).copy_(getattr(fresh, part.name))
