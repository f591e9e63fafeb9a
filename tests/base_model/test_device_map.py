"""A base model spread by accelerate: weights in memory and on disk, the same logits, texts and training corpora."""

from __future__ import annotations

import gc
import json
import os
import platform
import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from accelerate import cpu_offload, infer_auto_device_map
from transformers import AutoModelForCausalLM

from kernels import KernelSet
from playground.base_model.adapter import BaseModel
from playground.base_model.cache import LayerShape
from playground.base_model.offload import OffloadFolder
from playground.base_model.placement import is_spread
from playground.cli import main
from playground.config import (
    BeamShape,
    DeviceMap,
    EngineOptions,
    Message,
    PlaygroundError,
    RunRequest,
    Sampling,
    parse_device_map,
)
from playground.engine_options import main_device, options_with_map
from playground.footprint import Footprint, no_room, tightest
from playground.session import Session
from playground.trace import Trace
from tests.families import random_model

CPU = torch.device("cpu")
MIXED: DeviceMap = {
    "model.embed_tokens": "disk", "model.rotary_emb": "cpu", "model.layers.0": "cpu", "model.layers.1": "disk",
    "model.norm": "cpu", "lm_head": "disk",
}  # fmt: skip


def too_large_for_memory(folder: Path) -> DeviceMap:
    """What accelerate itself plans where memory ends before the layers do."""
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    plan = infer_auto_device_map(model, {"cpu": 80_000}, no_split_module_classes=list(model._no_split_modules))
    assert set(plan.values()) == {"cpu", "disk"}
    return dict(plan)


def logits_of(base: BaseModel) -> list[torch.Tensor]:
    """A prompt's, a tree's, and one token's after a commit."""
    tokens = torch.arange(3, 23) % base.vocab_size
    cache = base.new_cache(40)
    found = [base.prefill(tokens[:12], cache).logits]
    ancestors = torch.tensor([[1, 0, 0, 0], [1, 1, 0, 0], [1, 0, 1, 0], [1, 0, 1, 1]], dtype=torch.bool)
    found.append(base.forward(tokens[12:16], torch.tensor([0, 1, 1, 2]), ancestors, cache).logits)
    cache.commit(torch.tensor([0, 2, 3]))
    return [*found, base.forward(tokens[16:17], torch.zeros(1, dtype=torch.int64), ancestors[:1, :1], cache).logits]


def same(one: BaseModel, other: BaseModel) -> bool:
    return all(torch.equal(a, b) for a, b in zip(logits_of(one), logits_of(other), strict=True))


def offloaded(own_cache: Path) -> list[Path]:
    gc.collect()
    return list((own_cache / "offload").glob("*"))


@pytest.mark.parametrize("plan", ["auto", "planned", "all-on-disk", "mixed"])
def test_logits_are_those_of_one_device(plan: str, own_cache: Path, tiny_base: Path, kernels: KernelSet) -> None:
    maps = {"auto": "auto", "all-on-disk": {"": "disk"}, "mixed": MIXED}
    device_map = too_large_for_memory(tiny_base) if plan == "planned" else maps[plan]
    together = BaseModel.load(tiny_base, device=CPU, dtype=torch.float32, kernels=kernels)
    apart = BaseModel.load(tiny_base, device=CPU, dtype=torch.float32, kernels=kernels, device_map=device_map)
    assert apart.put_aside == ("" if plan == "auto" else "on disk") and apart.devices == (CPU,)
    assert same(together, apart)
    ids = torch.tensor([5, 1, 200])
    assert torch.equal(together.output_rows(ids).weight, apart.output_rows(ids).weight)
    assert torch.equal(together.embed(ids), apart.embed(ids))
    assert offloaded(own_cache) == []  # the model's own file is read again: nothing was written


