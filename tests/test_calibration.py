"""What is measured of a machine fits in any window, and does not outlive the noise it was measured in."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from kernels import KernelSet
from playground import calibration
from playground.base_model.adapter import BaseModel
from playground.calibration import CostFile, StepCosts, known_costs, measure, note_run
from playground.config import BeamShape, EngineOptions, Message, RunRequest
from playground.session import Session
from playground.trace import Footer
from tests.tiny import VOCABULARY, tokenizer

CPU = torch.device("cpu")


def windowed(window: int) -> LlamaForCausalLM:
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=VOCABULARY, hidden_size=32, intermediate_size=48, num_hidden_layers=1, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=window, eos_token_id=258, tie_word_embeddings=True,
    )  # fmt: skip
    return LlamaForCausalLM(config)


@pytest.mark.parametrize("window", [16, 32, 64, 65, 69, 70, 71, 88])
def test_what_is_measured_fits_in_the_window(window: int, kernels: KernelSet) -> None:
    found = measure(BaseModel.from_model(windowed(window), kernels=kernels))
    assert found.plain_ms > 0 and found.tree_ms > 0 and found.spread >= 0


def test_a_model_with_a_window_of_64_loads_and_runs(
    tmp_path: Path, tiny_drafter: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REDRAFTER_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "short"
    windowed(64).save_pretrained(folder)
    tokenizer(chat=False).save_pretrained(folder)
    session = Session.open(str(folder), str(tiny_drafter), EngineOptions(device="cpu", engine="eager"))
    request = RunRequest((Message("user", "x" * 44),), BeamShape(3, 4), max_new_tokens=20)
    *_, footer = session.run(request, threading.Event())
    assert isinstance(footer, Footer) and footer.finish_reason in ("eos", "length", "window")


def costs_of(file: CostFile, monkeypatch: pytest.MonkeyPatch, *, busy: bool, measured: StepCosts) -> tuple[Any, int]:
    """What a start knows, and how often it measured."""
    taken: list[str] = []
    base: Any = None

    def load(dtype: str) -> Any:
        taken.append(dtype)
        return base

    monkeypatch.setattr(calibration, "is_busy", lambda: busy)
    monkeypatch.setattr(calibration, "measure", lambda _: measured)
    return known_costs(file, ("float32",), load, lambda *_: None).costs["float32"], len(taken)


def test_a_noisy_measurement_is_made_again_when_the_machine_is_quiet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = CostFile(tmp_path, "model", CPU)
    noisy, clean = StepCosts(9.0, 20.0, spread=2.0), StepCosts(3.0, 6.0, spread=0.05)
    assert costs_of(file, monkeypatch, busy=True, measured=noisy) == (noisy, 1)
    assert costs_of(file, monkeypatch, busy=True, measured=clean) == (noisy, 0)  # busy still: it would tell no more
    assert costs_of(file, monkeypatch, busy=False, measured=clean) == (clean, 1)
    assert costs_of(file, monkeypatch, busy=False, measured=noisy) == (clean, 0)


def test_a_faster_run_has_what_was_measured_forgotten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = CostFile(tmp_path, "model", CPU)
    slow, true = StepCosts(10.0, 20.0), StepCosts(5.0, 9.0)
    known, _ = costs_of(file, monkeypatch, busy=False, measured=slow)
    for told in ([9.0] * 40, [30.0] * 40, [1.0] * 5, []):  # much like it, slower, too few to tell, no race
        note_run({"float32": known}, "float32", told)
        assert costs_of(file, monkeypatch, busy=False, measured=true) == (slow, 0)
    note_run({"float32": known}, "float32", [5.0] * 40)
    assert costs_of(file, monkeypatch, busy=False, measured=true) == (true, 1)
    note_run({}, "float32", [5.0] * 40)
    note_run({"float32": StepCosts(10.0, 20.0)}, "float32", [1.0] * 40)  # kept nowhere


def test_a_session_tells_of_its_runs(
    own_cache: Path, tiny_base: Path, tiny_drafter: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[tuple[str, int]] = []
    monkeypatch.setattr("playground.session.note_run", lambda _, dtype, ms: told.append((dtype, len(ms))))
    session = Session.open(
        str(tiny_base), str(tiny_drafter), EngineOptions(device="cpu", dtype="float32", engine="eager")
    )
    request = RunRequest((Message("user", "Hi"),), BeamShape(2, 2), max_new_tokens=20)
    *_, footer = session.run(request, threading.Event())
    assert isinstance(footer, Footer) and told == [("float32", footer.summary.new_tokens - 1)]
