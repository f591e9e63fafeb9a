"""The captured engine on a real GPU: equal to the eager one, one wait a step, every kernel in use. Else skipped."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch

from kernels import KernelSet, kernel_set
from playground.base_model.adapter import BaseModel
from playground.base_model.pairing import pair_drafter
from playground.config import BeamShape, PlaygroundError, Sampling
from playground.decode.captured import CapturedDecoder, CapturedPlain, GraphStore
from playground.decode.captured.graphs import Replay
from playground.decode.engine import RecurrentDecoder
from playground.decode.plain import PlainDecoder
from playground.drafter.cell import Drafter
from playground.drafter.config import DrafterConfig
from tests.families import build

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")

DEVICE = torch.device("cuda")
PROMPT = [5, 17, 2, 8, 13, 1, 9]
SHAPE = BeamShape(8, 3)
SAMPLINGS = [Sampling(), Sampling(temperature=1.1, seed=4), Sampling(1.2, 12, 0.9, seed=2)]


def bytes_of(token: int) -> bytes:
    return b"%d" % token


def pair(kernels: KernelSet, dtype: torch.dtype = torch.float32) -> tuple[BaseModel, Drafter]:
    torch.manual_seed(0)
    sizes = {"hidden_size": 128, "num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 64}
    model = build("llama", vocab_size=20, **sizes).to(dtype).to(DEVICE)
    model.config.eos_token_id = model.generation_config.eos_token_id = None
    base = BaseModel.from_model(model, kernels=kernels)
    config = DrafterConfig(20, 128, 256, logit_cut=0, context_tokens=3, context_dim=8, lookup_tokens=2)
    drafter = pair_drafter(Drafter(config), base)
    return base, drafter


def finished(lane: Any) -> list[int]:
    lane.start(PROMPT)
    while lane.finish_reason is None:
        lane.step()
    return lane.tokens


@pytest.mark.parametrize("sampling", SAMPLINGS, ids=["greedy", "hot", "top-p"])
def test_captured_is_eager(sampling: Sampling) -> None:
    kernels = kernel_set("triton", DEVICE)
    base, drafter = pair(kernels)
    common = (sampling, 60, kernels, bytes_of)
    store = GraphStore()
    want = finished(PlainDecoder(base, *common))
    assert finished(CapturedPlain(base, *common, store=store)) == want
    assert finished(RecurrentDecoder(base, drafter, SHAPE, *common)) == want
    for _ in range(2):  # captured anew, then replayed
        assert finished(CapturedDecoder(base, drafter, SHAPE, *common, store=store)) == want


def test_another_seed_replays_the_same_graphs() -> None:
    kernels = kernel_set("triton", DEVICE)
    base, drafter = pair(kernels)
    store, caches = GraphStore(), set()
    for seed in (4, 2**32 - 1, 4):
        common = (Sampling(temperature=1.1, seed=seed), 60, kernels, bytes_of)
        lanes = CapturedDecoder(base, drafter, SHAPE, *common, store=store), CapturedPlain(base, *common, store=store)
        assert finished(lanes[0]) == finished(lanes[1]) == finished(PlainDecoder(base, *common))
        caches |= {id(lane.cache) for lane in lanes}
    assert len(caches) == 2


def test_a_stage_that_asks_is_told_to_run_eagerly() -> None:
    count = torch.ones((), dtype=torch.int64, device=DEVICE)

    def asking() -> None:
        count.fill_(int(count))

    def doubling() -> None:
        count.add_(count)

    with pytest.raises(PlaygroundError, match="--engine eager"):
        Replay(asking, DEVICE).prepare()
    assert torch.cuda.get_sync_debug_mode() == 0
    double = Replay(doubling, DEVICE)  # nothing is left behind
    double.prepare()
    count.fill_(3)
    double()
    assert int(count) == 6


def test_a_step_waits_for_nothing_but_its_message() -> None:
    kernels = kernel_set("triton", DEVICE)
    base, drafter = pair(kernels)
    store = GraphStore()
    lane = CapturedDecoder(base, drafter, SHAPE, Sampling(), 60, kernels, bytes_of, store=store)
    finished(lane)  # captures every bucket the text needs
    lane = CapturedDecoder(base, drafter, SHAPE, Sampling(), 60, kernels, bytes_of, store=store)
    lane.start(PROMPT)
    torch.cuda.set_sync_debug_mode("error")
    try:
        while lane.finish_reason is None:
            lane.step()
    finally:
        torch.cuda.set_sync_debug_mode("default")


@pytest.mark.parametrize("sampling", SAMPLINGS, ids=["greedy", "hot", "top-p"])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_exact_mode_is_exact_in_half_precision(sampling: Sampling, dtype: torch.dtype) -> None:
    kernels = kernel_set("triton", DEVICE, exact=True)
    base, drafter = pair(kernels, dtype)
    common = (sampling, 300, kernels, bytes_of)
    drafted = finished(CapturedDecoder(base, drafter, SHAPE, *common))
    assert drafted == finished(CapturedPlain(base, *common))


def test_the_default_engine_calls_each_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    kernels = kernel_set("auto", DEVICE)
    assert kernels.name == "triton"
    called: set[str] = set()

    def counted(name: str) -> Any:
        operation = getattr(kernels, name)

        def call(*args: Any, **named: Any) -> Any:
            called.add(name)
            return operation(*args, **named)

        return call

    names = {part.name for part in dataclasses.fields(KernelSet)} - {"name", "exact", "linear"}
    base, drafter = pair(dataclasses.replace(kernels, **{name: counted(name) for name in names}))
    watched = base.kernels
    finished(CapturedDecoder(base, drafter, SHAPE, Sampling(), 20, watched, bytes_of))
    assert called == names
