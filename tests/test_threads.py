"""The eager engine's threads: as many as cores are free, at least one, or as many as were asked for."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from playground import threads
from playground.config import EngineOptions
from playground.session import Session


@pytest.fixture(autouse=True)
def kept() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize(
    ("ours", "others", "left"),
    [(2, 0.0, 2), (2, 0.4, 2), (2, 1.0, 1), (2, 2.0, 1), (2, 9.0, 1), (16, 0.2, 16), (16, 8.0, 8), (1, 1.0, 1)],
)
def test_cores_that_are_left(ours: int, others: float, left: int) -> None:
    assert threads.free(ours, ours, others) == left
    assert threads.free(ours, 2 * ours, others * 2) == left  # of a machine twice as large, as busy


def test_they_are_counted_on_this_machine() -> None:
    assert 1 <= threads.free_cores() <= threads.cores() <= (os.cpu_count() or 1)


def test_the_eager_engine_takes_them(
    own_cache: Path, tiny_base: Path, tiny_drafter: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("playground.pair.free_cores", lambda: 1)
    options = EngineOptions(device="cpu", dtype="float32", engine="eager")
    assert Session.open(str(tiny_base), str(tiny_drafter), options).info.device == "cpu (1 thread)"
    asked = EngineOptions(device="cpu", dtype="float32", engine="eager", threads=2)
    assert Session.open(str(tiny_base), str(tiny_drafter), asked).info.device == "cpu (2 threads)"
