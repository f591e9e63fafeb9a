"""The benchmark of recording measures what it says: the same steps twice, and the bytes that the file has."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.recording import Spent, bare, measured, recorded, report
from playground.cli.trace_file import TraceFile
from playground.config import BeamShape, EngineOptions, Message, PlaygroundError, RunRequest
from playground.export import read_trace
from playground.session import Session
from playground.trace import Detail

REQUEST = RunRequest((Message("user", "Hi"),), shape=BeamShape(4, 3), max_new_tokens=24, race=False)


@pytest.fixture
def session(own_cache: Path, tiny_base: Path, tiny_drafter: Path) -> Session:
    return Session.open(str(tiny_base), str(tiny_drafter), EngineOptions(device="cpu", dtype="float32"))


@pytest.mark.parametrize("detail", ["full", "light"])
def test_both_runs_take_the_same_steps(session: Session, detail: Detail, tmp_path: Path) -> None:
    alone, file = bare(session, REQUEST), TraceFile(tmp_path / "run.jsonl", detail)
    told = recorded(session, REQUEST, file)
    file.close()
    assert alone.steps == told.steps == len(read_trace(tmp_path / "run.jsonl").steps) > 2
    assert alone.wall > 0 and 0 < told.write < told.wall and told.thread >= 0


def test_the_report_is_whole_and_its_bytes_are_the_files(session: Session) -> None:
    told = measured(session, REQUEST, "full", pairs=2)
    light = measured(session, REQUEST, "light", pairs=1)
    assert json.loads(json.dumps(told, allow_nan=False)) == told and told["pairs"] == 2
    assert 100 < int(str(light["bytes_a_step"])) < int(str(told["bytes_a_step"])) < 4000


def test_shares_are_of_the_bare_run() -> None:
    pairs = [(Spent(11, 100.0, 50.0), Spent(11, 100.0 + more, 51.0, write=more / 2)) for more in (1.0, 2.0, 9.0)]
    told = report(pairs, "full", 2000.4)
    assert (told["recording_over_engine"], told["least_and_most"]) == (0.02, [0.01, 0.09])
    assert (told["engine_ms"], told["recording_ms"], told["write_ms"]) == (10.0, 0.2, 0.1)
    assert told["recording_over_engine_by_processor_time"] == 0.02 and told["bytes_a_step"] == 2000
    with pytest.raises(PlaygroundError, match="took 12 steps"):
        report([(replace(pairs[0][0], steps=12), pairs[0][1])], "full", 1.0)


def test_a_run_of_one_step_is_refused(session: Session, tmp_path: Path) -> None:
    file = TraceFile(tmp_path / "run.jsonl")
    with pytest.raises(PlaygroundError, match="too few to measure"):
        recorded(session, replace(REQUEST, max_new_tokens=2), file)
    file.close()
