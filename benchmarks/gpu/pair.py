"""The default pair, or a random one of its shape: its step in plain steps, parity of the lanes, energy."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from benchmarks.gpu import models
from benchmarks.gpu.energy import EnergyMeter
from benchmarks.gpu.report import Report, device
from benchmarks.gpu.shapes import generate_ms, step_ms, token_ms
from kernels import KernelSet, kernel_set
from playground.base_model.adapter import BaseModel
from playground.base_model.pairing import pair_drafter
from playground.config import BeamShape, Sampling
from playground.decode.decoding import Decoding, Drafting
from playground.decode.engine import DraftingLane, PlainLane
from playground.decode.replay import Programs, ReplayedRunner
from playground.drafter.cell import Drafter
from playground.drafter.file import load_drafter
from playground.figures.parity import compare

BEAMS = BeamShape()  # the page's default
AnyLane = DraftingLane | PlainLane


def _stock(chosen: argparse.Namespace) -> Any:
    dtype = torch.float32 if chosen.smoke else torch.bfloat16
    if chosen.base is None:
        return models.stock_model(models.SHAPES["tiny" if chosen.smoke else "smollm2-135m"], dtype, window=8192)
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(chosen.base, dtype=dtype, local_files_only=True).to(device()).eval()


def _pair(chosen: argparse.Namespace, kernels: KernelSet) -> tuple[BaseModel, Drafter]:
    base = BaseModel.from_model(_stock(chosen), kernels=kernels, name=chosen.base or "random model")
    if chosen.drafter is None:
        return base, models.random_drafter(base, 50 if chosen.smoke else 8192)
    return base, pair_drafter(load_drafter(chosen.drafter), base)


def _prompts(chosen: argparse.Namespace, base: BaseModel, count: int) -> list[list[int]]:
    """Ids of first turns in the chat template, or of a counter where there is no tokenizer."""
    if chosen.base is None or chosen.prompts is None:
        size = base.vocab_size
        return [[(7 * (index + 1) * (place + 3)) % size for place in range(12 + index)] for index in range(count)]
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(chosen.base, local_files_only=True)
    lines = Path(chosen.prompts).read_text().splitlines()
    turns = [json.loads(line)["turns"][0] for line in lines if line.strip()]
    texts = turns[:count]
    if tokenizer.chat_template:
        chats = [[{"role": "user", "content": turn}] for turn in texts]
        texts = [tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True) for chat in chats]
    return [tokenizer(text, add_special_tokens=False)["input_ids"] for text in texts]


def measure(report: Report, end: float, *, chosen: argparse.Namespace) -> None:
    """A step of the default beam shape in plain steps; plain decoding against transformers' generate."""
    section, kernels = "default pair", kernel_set("triton", device())
    peer = generate_ms(_stock(chosen), tokens=4 if chosen.smoke else 60)
    models.free()
    base, drafter = _pair(chosen, kernels)
    beams = BeamShape(2, 2) if chosen.smoke else BEAMS
    context = 16 if chosen.smoke else 512
    plain = token_ms(models.plain_at(base, context), repeats=5 if chosen.smoke else 50)
    stages = step_ms(models.drafting_at(base, drafter, beams, context), min(24, beams.max_nodes))
    cost = stages["step"] / plain
    report.add(section, "fused modules", vars(base.fused))
    report.add(section, "transformers generate ms", peer)
    report.add(section, "plain ms", plain)
    report.add(section, f"step W={beams.width} L={beams.length}", {**stages, "plain steps": cost})
    report.judge("default pair: plain decoding over transformers' generate", peer / plain, 3.0, at_least=True)
    report.judge("default pair: a default step in plain steps", cost, 1.3, at_least=False)
    told = stages["judge (record only)"] / stages["step"]
    report.judge("default pair: what the record adds to a step", told, 0.03, at_least=False)


