"""The stages of a step over the state they share: draft, tree, verify, accept, commit, and what the record asks.

Each stage leaves its result here for the next, takes no tensors and asks the device nothing, so that it can be run as
it stands or captured and replayed. Does not know when which is run, nor what the host makes of it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import fields
from typing import Any, Protocol, TypeVar

import torch
import torch.nn.functional as F

from kernels import PickRule
from playground.base_model.types import BaseOutput
from playground.decode.accept import accept
from playground.decode.best_first import search
from playground.decode.budget import Budget
from playground.decode.decoding import Decoding
from playground.decode.draft import draft, no_beams
from playground.decode.judge import judge
from playground.decode.records import Beams, Judged, Place, Proposal, Rules, Search, Verdict
from playground.decode.tree import best_tree, build_tree, root_alone
from playground.sampling import pick_gap

READ_CHUNK = 64  # prompt tokens between two looks whether to stop: under a second where a device is slow
READ_CHUNK_ON_CUDA = 1024

Result = TypeVar("Result", Beams, Search, Proposal, Verdict)


class Keep(Protocol):
    """Where a stage's fresh result is kept for the stages after it."""

    def __call__(self, name: str, fresh: Result) -> Result: ...


def as_it_is(name: str, fresh: Result) -> Result:
    """In the tensors it came in."""
    return fresh


