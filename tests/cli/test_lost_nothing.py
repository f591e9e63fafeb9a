"""Nothing is lost: a trace that stood there, the answer of a run whose trace found no room, the words for it."""

from __future__ import annotations

import errno
import json
import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from playground.cli import main
from playground.cli.trace_file import TraceFile
from playground.config import PlaygroundError
from playground.export import notice, read_trace
from playground.files import disk_refusal
from playground.sources.default_base import ensure_default_base
from tests.tiny import write_base
from tests.views.synthetic import make_trace

ROOT = Path(__file__).resolve().parents[2]
RUN = ["--max-new-tokens", "12", "--beam-width", "3", "--beam-length", "2"]


@pytest.fixture
def pair(own_cache: Path, tiny_base: Path, tiny_drafter: Path) -> list[str]:
    return ["--base", str(tiny_base), "--drafter", str(tiny_drafter), "--device", "cpu", "--dtype", "float32"]


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    file = tmp_path / "keep.jsonl"
    file.write_text("precious\n")
    return file


@contextmanager
def room_for(bytes_: int) -> Iterator[None]:
    """No file larger than so may be written: what a full disk is to a process."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (bytes_, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def limited(bytes_: int, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """The terminal in a process that may write no file larger than so: what a full disk is to it."""

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (bytes_, bytes_))

    command = [sys.executable, "-m", "playground", *arguments]
    return subprocess.run(
        command, cwd=ROOT, env=os.environ | environment, capture_output=True, text=True, preexec_fn=limit, timeout=300
    )


def test_a_run_that_never_began_leaves_the_trace_that_stood_there(
    kept: Path, pair: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["generate", "Hi", "--base", "/nonexistent", "--trace", str(kept)]) == 2
    assert main(["generate", "Hi " * 500, *RUN, *pair, "--trace", str(kept)]) == 2
    assert kept.read_text() == "precious\n" and os.listdir(kept.parent) == [kept.name]
    assert main(["generate", "Hi", *RUN, *pair, "--trace", str(kept)]) == 0
    assert read_trace(kept).complete and os.listdir(kept.parent) == [kept.name]


@pytest.mark.parametrize("place", ["missing/run.jsonl", ".", "file/run.jsonl", "n" * 300, "nul\0"])
def test_a_place_that_cannot_be_written_costs_no_run(
    tmp_path: Path, place: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    assert main(["generate", "Hi", "--base", "/nonexistent", "--trace", str(tmp_path / place)]) == 2
    told = capsys.readouterr().err
    assert told.startswith("The trace cannot be written to") and told.count("\n") == 1


def test_each_record_stands_in_the_file_as_soon_as_it_is_taken(kept: Path) -> None:
    trace = make_trace(new_tokens=12)
    header, *rest = trace.records()
    file = TraceFile(kept)
    assert kept.read_text() == "precious\n"
    file.take(header)
    for number, record in enumerate(rest[:4], start=2):
        file.take(record)
        assert len(kept.read_text().splitlines()) == number
    found = read_trace(kept)  # as a killed process would leave it
    assert notice(found) is not None and found.steps == trace.steps[: len(found.steps)]
    file.close()


def test_a_light_trace_is_written_record_by_record_too(
    pair: list[str], kept: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["race", "Hi", *RUN, *pair, "--trace", str(kept), "--trace-detail", "light"]) == 0
    found = read_trace(kept)
    assert found.complete and found.header.detail == "light" and all(not step.beams.tokens for step in found.steps)
    packed = kept.with_suffix(".full")
    assert main(["export", str(kept), "--to", "jsonl", "-o", str(packed), "--trace-detail", "light"]) == 0
    assert read_trace(packed) == found
    with pytest.raises(SystemExit):
        main(["race", "Hi", *RUN, *pair, "--trace", str(kept), "--trace-detail", "fine"])
    assert "invalid choice: 'fine'" in capsys.readouterr().err


BREAKING = """
import os, signal, sys
from playground.cli import main
from playground.decode.engine import DraftingLane
advance = DraftingLane.advance

def breaking(lane):
    if lane.steps == 20:
        if sys.argv[1] == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        raise {"broken": RuntimeError("shapes differ"), "interrupted": KeyboardInterrupt()}[sys.argv[1]]
    return advance(lane)

