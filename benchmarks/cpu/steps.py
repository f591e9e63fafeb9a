"""What one step costs: plain, trees, a draft, a prompt; interleaved, medians and least."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from kernels import kernel_set
from kernels.native import Segment
from playground.base_model.adapter import BaseModel
from playground.base_model.native import NativeBase
from playground.decode.native_costs import drafting, interleaved, verifying
from playground.drafter.native import NativeDraftModel
from playground.session import Session

CONTEXT, ROUNDS, NODES, PROMPT, CHUNK = 300, 31, (1, 4, 8, 16), 1024, 128


def steps(session: Session) -> dict[str, Any]:
    base, drafter = session.pair.base, session.pair.drafter
    assert isinstance(base, NativeBase) and isinstance(drafter, NativeDraftModel)
    calls = {f"nodes_{nodes}": call for nodes, call in verifying(base, CONTEXT, NODES)}
    calls["draft_4x4"] = drafting(base, drafter, CONTEXT, 4, 4, nodes=None)
    found = _figures(calls, ROUNDS)
    plain, least = found["nodes_1"]["median"], found["nodes_1"]["least"]
    prompts = _figures({"native": _native_prompt(base), "eager": _eager_prompt()}, 3)
    return {
        "ms": found,
        "in_plain_steps": {name: round(one["median"] / plain, 3) for name, one in found.items()},
        "in_plain_steps_least": {name: round(one["least"] / least, 3) for name, one in found.items()},
        "prompt_1024_ms": prompts,
        "prompt_speedup": round(prompts["eager"]["median"] / prompts["native"]["median"], 2),
    }  # fmt: skip


def _figures(calls: dict[str, Callable[[], object]], rounds: int) -> dict[str, dict[str, float]]:
    """Of each call, after one that warms up."""
    interleaved(calls, 1)
    times = interleaved(calls, rounds)
    return {
        name: {"least": round(min(one), 3), "median": round(statistics.median(one), 3)} for name, one in times.items()
    }


def _native_prompt(base: NativeBase) -> Callable[[], object]:
    ids = np.arange(PROMPT, dtype=np.int32) % 4000 + 50

    def call() -> None:
        cache = base.model.new_cache(PROMPT)
        for start in range(0, PROMPT, CHUNK):
            base.model.forward([Segment.chain(cache, start, ids[start : start + CHUNK])])
            cache.commit(start, np.arange(CHUNK, dtype=np.int32))

    return call


def _eager_prompt() -> Callable[[], object]:
    """The same prompt on the eager engine in its fastest dtype here."""
    device = torch.device("cpu")
    base = BaseModel.load(None, device=device, dtype=torch.bfloat16, kernels=kernel_set("reference", device))
    ids = torch.arange(PROMPT) % 4000 + 50
    return lambda: base.prefill(ids, base.new_cache(PROMPT))
