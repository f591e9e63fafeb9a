"""What the stages of a step hand to each other: tensors on the device, frozen once made.

Knows shapes only. The plain-Python records that leave the engine are `playground.trace`'s.
W beam width, L beam length, N nodes; -1 marks an entry that stands for nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Beams:
    """The draft, best beam first."""

    tokens: torch.Tensor  # [W, L] int64, -1 invalid; within a beam only as a suffix
    log_probabilities: torch.Tensor  # [W, L] float32, the drafter's; 0 where invalid
    scores: torch.Tensor  # [W] float32, sum along the beam, noise of sampling included; -inf where invalid


@dataclass(frozen=True)
class PrefixTree:
    """The beams with equal prefixes merged; node 0 is the root."""

    token: torch.Tensor  # [N] int64
    parent: torch.Tensor  # [N] int64, -1 for the root
    depth: torch.Tensor  # [N] int64, 0 for the root
    ancestors: torch.Tensor  # [N, N] bool, row i: the nodes that node i sees, itself included
    node_of: torch.Tensor  # [W, L] int64, -1 invalid


@dataclass(frozen=True)
class Verdict:
    """Which nodes the base model agreed with, and what it picked at each of them."""

    path: torch.Tensor  # [L + 1] int64 accepted nodes, the root first, then -1
    picks: torch.Tensor  # [L + 1] int64 picked token at each node of the path, then -1; -1 at end-of-sequence too
    length: torch.Tensor  # [] int64, nodes of the path, 1..L+1
    next_root: torch.Tensor  # [] int64, the last pick; -1 where the path ends in end-of-sequence