DraftingLane.advance = breaking
sys.exit(main(sys.argv[2:]))
"""


@pytest.mark.parametrize("how", ["broken", "interrupted", "killed"])
def test_a_run_that_breaks_off_leaves_its_steps(pair: list[str], kept: Path, how: str) -> None:
    """All of them where Python still runs; of a killed process, all but those that waited to be told."""
    arguments = ["generate", "Hi", *pair, "--max-new-tokens", "60", "--beam-width", "2", "--beam-length", "1"]
    command = [sys.executable, "-c", BREAKING, how, *arguments, "--trace", str(kept)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode != 0 and kept.read_bytes().endswith(b"}\n")
    found = read_trace(kept)
    assert notice(found) is not None and os.listdir(kept.parent) == [kept.name]
    assert len(found.steps) == 20 if how != "killed" else 1 <= len(found.steps) <= 20


@pytest.mark.parametrize("records", range(8))
def test_a_disk_that_fills_up_at_any_record_keeps_what_fitted(
    kept: Path, monkeypatch: pytest.MonkeyPatch, records: int
) -> None:
    trace = make_trace(new_tokens=12)
    file = TraceFile(kept)
    taken = list(trace.records())

    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    for index, record in enumerate(taken):
        if index == records:
            monkeypatch.setattr("playground.cli.trace_file.write_record", full)
        file.take(record)
    file.close()
    assert "No space left on device" in str(file.failed)
    assert kept.read_text() == "precious\n" if not records else len(kept.read_text().splitlines()) == records
    assert os.listdir(kept.parent) == [kept.name]


def test_the_answer_outlives_a_trace_without_room(
    pair: list[str], kept: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["generate", "Hi", *RUN, *pair, "--json", "--trace", str(kept)]) == 0
    whole = json.loads(capsys.readouterr().out)
    with room_for(4096):
        assert main(["generate", "Hi", *RUN, *pair, "--json", "--trace", str(kept)]) == 2
    out = capsys.readouterr()
    assert out.err.splitlines()[-1].startswith(f"The trace cannot be written to {kept}: File too large.")
    found = json.loads(out.out)
    assert found["text"] == whole["text"] and found["trace"] is None


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full here")
def test_a_full_device_is_a_sentence(pair: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["generate", "Hi", *RUN, *pair, "--json", "--trace", "/dev/full"]) == 2
    out = capsys.readouterr()
    assert json.loads(out.out)["text"] and "/dev/full: No space left on device." in out.err
    assert os.path.exists("/dev/full")


@pytest.mark.trust
@pytest.mark.parametrize("megabytes", [0, 1, 20])
def test_conversion_on_a_full_disk_is_a_sentence(tmp_path: Path, megabytes: int) -> None:
    """A cache folder with room for nothing, for the tokenizer alone, and for a part of the weights."""
    found = limited(megabytes * 2**20, "info", "--device", "cpu", REDRAFTER_CACHE=str(tmp_path / "cache"))
    assert found.returncode == 2 and "Traceback" not in found.stderr, found.stderr
    told = found.stderr.splitlines()[-1]
    assert told.startswith("The default base model could not be written to") and "Free some space" in told
    assert not list((tmp_path / "cache").glob("*/*"))


def on_a_disk_of(size: str, folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """The terminal with a file system of that size, of its own, in place of the folder, which is listed at the end."""
    folder.mkdir()
    script = 'mount -t tmpfs -o size="$0" tmpfs "$1" || exit 99; at=$1; shift; "$@"; code=$?; ls -A "$at"; exit $code'
    command = ["unshare", "-Urm", "sh", "-c", script, size, str(folder), sys.executable, "-m", "playground", *arguments]
    if shutil.which("unshare") is None:
        pytest.skip("no unshare here")
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=os.environ | environment)
    if done.returncode == 99 or done.stderr.startswith("unshare:"):
        pytest.skip("no file system can be mounted here")
    return done


@pytest.mark.trust
@pytest.mark.parametrize("size", ["1m", "20m", "200m"])
def test_conversion_on_a_small_file_system_is_a_sentence(tmp_path: Path, size: str) -> None:
    disk = tmp_path / "disk"
    found = on_a_disk_of(size, disk, "info", "--device", "cpu", REDRAFTER_CACHE=str(disk / "cache"))
    assert found.returncode == 2 and "Traceback" not in found.stderr, found.stderr
    told = found.stderr.splitlines()[-1]
    assert "could not be written to" in told and "Free some space" in told
    assert found.stdout.split() in ([], ["cache"])


@pytest.mark.trust
def test_a_trace_on_a_small_file_system_keeps_the_answer(pair: list[str], tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    asked = ["generate", "Hi", "--max-new-tokens", "40", "--json", "--trace", str(disk / "run.jsonl"), *pair]
    found = on_a_disk_of("8k", disk, *asked)
    assert found.returncode == 2 and "Traceback" not in found.stderr, found.stderr
    assert "run.jsonl: No space left on device." in found.stderr.splitlines()[-1]
    answer, listed = found.stdout.rsplit("}", 1)
    assert json.loads(answer + "}")["text"] and listed.split() == ["run.jsonl"]


@pytest.mark.parametrize("kilobytes", [0, 1, 4, 12, 40])
def test_saving_a_model_on_a_full_disk_is_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kilobytes: int
) -> None:
    """The same in a moment: a tiny model, saved by the same libraries, where the disk fills up at different files."""
    monkeypatch.setenv("REDRAFTER_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("playground.sources.default_base.find_default_gguf", lambda: tmp_path)
    monkeypatch.setattr("playground.sources.default_base._convert", lambda _from, folder, _report: write_base(folder))
    told = pytest.raises(PlaygroundError, match=r"could not be written to .* Free some space")
    with room_for(kilobytes * 1024), told:
        ensure_default_base(lambda *_: None)
    assert not list((tmp_path / "cache").glob("*/*"))
    assert ensure_default_base(lambda *_: None).is_dir()


def test_a_disk_with_too_little_room_is_told_before_the_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("REDRAFTER_CACHE", str(tmp_path / "cache"))
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=20_000_000))
    assert main(["info", "--device", "cpu"]) == 2
    assert "20 MB are free there" in capsys.readouterr().err


def test_libraries_own_errors_are_known_for_the_disks() -> None:
    assert disk_refusal(OSError(errno.ENOSPC, "x")) == "No space left on device"
    assert disk_refusal(Exception("Error while serializing: I/O error: x (os error 28)")) == "No space left on device"
    wrapped = RuntimeError("x")
    wrapped.__cause__ = OSError(errno.EDQUOT, "y")
    assert disk_refusal(wrapped) == os.strerror(errno.EDQUOT)
    assert disk_refusal(OSError(errno.ENOENT, "x")) is None and disk_refusal(ValueError("(os error 2)")) is None
