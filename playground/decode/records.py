"""What the stages of a step hand to each other: tensors on the device, frozen once made.

Knows shapes only. What leaves a runner is plain Python (`playground.decode.runner`), what leaves the engine are
`playground.trace`'s records. W beam width, L beam length, N nodes, M nodes with padding, C candidates, U of them that
were not sent, S cache slots, V vocabulary; -1 marks an entry that stands for nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import torch

from kernels import KernelSet, PickRule
from kernels.types import Candidates


class Origin(IntEnum):
    """Where a node of the tree came from."""

    ROOT = 0
    BEAM = 1  # the drafter's search
    COPY = 2  # repeats what followed an earlier match in the text; no beam drafted it


@dataclass(frozen=True)
class Rules:
    """What every stage of a run goes by."""

    pick: PickRule
    eos: torch.Tensor  # [E] int64 end-of-sequence ids
    kernels: KernelSet


@dataclass(frozen=True)
class Place:
    """Where a draft begins."""

    hidden: torch.Tensor  # [1, H (1 + taps)], the base model's at the position before the root
    history: torch.Tensor  # [S] int64, the committed tokens, then the root; what follows is not looked at
    root_position: torch.Tensor  # [] int64, n


@dataclass(frozen=True)
class Beams:
    """What the search found, best beam first."""

    tokens: torch.Tensor  # [W, L] int64, -1 invalid; within a beam only as a suffix
    log_probabilities: torch.Tensor  # [W, L] float32, the drafter's; 0 where invalid
    scores: torch.Tensor  # [W] float32, sum along the beam, noise of sampling included; -inf where invalid


@dataclass(frozen=True)
class Search:
    """All that a best-first search scored, a candidate's parent before it, and the beams that survived.

    Candidates stand level by level, in each beam by beam, best token first, and last what was copied: where scores are
    equal, the earlier one goes first. Scores never rise from a parent to its child.
    """

    candidates: Candidates  # of C
    score: torch.Tensor  # [C] float32, along the path, noise of sampling included; -inf where invalid
    log_probability: torch.Tensor  # [C] float32, the drafter's under the parent, of a copy its chance; 0 where invalid
    copied: torch.Tensor  # [C] int64, how deep on the looked-up continuation; 0 for what does not stand on it
    origin: torch.Tensor  # [C] int64, of `Origin`
    beams: Beams
    entries: torch.Tensor  # [W, L] int64, the candidate of each of the beams' tokens; -1 where there is none


@dataclass(frozen=True)
class Unsent:
    """The best candidates that were scored but not sent, best first."""

    token: torch.Tensor  # [U] int64, -1 where there is none
    parent: torch.Tensor  # [U] int64 node, -1 where the parent was not sent either
    depth: torch.Tensor  # [U] int64
    score: torch.Tensor  # [U] float32, -inf where there is none
    total: torch.Tensor  # [] int64, candidates that were scored, sent or not


@dataclass(frozen=True)
class PrefixTree:
    """Drafted tokens with equal prefixes merged; node 0 is the root. Padding sees only itself and has no parent."""

    token: torch.Tensor  # [N] int64
    parent: torch.Tensor  # [N] int64, -1 for the root and padding
    depth: torch.Tensor  # [N] int64, 0 for the root and padding
    ancestors: torch.Tensor  # [N, N] bool, row i: the nodes that node i sees, itself included

    def first(self, nodes: int) -> PrefixTree:
        """The first `nodes` rows: all the real ones, or a bucket that holds them and some padding."""
        return PrefixTree(self.token[:nodes], self.parent[:nodes], self.depth[:nodes], self.ancestors[:nodes, :nodes])


@dataclass(frozen=True)
class Proposal:
    """What the base model is asked to verify, and the search it came from."""

    tree: PrefixTree  # M rows, of which `count` are real
    log_probability: torch.Tensor  # [M] float32, the drafter's, of each node's token under its parent; 0 for the root
    origin: torch.Tensor  # [M] int64, of `Origin`
    copied: torch.Tensor  # [M] int64, how deep on the looked-up continuation; 0 for nodes that do not stand on it
    count: torch.Tensor  # [] int64, real nodes, the root included
    budget: torch.Tensor  # [] int64, how many there might have been; 0 for the surviving beams' tree
    beams: Beams
    node_of: torch.Tensor  # [W, L] int64, the node of each of the beams' tokens; -1 where there is none
    unsent: Unsent


@dataclass(frozen=True)
class Verdict:
    """Which nodes the base model agreed with, and what it picked at each of them."""

    path: torch.Tensor  # [L + 1] int64 accepted nodes, the root first, then -1
    picks: torch.Tensor  # [L + 1] int64 picked token at each node of the path, then -1; -1 at end-of-sequence too
    length: torch.Tensor  # [] int64, nodes of the path, 1..L+1
    next_root: torch.Tensor  # [] int64, the last pick; -1 where the path ends in end-of-sequence


@dataclass(frozen=True)
class Judged:
    """What the base model thinks of Q tokens, raw: temperature 1, no filter. 0 for what stands for nothing."""

    log_probability: torch.Tensor  # [Q]
    rank: torch.Tensor  # [Q] int64, 1 = best; equal logits rank by id