def test_weights_that_wait_in_memory(tiny_base: Path, kernels: KernelSet) -> None:
    """accelerate's offload to the host, which with a GPU is what `cpu` in a map means; here the host computes too."""
    stock = cpu_offload(AutoModelForCausalLM.from_pretrained(tiny_base, dtype=torch.float32), CPU)
    assert all(weight.is_meta for weight in stock.parameters()) and is_spread(stock)
    apart = BaseModel.from_model(stock, kernels=kernels)
    together = BaseModel.load(tiny_base, device=CPU, dtype=torch.float32, kernels=kernels)
    assert apart.device == CPU and same(together, apart)
    assert torch.equal(together.output_rows().weight, apart.output_rows().weight)


def test_weights_that_must_be_written_go_with_the_model(own_cache: Path, tmp_path: Path, kernels: KernelSet) -> None:
    """Experts are stored one by one and run together, so that their weights cannot be read from the model's file."""
    folder = tmp_path / "experts"
    random_model("Mixtral", num_local_experts=2, num_experts_per_tok=1).save_pretrained(folder)
    together = BaseModel.load(folder, device=CPU, dtype=torch.float32, kernels=kernels)
    apart = BaseModel.load(folder, device=CPU, dtype=torch.float32, kernels=kernels, device_map={"": "disk"})
    assert len(offloaded(own_cache)) == 1 and any(offloaded(own_cache)[0].iterdir())
    assert same(together, apart)
    del apart
    assert offloaded(own_cache) == []


def test_what_a_killed_process_put_on_disk_goes(own_cache: Path) -> None:
    done = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, check=True)
    dead = own_cache / "offload" / f"{platform.node()}-{int(done.stdout)}-abc"
    ours = own_cache / "offload" / f"{platform.node()}-{os.getpid()}-abc"
    elsewhere = own_cache / "offload" / "another.machine-1-abc"
    for folder in (dead, ours, elsewhere):
        folder.mkdir(parents=True)
    made = OffloadFolder()
    assert sorted(offloaded(own_cache)) == sorted([ours, elsewhere, made.path])
    for folder in (ours, elsewhere, made.path):
        folder.rmdir()


def test_a_map_that_cannot_be_followed_is_said(own_cache: Path, tiny_base: Path, kernels: KernelSet) -> None:
    with pytest.raises(PlaygroundError, match=r"tiny could not be loaded.*Use the device map 'auto'"):
        BaseModel.load(tiny_base, device=CPU, dtype=torch.float32, kernels=kernels, device_map={"model.norm": "disk"})
    assert offloaded(own_cache) == []


# --- a session ----------------------------------------------------------------------------------------------------


def race(own_cache: Path, base: Path, drafter: Path, options: EngineOptions) -> tuple[Session, Trace]:
    session = Session.open(str(base), str(drafter), options)
    request = RunRequest((Message("user", "Hi"),), sampling=Sampling(temperature=1.0, seed=3), max_new_tokens=20)
    records = session.run(request, threading.Event())
    trace = Trace(next(records))  # type: ignore[arg-type]
    for record in records:
        trace.add(record)
    return session, trace


def test_a_race_writes_the_same_text(own_cache: Path, tiny_base: Path, tiny_drafter: Path) -> None:
    one = EngineOptions(device="cpu", dtype="float32")
    spread = EngineOptions(dtype="float32", device_map=json.dumps(too_large_for_memory(tiny_base)))
    _, together = race(own_cache, tiny_base, tiny_drafter, one)
    session, apart = race(own_cache, tiny_base, tiny_drafter, spread)
    assert session.info.device.endswith(", weights on disk") and session.info.engine == "eager"
    assert together.footer is not None and apart.footer is not None and apart.parity is not None
    assert apart.footer.text == together.footer.text and apart.parity.identical
    assert [step.tree for step in apart.steps] == [step.tree for step in together.steps]


