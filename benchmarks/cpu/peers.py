"""Plain decoding of others on the same two cores, each beside our own: llama.cpp and transformers' generate.

llama.cpp runs the bundled Q4_1 file through the PyPI package xllamacpp, where that is installed.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import statistics
import threading
from typing import Any

import torch

from benchmarks.cpu.machine import load
from playground.base_model.native import NativeBase
from playground.bench.peer import StockGenerate
from playground.config import Message, RunRequest
from playground.session import Session
from playground.sources.catalogue import resolve_base
from playground.sources.default_base import find_default_gguf
from playground.trace import Footer

PROMPT, ROUNDS = "Explain in three sentences why the sky is blue.", 5


def peers(session: Session, new_tokens: int) -> dict[str, Any]:
    """Rates by turns: theirs, ours, theirs, .."""
    others: dict[str, Any] = {"transformers_generate": _transformers(session, new_tokens)}
    if importlib.util.find_spec("xllamacpp"):
        others["llama_cpp_q4_1"] = _llama(session, new_tokens)
    rates: dict[str, list[float]] = {name: [] for name in ("plain", "drafted", *others)}
    for _ in range(ROUNDS):
        for name, rate in others.items():
            rates[name].append(rate())
        plain, drafted = _ours(session, new_tokens)
        rates["plain"].append(plain)
        rates["drafted"].append(drafted)
    medians = {name: round(statistics.median(found), 1) for name, found in rates.items()}
    found: dict[str, Any] = {"tokens_per_second": medians, "rounds": rates, "load": load()}
    for name in others:
        found[f"plain_over_{name}"] = round(medians["plain"] / medians[name], 2)
        found[f"drafted_over_{name}"] = round(medians["drafted"] / medians[name], 2)
    if "llama_cpp_q4_1" not in others:
        found["missing"] = "llama.cpp: pip install xllamacpp."
    return found


def _ours(session: Session, new_tokens: int) -> tuple[float, float]:
    request = RunRequest((Message("user", PROMPT),), shape=session.shape, max_new_tokens=new_tokens)
    footer = list(session.run(request, threading.Event()))[-1]
    assert isinstance(footer, Footer)
    return float(footer.summary.plain_tokens_per_second or 0.0), float(footer.summary.redrafter_tokens_per_second)


def _prompt_ids(session: Session) -> list[int]:
    return session.pair.tokenizer.encode((Message("user", PROMPT),), chat_template=True)


def _transformers(session: Session, new_tokens: int) -> Any:
    peer, ids = StockGenerate(resolve_base(None), torch.device("cpu"), torch.bfloat16), _prompt_ids(session)
    return lambda: peer.tokens_per_second(ids, new_tokens)


def _llama(session: Session, new_tokens: int) -> Any:
    llama = importlib.import_module("xllamacpp")
    base = session.pair.base
    assert isinstance(base, NativeBase)
    settings = llama.CommonParams()
    settings.model.path = str(find_default_gguf())
    settings.n_ctx, settings.n_parallel = 2048, 1
    settings.cpuparams.n_threads = settings.cpuparams_batch.n_threads = base.model.library.threads
    server = llama.Server(settings)
    asked = {"prompt": _prompt_ids(session), "n_predict": new_tokens, "temperature": 0, "cache_prompt": False}

    def rate() -> float:
        told = server.handle_completions(asked)
        answer = json.loads(told) if isinstance(told, str | bytes) else told
        return float(answer["timings"]["predicted_per_second"])

    return rate
