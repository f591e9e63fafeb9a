"""Picks, accepted paths and judgements over rows of logits: numpy in, numpy out.

Knows the C library and arrays; a rule's meaning stands in kernels/pick. `handle` is a model's: its vocabulary, its
instruction set and its threads are used.
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from typing import Any

import numpy as np

from kernels.native import abi
from kernels.native.errors import NativeError, check

Ints = np.ndarray[Any, np.dtype[Any]]
Floats = np.ndarray[Any, np.dtype[np.float32]]


@dataclass(frozen=True)
class Rule:
    """How a token is picked. Temperature 0 is greedy; top_k 0 and top_p 1 filter nothing; seed in 32 bits."""

    temperature: float = 0.0
    top_k: int = 0
    top_p: float = 1.0
    seed: int = 0

    def to_c(self) -> abi.CRule:
        return abi.CRule(temperature=self.temperature, top_p=self.top_p, top_k=self.top_k, seed=self.seed)


@dataclass(frozen=True)
class Judged:
    """What the model thinks of tokens, raw: temperature 1, no filter."""

    log_probability: Floats  # [Q]
    rank: Ints  # [Q], 1 = best; equal logits rank by id


class Acceptance:
    """Room for the logits, the path and the picks of trees of up to `nodes` rows, used again and again.

    Attributes:
        logits: [nodes, V], rows of the last tree.
        path, picks: nodes that were followed and the pick at each, -1 where the text ends.
        gap: how far the last pick was ahead.
    """

    def __init__(self, c: Any, handle: Any, rule: Rule, eos: Ints, nodes: int, vocabulary: int) -> None:
        self._c, self._handle, self._rule = c, handle, rule.to_c()
        self._eos = np.ascontiguousarray(eos, np.int32)
        self.logits = np.empty((nodes, vocabulary), np.float32)
        self._path, self._picks = np.empty((2, nodes), np.int32)
        self._asked = np.empty((2, nodes), np.int32)  # rows and tokens to judge
        self._asked_at = tuple(row.ctypes.data for row in self._asked)
        self._have, self._length, self._gap = ctypes.c_int64(), ctypes.c_int64(), ctypes.c_float()

    @property
    def path(self) -> Ints:
        return self._path[: self._length.value]

    @property
    def picks(self) -> Ints:
        return self._picks[: self._length.value]

    @property
    def gap(self) -> float:
        return self._gap.value

    def walk(self, token: Ints, parent: Ints, depth: Ints, committed: int, hidden: Floats, first: int) -> None:
        """Follow the picks down a tree [N] whose root stands at `committed`.

        Args:
            hidden: [N, H] of the nodes; logits of the first `first` are made at once, the rest when one is needed.

        Raises:
            NativeError: rows that are no tree, more of them than there is room for, or a rule out of range.
        """
        nodes = len(token)
        if nodes > len(self.logits):
            raise NativeError(
                "argument", f"A tree of {nodes} nodes is given, but there is room for {len(self.logits)}."
            )
        tree = abi.CTree(nodes, token.ctypes.data, parent.ctypes.data, depth.ctypes.data)
        self._have.value = first
        found = (self._path.ctypes.data, self._picks.ctypes.data, ctypes.byref(self._length), ctypes.byref(self._gap))
        ends = (self._eos.ctypes.data, len(self._eos))
        rows = (hidden.ctypes.data, self.logits.ctypes.data, ctypes.byref(self._have))
        check(self._c.native_accept(self._handle, self._rule, tree, committed, *ends, *rows, *found))

    def judge(self, token: Ints, parent: Ints) -> Judged:
        """Of the tree [N] just followed: every node's token under its parent but for the root's, then the last pick
        where the path does not end the text. The picks before it are nodes of the path."""
        nodes, (rows, asked) = len(token), self._asked
        rows[: nodes - 1], asked[: nodes - 1] = parent[1:], token[1:]
        end = self._length.value - 1
        last = int(self._picks[end])
        count = nodes if last >= 0 else nodes - 1
        if last >= 0:
            rows[nodes - 1], asked[nodes - 1] = self._path[end], last
        found = np.empty((2, nodes), np.float32)
        at = found.ctypes.data
        logits = (self.logits.ctypes.data, nodes)
        check(self._c.native_judge(self._handle, *logits, *self._asked_at, count, at, at + found.strides[0]))
        return Judged(found[0, :count], found[1, :count].view(np.int32))


def pick(c: Any, handle: Any, rule: Rule, logits: Floats, positions: Ints) -> tuple[Ints, Floats]:
    """The ids picked from `logits` [R, V] for tokens at absolute `positions` [R], and how far each was ahead.

    Raises:
        NativeError: a rule or sizes out of range.
    """
    logits, positions = np.ascontiguousarray(logits, np.float32), np.ascontiguousarray(positions, np.int64)
    picks, gaps = np.empty(len(logits), np.int32), np.empty(len(logits), np.float32)
    rows = (logits.ctypes.data, len(logits), positions.ctypes.data, picks.ctypes.data, gaps.ctypes.data)
    check(c.native_pick(handle, ctypes.byref(rule.to_c()), *rows))
    return picks, gaps


def judge(c: Any, handle: Any, logits: Floats, rows: Ints, tokens: Ints) -> Judged:
    """Of `tokens` [Q], each as the continuation of its row [Q] of `logits` [R, V].

    Raises:
        NativeError: a row or token out of range.
    """
    rows, tokens = np.ascontiguousarray(rows, np.int32), np.ascontiguousarray(tokens, np.int32)
    judged = Judged(np.empty(len(rows), np.float32), np.empty(len(rows), np.int32))
    asked = (rows.ctypes.data, tokens.ctypes.data, len(rows))
    found = (judged.log_probability.ctypes.data, judged.rank.ctypes.data)
    check(c.native_judge(handle, logits.ctypes.data, len(logits), *asked, *found))
    return judged