def parity(report: Report, end: float, *, chosen: argparse.Namespace) -> None:
    """Both lanes over prompts: default mode is measured, exact mode must not differ. Wall times of both lanes."""
    count, new = (1, 6) if chosen.smoke else (80, 512)
    for exact in (True, False):
        kernels = kernel_set("triton", device(), exact=exact)
        base, drafter = _pair(chosen, kernels)
        for sampling in (Sampling(), Sampling(temperature=0.7, seed=1)):
            plain = Decoding(base, sampling)
            beams = BeamShape(2, 2) if chosen.smoke else BEAMS
            drafting = Decoding(base, sampling, Drafting(drafter, beams), judged=False)
            found = _race(plain, drafting, _prompts(chosen, base, count), new, end)
            mode, heat = "exact" if exact else "default", "greedy" if sampling.greedy else "0.7"
            report.add("parity", f"{mode}, {heat}", found)
            if exact:
                name = f"exact mode, {heat}: differing prompts of {found['prompts']} x {new} tokens"
                report.judge(name, float(found["differing"]), 0, at_least=False, timed=False)
        del base, drafter, plain, drafting
        models.free()


def _race(plain: Decoding, drafting: Decoding, prompts: list[list[int]], new: int, end: float) -> dict[str, Any]:
    programs = Programs(places=8)  # prompts of several lengths need caches of several capacities
    done = differing = steps = emitted = 0
    clocks = {"redrafter": 0.0, "plain": 0.0}
    gaps = []
    share = time.perf_counter() + (end - time.perf_counter()) / 4  # four races share what is left
    for prompt in prompts:
        ours = DraftingLane(ReplayedRunner(drafting, programs), new)
        theirs = PlainLane(ReplayedRunner(plain, programs), new)
        for lane in (ours, theirs):
            _write(lane, prompt)
            clocks[lane.name] += lane.clock_ms
        verdict = compare(ours.tokens, theirs.tokens, theirs.gaps, finished=True)
        done, steps, emitted = done + 1, steps + ours.steps, emitted + len(ours.tokens) - 1
        differing += not verdict.identical
        gaps += [] if verdict.gap is None else [verdict.gap]
        if time.perf_counter() > share:
            break
    rates = {lane: emitted / (ms * 1e-3) if ms else 0.0 for lane, ms in clocks.items()}
    return {
        "prompts": done,
        "differing": differing,
        "gaps at differences": gaps,
        "tokens per step": emitted / steps if steps else None,
        "tokens per second": rates,
        "speed-up": rates["redrafter"] / rates["plain"] if rates["plain"] else None,
    }


def energy(report: Report, end: float, *, chosen: argparse.Namespace) -> None:
    """Joules a token of each lane, in runs of their own of at least two seconds."""
    meter = EnergyMeter.open()
    if meter is None:
        report.skip("energy", "no NVML energy counter here")
        return
    kernels = kernel_set("triton", device())
    base, drafter = _pair(chosen, kernels)
    programs, prompts = Programs(places=8), _prompts(chosen, base, 8)
    drafting = Decoding(base, Sampling(), Drafting(drafter, BEAMS), judged=False)
    lanes: dict[str, Callable[[], AnyLane]] = {
        "redrafter": lambda: DraftingLane(ReplayedRunner(drafting, programs), 512),
        "plain": lambda: PlainLane(ReplayedRunner(Decoding(base, Sampling()), programs), 512),
    }
    for name, make in lanes.items():
        _write_texts(make, prompts, 0.0)  # captures
        with meter.reading() as reading:  # one reading: the counter moves a few times a second
            tokens = _write_texts(make, prompts, 2.5)
        report.add("energy", name, {
            "joules per token, prompts included": reading.joules / max(1, tokens),
            "watts": reading.joules / reading.seconds, "tokens": tokens, "seconds": reading.seconds,
        })  # fmt: skip


def _write(lane: AnyLane, prompt: list[int]) -> None:
    """Run a lane to its end."""
    lane.start(prompt)
    while lane.finish_reason is None:
        lane.step()


def _write_texts(make: Callable[[], AnyLane], prompts: list[list[int]], seconds: float) -> int:
    """Answer the prompts, again and again until `seconds` are over; the tokens written."""
    tokens, started = 0, time.perf_counter()
    while True:
        for prompt in prompts:
            lane = make()
            _write(lane, prompt)
            tokens += len(lane.tokens)
        if time.perf_counter() - started >= seconds:
            return tokens