@pytest.mark.parametrize("dtype", ["auto", "bfloat16"])
def test_the_terminal_takes_a_map(
    own_cache: Path, tiny_base: Path, tiny_drafter: Path, dtype: str, capsys: pytest.CaptureFixture[str]
) -> None:
    pair = ["--base", str(tiny_base), "--drafter", str(tiny_drafter), "--dtype", dtype, "--max-new-tokens", "8"]
    assert main(["race", "Hi", *pair, "--device-map", '{"": "disk"}', "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["device"].endswith("weights on disk") and found["engine"] == "eager" and found["identical"]
    assert main(["generate", "Hi", *pair, "--device-map", "auto", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["new_tokens"] == 8


def test_a_drafter_is_trained_for_a_model_on_disk(
    own_cache: Path, tiny_base: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sizes = ["--rows", "24", "--row-tokens", "96", "--steps", "4", "--batch", "4", "--trial-tokens", "4"]
    asked = ["--base", str(tiny_base), "--dtype", "float32", *sizes, "--json"]
    found = []
    for name, more in (("together", ["--device", "cpu"]), ("apart", ["--device-map", '{"": "disk"}'])):
        assert main(["train", "--out", str(tmp_path / name), *asked, *more]) == 0
        found.append(json.loads(capsys.readouterr().out)["held_out"])
    assert found[0]["loss"] == found[1]["loss"]
    corpora = [(tmp_path / name / "work" / "corpus" / "rows-00000.npz") for name in ("together", "apart")]
    assert corpora[0].read_bytes() == corpora[1].read_bytes()


@pytest.mark.parametrize("text", ["everywhere", "", "[]", "{}", '{"": null}', '{"": true}', '{"": 1.5}', "1"])
def test_what_is_no_map_is_said(text: str) -> None:
    with pytest.raises(PlaygroundError, match="must be one of auto, balanced, balanced_low_0, sequential, or a JSON"):
        EngineOptions(device_map=text)
    assert parse_device_map('{"a": 0, "b": "disk"}') == {"a": 0, "b": "disk"}


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"device": "cpu"}, "a map says itself where the model goes. Leave the device at auto"),
        ({"device_map": '{"": 7}'}, r"Device is 'cuda:7', but this machine has \d"),
        ({"device_map": '{"": "moon"}'}, "Device is 'moon'"),
        ({"engine": "captured"}, "needs the eager engine, but engine 'captured' keeps"),
        ({"exact": True}, "needs the eager engine, but exact mode keeps"),
        ({"kernels": "triton"}, "'triton', which run on the first GPU alone"),
    ],
)
def test_what_a_map_cannot_go_with_is_said(options: dict[str, Any], sentence: str) -> None:
    asked = EngineOptions(**{"device_map": "auto"} | options)
    with pytest.raises(PlaygroundError, match=sentence):
        main_device(options_with_map(asked))


def test_with_a_map_the_engine_is_eager_and_kernels_the_reference() -> None:
    asked = options_with_map(EngineOptions(device_map="balanced"))
    assert (asked.engine, asked.kernels, asked.device_map) == ("eager", "reference", "balanced")
    assert options_with_map(EngineOptions()) == EngineOptions()


@dataclass
class TwoDevices:
    """A base model whose last layer stands on a second GPU, as far as memory goes."""

    device = torch.device("cuda", 0)
    devices = (device, torch.device("cuda", 1))
    shapes = (LayerShape(2, 8, 8, devices[0]), LayerShape(2, 8, 8, devices[1]))
    dtype, vocab_size, context_size = torch.float32, 100, 32
    slot_bytes, node_bytes = BaseModel.slot_bytes, BaseModel.node_bytes


def test_memory_is_counted_on_each_device() -> None:
    base: Any = TwoDevices()
    shape, free = BeamShape(4, 3), {base.devices[0]: 10**9, base.devices[1]: 40_000}
    footprint, room = tightest(base, shape, 300, 2, free.__getitem__)
    assert room == 40_000 and footprint.slot == 2 * 16 * 4 and footprint.node == 0
    assert Footprint.of(base).node > 0 and Footprint.of(base).slot == footprint.slot
    sentence = str(no_room(footprint, shape, 300, 2, room))
    assert "39.1 KiB are free on cuda:1" in sentence
    assert tightest(base, shape, 300, 2, lambda device: 10**9)[0].place == "cuda:0"
