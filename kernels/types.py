"""What every operation takes and gives: one protocol an operation, and the set that carries one of each.

Knows shapes only; imports neither PyTorch's kernels nor Triton. Alphabet: W beam width, L beam length, N nodes, M nodes
with padding, S cache slots, V vocabulary, H hidden, D head dim, E end-of-sequence ids. Ids and counts are int64.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

import torch
from torch import Tensor

KernelsChoice = Literal["auto", "triton", "reference"]
NormStyle = Literal["llama", "gemma"]
Gate = Literal["silu", "gelu_tanh"]
Buffers = Tensor | Sequence[Tensor]  # [Layers, Hkv, S, D], or Layers times [Hkv, S, D]
PickAt = Callable[[Tensor | None], Tensor]  # picks [Q] at nodes [Q], or [N] at every node for None

LOWEST_VALID_SCORE = -1e29  # a beam's score at or below it stands for nothing


@dataclass(frozen=True, eq=False)
class PickRule:
    """How a token is picked. Temperature 0 is greedy; top_k 0 and top_p 1 filter nothing."""

    temperature: float
    top_k: int
    top_p: float
    seed: int | Tensor  # [] int64 where it is on the device, so that a captured pick serves every seed

    @property
    def greedy(self) -> bool:
        return self.temperature == 0.0

    @property
    def filtered(self) -> bool:
        """Whether a pick looks for the tokens that top-k or top-p keep."""
        return not self.greedy and (self.top_k > 0 or self.top_p < 1.0)


@dataclass(frozen=True)
class Children:
    """The K best continuations of each of B beams, best first."""

    token: Tensor  # [B, K] int64, -1 invalid
    score: Tensor  # [B, K] float32, the beam's and the token's log-probability; -inf invalid
    log_probability: Tensor  # [B, K] float32, 0 invalid


@dataclass(frozen=True)
class Candidates:
    """Drafted tokens that a tree can be made of, C of them."""

    token: Tensor  # [C] int64
    parent: Tensor  # [C] int64, the candidate it hangs on, -1 for the root
    depth: Tensor  # [C] int64, 1 under the root


@dataclass(frozen=True)
class TreeTensors:
    """A tree in fixed shapes. Padding: token = root, parent -1, depth 0, ancestors only itself."""

    token: Tensor  # [M] int64
    parent: Tensor  # [M] int64, -1 for the root and padding
    depth: Tensor  # [M] int64
    ancestors: Tensor  # [M, M] bool, row i = ancestors of i, itself included
    node_of: Tensor  # [W, L] or as asked, int64, -1 where there is no node
    count: Tensor  # [] int64, real nodes, the root included


@dataclass(frozen=True)
class Walk:
    """The accepted path in fixed shapes, L levels below the root."""

    path: Tensor  # [L + 1] int64 nodes, the root first, then -1
    picks: Tensor  # [L + 1] int64 picks at those nodes, then -1; -1 at end-of-sequence too
    length: Tensor  # [] int64, nodes of the path
    last: Tensor  # [] int64, the last node's pick


class TreeAttention(Protocol):
    """Attention of tree nodes over the committed cache and their own ancestors: [N, Hq, Dv]."""

    def __call__(
        self,
        query: Tensor,  # [Hq, N, D]
        keys: Tensor,  # [Hkv, S, D]
        values: Tensor,  # [Hkv, S, Dv]
        committed: Tensor,  # []
        depth: Tensor,  # [N]
        ancestors: Tensor,  # [N, N] bool
        *,
        scale: float,
        window: int | None = None,
        softcap: float | None = None,
        sinks: Tensor | None = None,  # [Hq]
    ) -> Tensor: ...


class PrefixTree(Protocol):
    """The tree of beams `tokens` [W, L] (-1 invalid, only as a suffix) under `root` []."""

    def __call__(self, tokens: Tensor, root: Tensor) -> TreeTensors: ...


class CandidateTree(Protocol):
    """The tree of the first `count` - 1 candidates of an order, numbered in it; parents stand before their children."""

    def __call__(
        self,
        candidates: Candidates,
        order: Tensor,  # [M - 1] candidates, best first, then -1
        count: Tensor,  # [] nodes to make, the root included
        root: Tensor,  # []
        entries: Tensor,  # [...] candidates whose nodes are asked for, -1 for none
        *,
        levels: int,  # how deep a candidate may be
    ) -> TreeTensors: ...


class ChildrenOf(Protocol):
    """The `keep` best children of beams with `logits` [B, V] and `scores` [B], softmax over the `cut` best logits."""

    def __call__(self, logits: Tensor, scores: Tensor, *, keep: int, cut: int | None) -> Children: ...


class Best(Protocol):
    """Indices [count] of the best of `scores` [C], best first, ties to the lower index; then -1."""

    def __call__(self, scores: Tensor, count: int) -> Tensor: ...


class Pick(Protocol):
    """The ids [] or [N] picked from `logits` [V] or [N, V] for the tokens at absolute `position` [] or [N]."""

    def __call__(self, logits: Tensor, rule: PickRule, position: Tensor | int) -> Tensor: ...


class KvCommit(Protocol):
    """Row committed + path[d] becomes row committed + d, in place, for every d < count, in every layer."""

    def __call__(
        self,
        keys: Buffers,
        values: Buffers,
        committed: Tensor,  # []
        path: Tensor,  # [P] node ids, the root first
        count: Tensor | int | None = None,  # [] how many of the path's entries are real; None = all
    ) -> None: ...


class WalkDown(Protocol):
    """Follow the picks from the root, at most `levels` nodes down.

    `filtered` says that a pick sorts the vocabulary, so that picks at nodes off the path are not worth their cost.
    """

    def __call__(
        self,
        pick_at: PickAt,
        token: Tensor,  # [N]
        parent: Tensor,  # [N], -1 for the root and padding
        eos: Tensor,  # [E]
        *,
        levels: int,
        filtered: bool = False,
    ) -> Walk: ...


class RmsNorm(Protocol):
    """x [..., H] over its root mean square, times weight [H]."""

    def __call__(self, x: Tensor, weight: Tensor, eps: float, style: NormStyle = "llama") -> Tensor: ...


class Gated(Protocol):
    """activation(gate) * up, all [..., I]."""

    def __call__(self, gate: Tensor, up: Tensor, kind: Gate = "silu") -> Tensor: ...


class RotaryStore(Protocol):
    """Rotated queries [Hq, N, D]; rotated keys and the values go to slots committed .. committed + N - 1."""

    def __call__(
        self,
        query: Tensor,  # [N, Hq, D]
        key: Tensor,  # [N, Hkv, D]
        value: Tensor,  # [N, Hkv, Dv]
        cos: Tensor,  # [N, D]
        sin: Tensor,  # [N, D]
        keys: Tensor,  # [Hkv, S, D], written
        values: Tensor,  # [Hkv, S, Dv], written
        committed: Tensor,  # []
    ) -> Tensor: ...


class RowLinear(Protocol):
    """x [..., K] times weight [N, K] transposed, plus bias [N]: [..., N]."""

    def __call__(self, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor: ...


@dataclass(frozen=True)
class KernelSet:
    """One of each operation from one source; `name` is what the trace says ran.

    Attributes:
        exact: a row's result in `tree_attention` and `linear` does not depend on the other rows.
        fuses: norms, gates and rotary embeddings of a stock model run faster through this set's operations.
        reads_device: operations may copy from the device to the host, so they cannot be captured as a graph.
        first_gpu_only: operations run on the first GPU that the process sees.
        dtypes: what the operations compute in; None takes any floating-point dtype.
        versions: of the library the operations need beyond PyTorch.
    """

    name: Literal["reference", "triton"]
    tree_attention: TreeAttention
    prefix_tree: PrefixTree
    candidate_tree: CandidateTree
    children: ChildrenOf
    best: Best
    pick: Pick
    kv_commit: KvCommit
    walk: WalkDown
    rms_norm: RmsNorm
    gated: Gated
    rotary_store: RotaryStore
    linear: RowLinear
    exact: bool = False
    fuses: bool = False
    reads_device: bool = True
    first_gpu_only: bool = False
    dtypes: tuple[torch.dtype, ...] | None = None
    versions: Mapping[str, str] = field(default_factory=dict)

    def takes(self, dtype: torch.dtype) -> bool:
        """Whether the operations compute in `dtype`."""
        return self.dtypes is None or dtype in self.dtypes
