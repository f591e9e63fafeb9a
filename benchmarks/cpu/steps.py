"""What one step costs: plain, trees, a draft, a prompt; interleaved, medians and least."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from kernels import kernel_set
from kernels.native import Draft, Rule, Search, SearchSettings, Segment
from kernels.native.choices import Acceptance
from playground.base_model.adapter import BaseModel
from playground.base_model.native import NativeBase
from playground.drafter.native import NativeDraftModel
from playground.session import Session

CONTEXT, ROUNDS, NODES, PROMPT, CHUNK = 300, 31, (1, 4, 8, 16), 1024, 128


def steps(session: Session) -> dict[str, Any]:
    base, drafter = session.pair.base, session.pair.drafter
    assert isinstance(base, NativeBase) and isinstance(drafter, NativeDraftModel)
    calls = {f"nodes_{nodes}": _forward(base, nodes) for nodes in NODES}
    calls["draft_4x4"] = _draft(base, drafter)
    found = _interleaved(calls, ROUNDS)
    plain, least = found["nodes_1"]["median"], found["nodes_1"]["least"]
    prompts = _interleaved({"native": _native_prompt(base), "eager": _eager_prompt()}, 3)
    return {
        "ms": found,
        "in_plain_steps": {name: round(one["median"] / plain, 3) for name, one in found.items()},
        "in_plain_steps_least": {name: round(one["least"] / least, 3) for name, one in found.items()},
        "prompt_1024_ms": prompts,
        "prompt_speedup": round(prompts["eager"]["median"] / prompts["native"]["median"], 2),
    }  # fmt: skip


def _interleaved(calls: dict[str, Callable[[], object]], rounds: int) -> dict[str, dict[str, float]]:
    times: dict[str, list[float]] = {name: [] for name in calls}
    for call in calls.values():
        call()
    for _ in range(rounds):
        for name, call in calls.items():
            start = time.perf_counter()
            call()
            times[name].append((time.perf_counter() - start) * 1e3)
    return {
        name: {"least": round(min(one), 3), "median": round(statistics.median(one), 3)} for name, one in times.items()
    }


def _forward(base: NativeBase, nodes: int) -> Callable[[], object]:
    """A forward, all logits and the walk."""
    model = base.model
    cache, ids = model.new_cache(CONTEXT + nodes), np.arange(CONTEXT, dtype=np.int32) + 50
    model.forward([Segment.chain(cache, 0, ids)])
    cache.commit(0, np.arange(CONTEXT, dtype=np.int32))
    accepted = Acceptance(model.library.c, model.handle, Rule(), base.eos, nodes, base.vocab_size)
    tree = Segment.chain(cache, CONTEXT, np.arange(1, nodes + 1, dtype=np.int32))
    taps = tuple(layer - 1 for layer in base.taps)

    def call() -> None:
        hidden = model.forward([tree], taps).hidden
        accepted.walk(tree.tokens, tree.parents, tree.depths, CONTEXT, hidden, nodes)

    return call


def _draft(base: NativeBase, drafter: NativeDraftModel) -> Callable[[], object]:
    settings = SearchSettings(4, 4)
    search, draft = Search(settings), Draft(settings)
    state = np.random.default_rng(0).standard_normal(base.hidden_size * (1 + len(base.taps))).astype(np.float32)
    history = np.arange(CONTEXT, dtype=np.int32) + 50
    return lambda: drafter.native.draft(search, state, history, CONTEXT, base.eos, 4, draft)


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
