"""Costs of steps: measured on a tiny pair, kept, measured again after a busy start; the shape that follows."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import playground.decode.native_costs as native_costs
from kernels.native import NativeLibrary
from playground.base_model.native import NativeBase
from playground.config import BeamShape
from playground.decode.native_costs import (
    COUNTS,
    TYPICAL,
    WIDTHS,
    NativeCosts,
    best_shape,
    chances,
    known_native_costs,
    measure_costs,
)
from playground.drafter.cell import Drafter
from playground.drafter.config import DrafterConfig
from playground.drafter.native import NativeDraftModel
from tests.decode.native import native_base
from tests.kernels.native.families import VOCABULARY

CALM = NativeCosts(COUNTS, tuple(4.0 + 0.05 * n for n in COUNTS), 0.3, tuple(0.05 * w for w in WIDTHS), 1.1)


@pytest.fixture(scope="module")
def base(library: NativeLibrary) -> NativeBase:
    return native_base(library, "llama", "int8")


def drafter_of(base: NativeBase) -> NativeDraftModel:
    config = DrafterConfig(vocab_size=VOCABULARY, hidden_size=64, exit_dim=64, draft_vocab_size=32, logit_cut=0)
    return NativeDraftModel.of(Drafter(config), base.model, base.name)


def test_what_is_measured_is_a_curve(base: NativeBase) -> None:
    costs = measure_costs(base, drafter_of(base))
    assert costs.nodes == COUNTS and all(ms > 0 for ms in costs.verify_ms) and costs.spread >= 1.0
    curve = costs.curve(4)
    assert curve.verify(64) >= curve.verify(1) > 0 and curve.level_ms == costs.level_ms[WIDTHS.index(4)]


@pytest.mark.parametrize("window", [8, 20, 64])
def test_a_small_window_is_measured_too(library: NativeLibrary, window: int) -> None:
    small = native_base(library, "llama", "float32", max_position_embeddings=window)
    costs = measure_costs(small, drafter_of(small))
    assert costs.nodes[0] == 1 and costs.nodes[-1] <= window - 2


def test_costs_are_kept_and_a_busy_machines_measured_again(
    base: NativeBase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured = [replace(CALM, spread=3.0), replace(CALM, spread=1.2), replace(CALM, spread=9.0)]
    monkeypatch.setattr(native_costs, "measure_costs", lambda *_: measured.pop(0))
    drafter: Any = None

    def ask(key: str = "one") -> NativeCosts:
        return known_native_costs(tmp_path, key, base, drafter, lambda *_: None)

    assert ask().busy
    assert ask().spread == 1.2 and len(measured) == 1  # anew, as the machine was busy
    assert ask().spread == 1.2 and len(measured) == 1  # read
    (file,) = tmp_path.glob("costs-*.json")
    file.write_text(file.read_text()[:40])
    assert ask().spread == 9.0 and not measured  # damaged: measured


def test_levels_between_and_beyond_the_measured_widths() -> None:
    assert CALM.level(1) == 0.05 and CALM.level(5) == pytest.approx(0.25) and CALM.level(16) == pytest.approx(0.8)


def test_cheap_nodes_make_wide_beams_and_dear_ones_narrow() -> None:
    def of(node_ms: float, level_ms: float) -> BeamShape:
        verify = tuple(4.0 + node_ms * (n - 1) for n in COUNTS)
        return best_shape(replace(CALM, verify_ms=verify, level_ms=tuple(level_ms * w for w in WIDTHS)))

    dear, cheap = of(2.5, 0.5), of(0.001, 0.001)
    assert dear.width == 1 and dear.length <= 3
    assert cheap.width == max(WIDTHS) and cheap.length == 6
    assert dear.nodes == cheap.nodes == "auto"


def test_chances_are_those_of_a_search() -> None:
    """Width 1: the first guess of each level has siblings, but only its own children follow."""
    found = chances(BeamShape(1, 2), (0.5, 0.2))
    assert found == pytest.approx([0.5, 0.25, 0.2, 0.1])
    assert chances(BeamShape(2, 2), (0.5, 0.2)) == pytest.approx([0.5, 0.25, 0.2, 0.1, 0.1, 0.04])
    assert sum(TYPICAL) < 1.0
