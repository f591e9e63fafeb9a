"""The benchmark of trees races every prompt with every shape and compares medians."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.cpu import trees as part
from benchmarks.cpu.races import prompts_of
from benchmarks.cpu.trees import trees
from playground.config import EngineOptions
from playground.session import Session


def test_mt_bench_is_raced_where_its_file_is_named(tmp_path: Path) -> None:
    file = tmp_path / "question.jsonl"
    lines = ({"question_id": n, "category": f"kind {n}", "turns": [f"Question {n}"]} for n in range(9))
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert len(prompts_of(file)["mt_bench"]) == 8
    assert set(prompts_of(None)) == {"twelve", "presets"}


def test_every_shape_races_every_prompt(
    own_cache: Path, tiny_base: Path, tiny_drafter: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = Session.open(str(tiny_base), str(tiny_drafter), EngineOptions(device="cpu", dtype="float32"))
    monkeypatch.setattr(part, "prompts_of", lambda file: {"twelve": ["Hi", "Ho"], "presets": ["not raced"]})
    found = trees(session, None, 12)
    assert found["prompts"] == 2
    assert str(session.shape) in found["shapes"] and "8x5@beams" in found["shapes"]
    assert all(one["identical"] == 2 and one["draft_over_verify"] > 0 for one in found["shapes"].values())
    medians = {shape: one["median_speedup"] for shape, one in found["shapes"].items()}
    over = found["default_over_surviving_beams"]
    assert "8x5@beams" in over
    for shape, ratio in over.items():
        assert ratio == pytest.approx(medians[str(session.shape)] / medians[shape], abs=2e-3)
