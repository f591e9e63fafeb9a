"""The benchmark of recording measures what it says: every step once, its bytes those of the file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.recording import costs, report
from playground.cli.trace_file import TraceFile
from playground.config import BeamShape, EngineOptions, Message, RunRequest
from playground.session import Session
from playground.trace import Detail


@pytest.mark.parametrize("detail", ["full", "light"])
def test_every_step_is_measured(
    detail: Detail, own_cache: Path, tiny_base: Path, tiny_drafter: Path, tmp_path: Path
) -> None:
    session = Session.open(str(tiny_base), str(tiny_drafter), EngineOptions(device="cpu", dtype="float32"))
    path = tmp_path / "run.jsonl"
    file = TraceFile(path, detail)
    request = RunRequest((Message("user", "Hi"),), shape=BeamShape(4, 3), max_new_tokens=12, race=False)
    found = list(costs(session, request, file, path))
    file.close()
    steps = [line for line in path.read_bytes().splitlines(keepends=True) if json.loads(line)["type"] == "step"]
    assert [one.size for one in found] == [len(line) for line in steps]
    assert all(one.engine > 0 and one.write > 0 for one in found)
    told = report(found, detail)
    assert told["steps"] == len(steps) and told["detail"] == detail
    assert json.loads(json.dumps(told, allow_nan=False)) == told
