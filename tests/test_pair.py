"""What `auto` becomes on a device, what is loaded where a dtype was chosen, and the sentences for what cannot run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from playground.base_model import adapter, stock
from playground.config import EngineOptions, PlaygroundError
from playground.engine_options import resolve_engine, resolve_kernels
from playground.session import Session

CPU, CUDA, SECOND = torch.device("cpu"), torch.device("cuda"), torch.device("cuda", 1)


def engine_of(options: EngineOptions, device: torch.device) -> str:
    return resolve_engine(options, device, resolve_kernels(options, device))


@pytest.mark.parametrize(
    ("options", "device", "engine"),
    [
        (EngineOptions(), CPU, "eager"),
        (EngineOptions(), CUDA, "captured"),
        (EngineOptions(engine="eager"), CUDA, "eager"),
        (EngineOptions(kernels="reference"), CUDA, "eager"),  # the reference asks the device, which no graph can
    ],
)
def test_the_engine_of_a_device(options: EngineOptions, device: torch.device, engine: str) -> None:
    assert engine_of(options, device) == engine


@pytest.mark.parametrize(
    ("options", "device", "remedy"),
    [
        (EngineOptions(engine="captured"), CPU, "Use auto or eager"),
        (EngineOptions(engine="captured", kernels="reference"), CUDA, "or engine eager"),
        (EngineOptions(exact=True), CPU, "Use dtype float32"),
        (EngineOptions(exact=True, kernels="reference"), CUDA, "Use dtype float32"),
    ],
)
def test_engines_that_cannot_run(options: EngineOptions, device: torch.device, remedy: str) -> None:
    with pytest.raises(PlaygroundError, match=remedy):
        engine_of(options, device)


def test_kernels_that_cannot_run() -> None:
    pytest.importorskip("triton")
    with pytest.raises(PlaygroundError, match=r"float64.*or --kernels reference"):
        resolve_kernels(EngineOptions(dtype="float64"), CUDA)
    with pytest.raises(PlaygroundError, match="CUDA_VISIBLE_DEVICES=1"):
        resolve_kernels(EngineOptions(), SECOND)
    assert resolve_kernels(EngineOptions(dtype="float64", kernels="reference"), SECOND).name == "reference"
    assert resolve_kernels(EngineOptions(dtype="float64"), CPU).name == "reference"


@pytest.fixture
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDRAFTER_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def loads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Dtypes in which the stock model was loaded."""
    taken: list[str] = []

    def load(*arguments: Any, **named: Any) -> Any:
        taken.append(str(named["dtype"]).removeprefix("torch."))
        return stock.load_transformers_model(*arguments, **named)

    monkeypatch.setattr(adapter, "load_transformers_model", load)
    return taken


def opened(base: Path, dtype: str) -> Session:
    """With its threads named: costs hold for so many, and how many are free changes with the machine's other work."""
    options = EngineOptions(device="cpu", dtype=dtype, engine="eager", threads=1)  # type: ignore[arg-type]
    return Session.open(str(base), None, options)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16", "float64"])
def test_the_dtype_chosen_is_the_only_one_loaded(
    empty_cache: None, tiny_base: Path, loads: list[str], dtype: str
) -> None:
    for _ in range(2):  # the second start knows what it costs
        session = opened(tiny_base, dtype)
        assert session.info.dtype == dtype and set(session.pair.costs) == {dtype}
    assert loads == [dtype, dtype]


def test_of_a_chosen_dtype_the_others_costs_are_told_where_they_are_known(
    empty_cache: None, tiny_base: Path, loads: list[str]
) -> None:
    opened(tiny_base, "auto")
    assert set(loads) == {"bfloat16", "float32"} and len(loads) <= 3
    loads.clear()
    assert set(opened(tiny_base, "float32").pair.costs) == {"bfloat16", "float32"} and loads == ["float32"]


@pytest.mark.parametrize(("broken", "other"), [("bfloat16", "float32"), ("float32", "bfloat16")])
def test_a_dtype_that_fails_leaves_the_other_usable(
    empty_cache: None, tiny_base: Path, monkeypatch: pytest.MonkeyPatch, broken: str, other: str
) -> None:
    def load(*arguments: Any, **named: Any) -> Any:
        if named["dtype"] is getattr(torch, broken):
            raise RuntimeError(f"no {broken} for this layer")
        return stock.load_transformers_model(*arguments, **named)

    monkeypatch.setattr(adapter, "load_transformers_model", load)
    for dtype in ("auto", other):
        session = opened(tiny_base, dtype)
        assert session.info.dtype == other and set(session.pair.costs) == {other}
        assert any(f"no {broken} for this layer" in note for note in session.info.notes) == (dtype == "auto")
    with pytest.raises(PlaygroundError, match=f"no {broken} for this layer"):
        opened(tiny_base, broken)


def test_where_every_dtype_fails_the_first_reason_is_told(
    empty_cache: None, tiny_base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def load(*_: Any, **named: Any) -> Any:
        raise RuntimeError(f"not in {named['dtype']}")

    monkeypatch.setattr(adapter, "load_transformers_model", load)
    with pytest.raises(PlaygroundError, match=r"not in torch\.bfloat16"):
        opened(tiny_base, "auto")
