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
from playground.decode.decoding import Decoding, Drafting
from playground.decode.direct import DirectRunner
from playground.decode.engine import DraftingLane, PlainLane
from playground.decode.replay import Programs, ReplayedRunner
from playground.decode.replay.graphs import Replay
from playground.drafter.cell import Drafter
from playground.drafter.config import DrafterConfig
from tests.families import build

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")

DEVICE = torch.device("cuda")
PROMPT = [5, 17, 2, 8, 13, 1, 9]
SHAPES = [BeamShape(8, 3, None), BeamShape(8, 3), BeamShape(4, 3, 40)]
SAMPLINGS = [Sampling(), Sampling(temperature=1.1, seed=4), Sampling(1.2, 12, 0.9, seed=2)]


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


def both(
    base: BaseModel, drafter: Drafter, sampling: Sampling, shape: BeamShape = SHAPES[1]
) -> tuple[Decoding, Decoding]:
    """Plain decoding and drafting."""
    plain = Decoding(base, sampling)
    return plain, dataclasses.replace(plain, drafting=Drafting(drafter, shape))


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("sampling", SAMPLINGS, ids=["greedy", "hot", "top-p"])
def test_replayed_is_direct(sampling: Sampling, shape: BeamShape) -> None:
    plain, drafting = both(*pair(kernel_set("triton", DEVICE)), sampling, shape)
    programs = Programs()
    want = finished(PlainLane(DirectRunner(plain), 60))
    assert finished(PlainLane(ReplayedRunner(plain, programs), 60)) == want
    assert finished(DraftingLane(DirectRunner(drafting), 60)) == want
    for _ in range(2):  # captured anew, then replayed
        assert finished(DraftingLane(ReplayedRunner(drafting, programs), 60)) == want


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("sampling", SAMPLINGS, ids=["greedy", "hot", "top-p"])
def test_replayed_steps_are_the_direct_ones(sampling: Sampling, shape: BeamShape) -> None:
    _, drafting = both(*pair(kernel_set("triton", DEVICE)), sampling, shape)
    runs = []
    for runner in (DirectRunner(drafting), ReplayedRunner(drafting)):
        lane, steps = DraftingLane(runner, 60), []
        lane.start(PROMPT)
        while lane.finish_reason is None:
            steps.append(lane.step())
        runs.append(steps)
    for direct, replayed in zip(*runs, strict=True):
        assert (direct.beams.tokens, direct.tree) == (replayed.beams.tokens, replayed.tree)
        assert (direct.path, direct.emitted, direct.rank) == (replayed.path, replayed.emitted, replayed.rank)


def test_another_seed_replays_the_same_graphs() -> None:
    base, drafter = pair(kernel_set("triton", DEVICE))
    programs, caches = Programs(), set()
    for seed in (4, 2**32 - 1, 4):
        plain, drafting = both(base, drafter, Sampling(temperature=1.1, seed=seed))
        runners = ReplayedRunner(drafting, programs), ReplayedRunner(plain, programs)
        texts = finished(DraftingLane(runners[0], 60)), finished(PlainLane(runners[1], 60))
        assert texts[0] == texts[1] == finished(PlainLane(DirectRunner(plain), 60))
        caches |= {id(runner.stages.cache) for runner in runners}
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


@pytest.mark.parametrize("kind", [DirectRunner, ReplayedRunner])
@pytest.mark.parametrize(
    ("plain", "shape"),
    [(False, SHAPES[0]), (False, SHAPES[1]), (True, SHAPES[1])],
    ids=["beams", "best-first", "plain"],
)
def test_a_step_waits_for_nothing_but_its_message(kind: Any, plain: bool, shape: BeamShape) -> None:
    decodings = both(*pair(kernel_set("triton", DEVICE)), Sampling(), shape)
    runner = kind(decodings[0] if plain else decodings[1])
    lane: Any = PlainLane(runner, 60) if plain else DraftingLane(runner, 60)
    finished(lane)  # captures every bucket the text needs
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
    plain, drafting = both(*pair(kernels, dtype), sampling)
    drafted = finished(DraftingLane(ReplayedRunner(drafting), 300))
    assert drafted == finished(PlainLane(ReplayedRunner(plain), 300))


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

    operations = {part.name for part in dataclasses.fields(KernelSet) if callable(getattr(kernels, part.name))}
    names = operations - {"linear"}  # the vendor's, outside exact mode
    watched = pair(dataclasses.replace(kernels, **{name: counted(name) for name in names}))
    for shape in SHAPES:
        finished(DraftingLane(ReplayedRunner(both(*watched, Sampling(), shape)[1]), 20))
    assert called == names
