"""Models of known shapes with random weights: plain decoding against the bandwidth ceiling, and what a step costs.

Random weights accept nothing, so a speed-up is told for given tokens per step: tokens per step over a step's cost in
plain steps.
"""

from __future__ import annotations

import time
from typing import Any

import torch

from benchmarks.gpu import models
from benchmarks.gpu.report import Report, ceiling, device, milliseconds
from kernels import kernel_set
from playground.base_model.adapter import BaseModel
from playground.config import BeamShape
from playground.decode.replay.program import Program

TOKENS_PER_STEP = (2.5, 3.0, 3.5, 4.2)


def measure(report: Report, end: float, *, name: str, smoke: bool) -> None:
    """Plain ms, stage ms over beam shapes and contexts, the peer, exact mode's cost."""
    shape = models.SHAPES["tiny" if smoke else name]
    dtype = torch.float32 if smoke else torch.bfloat16
    section = f"{name} shape"
    top = ceiling(smoke=smoke)
    stock = models.stock_model(shape, dtype)
    size = models.weight_bytes(stock)
    report.add(section, "weight GB", size / 1e9)
    report.add(section, "transformers generate ms", generate_ms(stock, tokens=4 if smoke else 40))
    kernels = kernel_set("triton", device())
    base = BaseModel.from_model(stock, kernels=kernels, name=name)
    drafter = models.random_drafter(base, 50 if smoke else 16_384)
    plain = _plain(report, section, base, size, top, (16,) if smoke else (256, 1024, 4096, 8192))
    share = plain["share"]
    limit = 0.75 if "7b" in name else 0.60
    report.judge(f"{section}: plain decoding, share of the bandwidth ceiling at 1k", share, limit, at_least=True)
    for context in (16,) if smoke else (1024, 256, 4096, 8192):
        for beams in (
            [BeamShape(2, 2)] if smoke else [BeamShape(16, 4), BeamShape(8, 5), BeamShape(4, 4), BeamShape(1, 3)]
        ):
            if time.perf_counter() > end - 10:
                report.skip(section, "beam shapes left out for time")
                break
            nodes = min(64, beams.max_nodes)
            stages = step_ms(models.drafting_at(base, drafter, beams, context), nodes)
            cost = stages["step"] / plain["ms"][context]
            speedups = {f"at {rate}": rate / cost for rate in TOKENS_PER_STEP}
            key = f"W={beams.width} L={beams.length} N={nodes} context={context}"
            report.add(section, key, {**stages, "plain steps": cost, "speed-up": speedups})
            if (beams, context) == (BeamShape(16, 4), 1024) and "7b" in name:
                report.judge(f"{section}: a step of 64 nodes at 1k, in plain steps", cost, 1.25, at_least=False)
    del base, drafter
    models.free()
    if time.perf_counter() > end - 10:
        report.skip(section, "exact mode left out for time")
        return
    _exact(report, section, stock, plain["ms"], smoke)


def _plain(
    report: Report, section: str, base: BaseModel, size: int, top: float, contexts: tuple[int, ...]
) -> dict[str, Any]:
    found: dict[int, float] = {}
    share = 0.0
    for context in contexts:
        program = models.plain_at(base, context)
        ms, cache = token_ms(program, repeats=30), program.stages.cache
        moved = size + context * cache.bytes / cache.capacity
        found[context] = ms
        report.add(section, f"plain ms at {context}", {"ms": ms, "share of ceiling": moved / (ms * 1e-3) / top})
        if context in (1024, contexts[0]):
            share = moved / (ms * 1e-3) / top
    return {"ms": found, "share": share}


@torch.inference_mode()
def token_ms(program: Program, repeats: int) -> float:
    """A plain token's replay, what tells the host left out."""
    return milliseconds(program.settling(1)["verify"], repeats=repeats)


@torch.inference_mode()
def step_ms(program: Program, nodes: int) -> dict[str, float]:
    """Each stage's replay, and their sum."""
    for stage in program.proposing.values():
        stage()
    settling = program.settling(nodes)
    settling["verify"]()
    committed = program.stages.cache.committed_tensor
    before = committed.clone()
    ms = {name: milliseconds(stage) for name, stage in {**program.proposing, **settling}.items()}
    committed.copy_(before)
    judge = ms.pop("judge")
    return {**ms, "step": sum(ms.values()), "judge (record only)": judge}


def generate_ms(model: Any, tokens: int) -> float:
    """transformers' own generate on the stock model, greedy, ms a token without the prompt."""
    prompt = torch.arange(3, 19, device=device())[None] % 200
    settings = {"do_sample": False, "use_cache": True, "pad_token_id": 0}

    def run(count: int) -> float:
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        start = time.perf_counter()
        with torch.inference_mode():
            model.generate(prompt, max_new_tokens=count, min_new_tokens=count, **settings)
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        return (time.perf_counter() - start) * 1e3

    run(2)
    return (run(tokens) - run(2)) / (tokens - 2)


def _exact(report: Report, section: str, stock: Any, plain: dict[int, float], smoke: bool) -> None:
    """Plain decoding of exact mode over default mode's."""
    kernels = kernel_set("triton", device(), exact=True)
    base = BaseModel.from_model(stock, kernels=kernels, name=section)
    context = min(plain, key=lambda length: abs(length - 1024))
    ms = token_ms(models.plain_at(base, context), repeats=30)
    report.add(section, f"exact plain ms at {context}", ms)
    cost = ms / plain[context] - 1.0
    report.judge(f"{section}: exact mode's cost over default plain decoding", cost, 0.35, at_least=False)
    if not smoke:
        drafter = models.random_drafter(base, 16_384)
        program = models.drafting_at(base, drafter, BeamShape(16, 4), context)
        report.add(section, f"exact step of 64 nodes at {context}", step_ms(program, 64))
