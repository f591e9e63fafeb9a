"""What `auto` becomes on a device, and the sentences for what cannot run there. No device is touched."""

from __future__ import annotations

import pytest
import torch

from playground.config import EngineOptions, PlaygroundError
from playground.engine_options import resolve_engine, resolve_kernels

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
