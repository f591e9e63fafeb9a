"""Ctrl-C while a small model is trained for: quick, without loss, and the drafter is that of an unbroken run."""

from __future__ import annotations

import subprocess
from pathlib import Path

from playground.drafter.file import load_drafter
from tests.distill.stopping import ROOT, Moment, interrupt, train

MOMENTS = (
    Moment("", 0.7), Moment("corpus", 0.0), Moment("teacher", 0.0),
    Moment("training", 0.1), Moment("training", 0.5), Moment("trial", 0.0),
)  # fmt: skip


def test_stopped_at_several_moments(own_cache: Path, tiny_base: Path, tmp_path: Path) -> None:
    asked = ["--base", str(tiny_base), "--device", "cpu", "--engine", "eager", "--dtype", "float32", "--threads", "1"]
    asked += ["--rows", "96", "--row-tokens", "96", "--steps", "120", "--batch", "32"]
    asked += ["--trial-prompts", "3", "--trial-tokens", "32"]
    broken, whole = train("--out", str(tmp_path / "broken"), *asked), train("--out", str(tmp_path / "whole"), *asked)
    stops = interrupt(broken, tmp_path / "broken" / "work", MOMENTS)
    assert sum(stop.interrupted for stop in stops) >= 4
    for command in (broken, whole):
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr[-2000:]
    assert load_drafter(tmp_path / "broken").hashes == load_drafter(tmp_path / "whole").hashes