class Stages:
    """The tensors of one text on one device, and what each stage does to them."""

    def __init__(
        self,
        decoding: Decoding,
        rule: PickRule,
        capacity: int,
        keep: Keep = as_it_is,
        sizes: Sequence[int] | None = None,
    ) -> None:
        """Fresh tensors. `sizes` are the node counts that will be verified, None for any."""
        base, depth = decoding.base, decoding.depth
        self._base, self._drafting, self._depth, self._keep = base, decoding.drafting, depth, keep
        longs: dict[str, Any] = {"dtype": torch.int64, "device": base.device}
        wide: dict[str, Any] = {"dtype": torch.promote_types(base.dtype, torch.float32), "device": base.device}
        self.rules = Rules(rule, torch.tensor(sorted(base.eos_ids), **longs), base.kernels)
        self.cache = base.new_cache(capacity)
        self.hidden = torch.zeros(1, base.context_size, dtype=base.dtype, device=base.device)  # [1, H (1 + taps)]
        self.root = torch.zeros((), **longs)  # certain, not in the cache yet
        self.history = torch.zeros(capacity, **longs)  # [S] committed tokens, then the root
        self.last_position = torch.zeros((), **longs)  # of the last token that is wanted
        if decoding.drafting is not None:
            model, shape = decoding.drafting.model, decoding.drafting.shape
            self._budget = Budget(shape, decoding.drafting.costs, model.calibration, base.device, sizes)
            self._chances = torch.tensor(model.copy_chances, device=base.device)  # [J]
        self.drafted: Beams | Search
        self.proposal = root_alone(self.root)  # plain decoding's, for good
        self.output: BaseOutput
        path, picks = torch.full((2, depth + 1), -1, **longs)
        self.verdict = keep("verdict", Verdict(path, picks, torch.zeros((), **longs), torch.zeros((), **longs)))
        judged = depth + 1 + decoding.max_nodes  # the picks, then the nodes
        self.judged = Judged(torch.zeros(judged, **wide), torch.zeros(judged, **longs))
        self.gap = torch.zeros((), **wide)

    def begin(self, prompt: torch.Tensor, limit: int, should_stop: Callable[[], bool]) -> BaseOutput | None:
        """Read a prompt [P] and pick the first root; the output of its last token, None where it was stopped before."""
        count = prompt.shape[0]
        output = self._read(prompt, should_stop)
        if output is None:
            return None
        self.root.copy_(self.rules.kernels.pick(output.logits[0], self.rules.pick, self.cache.committed_tensor))
        self.hidden.copy_(output.hidden)
        self.history[:count] = prompt
        self.history[count] = self.root
        self.last_position.fill_(count + limit - 1)
        return output

    def _read(self, prompt: torch.Tensor, should_stop: Callable[[], bool]) -> BaseOutput | None:
        """Prefill chunk by chunk, looking up in between; every lane reads in the same chunks, so all read alike."""
        output = None
        for chunk in prompt.split(READ_CHUNK_ON_CUDA if prompt.is_cuda else READ_CHUNK):
            if output is not None and should_stop():
                return None
            output = self._base.prefill(chunk, self.cache)
        return output

    def draft(self, committed: int | None = None, last_position: int = 0) -> None:
        """Search after the root, no deeper than wanted: a step adds a token of the base model's own to what it accepts.

        Args:
            committed: n, where the host knows it, and with it `last_position`; else the device cuts the search.
        """
        assert self._drafting is not None
        history, wanted, limit = self.history, self._depth, None
        if committed is None:
            limit = self.last_position - self.cache.committed_tensor - 1
        else:
            history, wanted = history[: committed + 1], min(wanted, last_position - committed - 1)
        place = Place(self.hidden, history, self.cache.committed_tensor)
        model, shape = self._drafting.model, self._drafting.shape
        if wanted == 0:
            self.drafted = no_beams(place, shape.width)
        elif shape.nodes is None:
            beams = draft(model, place, self.rules, width=shape.width, length=min(wanted, shape.length), limit=limit)
            self.drafted = self._keep("beams", beams)
        else:
            found = search(model, place, self.rules, shape, self._chances, wanted=wanted, limit=limit)
            self.drafted = self._keep("search", found)

    def tree(self) -> None:
        kernels, drafted = self.rules.kernels, self.drafted
        if isinstance(drafted, Beams):
            made = build_tree(drafted, self.root, kernels)
        else:
            assert self._drafting is not None
            rows = self._drafting.shape.max_nodes
            made = best_tree(drafted, self.root, kernels, self._budget, rows=rows, levels=self._depth)
        self.proposal = self._keep("proposal", made)

    def verify(self, nodes: int) -> None:
        """One forward over the first `nodes` of the proposal."""
        tree = self.proposal.tree.first(nodes)
        self.output = self._base.forward(tree.token, tree.depth, tree.ancestors, self.cache)

    def accept(self, nodes: int) -> None:
        """Walk down the first `nodes` of the proposal, as deep as so many can be."""
        tree, committed = self.proposal.tree.first(nodes), self.cache.committed_tensor
        levels = min(self._depth, nodes - 1)
        verdict = accept(self.output.logits, tree, committed, levels, self.rules)
        path, picks = (F.pad(part, (0, self._depth - levels), value=-1) for part in (verdict.path, verdict.picks))
        self.verdict = self._keep("verdict", Verdict(path, picks, verdict.length, verdict.next_root))

    def commit(self) -> None:
        """Keep the path's cache rows and move the state to its end; nothing is cloned."""
        verdict, committed = self.verdict, self.cache.committed_tensor
        if self._drafting is not None:  # who does not draft looks at no history
            places = committed + 1 + torch.arange(len(verdict.picks), device=committed.device)  # [L + 1]
            known = self.history.index_select(0, places)
            self.history.index_copy_(0, places, torch.where(verdict.picks >= 0, verdict.picks, known))
            end = verdict.path.index_select(0, (verdict.length - 1).reshape(1))  # [1]
            self.hidden.copy_(self.output.hidden.index_select(0, end))
        self.cache.commit_counted(verdict.path, verdict.length)
        self.root.copy_(verdict.next_root.clamp_min(0))

    def judge(self, nodes: int) -> None:
        """What the base model thinks of the picks and of the nodes' tokens; in plain decoding, how close it was too."""
        tree, verdict = self.proposal.tree, self.verdict
        row, token = torch.cat((verdict.path, tree.parent[:nodes])), torch.cat((verdict.picks, tree.token[:nodes]))
        found = judge(self.output.logits, row, token)
        self.judged.log_probability[: len(row)] = found.log_probability
        self.judged.rank[: len(row)] = found.rank
        if self._drafting is None:
            self.gap.copy_(pick_gap(self.output.logits[0], self.rules.pick, self.cache.committed_tensor))

    def told(self) -> dict[str, torch.Tensor]:
        """What the host is to know after a slice, by name."""
        verdict, judged = self.verdict, self.judged
        told = {"path": verdict.path, "picks": verdict.picks}
        told |= {"log_probability": judged.log_probability, "rank": judged.rank}
        if self._drafting is None:
            return {**told, "gap": self.gap}
        proposal = self.proposal
        tree, beams, unsent = proposal.tree, proposal.beams, proposal.unsent
        told |= {"token": tree.token, "parent": tree.parent, "depth": tree.depth, "count": proposal.count}
        told |= {"draft_log_probability": proposal.log_probability, "origin": proposal.origin}
        told |= {"copied": proposal.copied, "budget": proposal.budget, "node_of": proposal.node_of}
        told |= {"beams": beams.tokens, "beam_log_probability": beams.log_probabilities, "scores": beams.scores}
        return told | {f"unsent_{part.name}": getattr(unsent, part.name) for part in fields(unsent)}
