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
from kernels.native.errors import check

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
