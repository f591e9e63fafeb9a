"""A disk that fills, or a process that is killed, at every file a training run puts in its place.

Corpus shards, plan, teacher states, checkpoints, drafter and card all appear by a rename at the end: the fault strikes
there, at each one in turn. What stands afterwards is the old or the new, and the same command then ends with the very
weights of a run that nobody disturbed.
"""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from playground.cli import main
from playground.drafter.file import CONFIG_FILE, WEIGHTS_FILE, load_drafter
from tests.trust.conftest import Note

ROOT = Path(__file__).resolve().parents[2]
TRAIN = [
    "--rows", "8", "--row-tokens", "64", "--shard-rows", "4", "--steps", "4", "--batch", "8", "--trial-prompts", "1",
    "--trial-tokens", "4", "--device", "cpu", "--dtype", "float32", "--engine", "eager", "--json",
]  # fmt: skip
KILLER = """
import os, pathlib, sys
from playground.cli import main
countdown, real = [int(sys.argv[1])], pathlib.Path.replace
def replace(self, target):
    countdown[0] -= 1
    if countdown[0] == 0:
        os._exit(9)
    return real(self, target)
pathlib.Path.replace = replace
sys.exit(main(sys.argv[2:]))
"""


class Faulty:
    """`Path.replace`, which finds no room the n-th time and counts all of them."""

    def __init__(self, patch: pytest.MonkeyPatch, at: int | None) -> None:
        self.calls, self.at = 0, at
        self.real: Callable[[Path, Path], Any] = Path.replace
        patch.setattr(Path, "replace", lambda path, target: self(path, target))

    def __call__(self, path: Path, target: Path) -> Any:
        self.calls += 1
        if self.calls == self.at:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(target))
        return self.real(path, target)


def command(base: Path, out: Path) -> list[str]:
    return ["train", "--base", str(base), "--out", str(out), *TRAIN]


@pytest.fixture(scope="module")
def undisturbed(own_cache: Path, tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, int]:
    """The drafter's bytes, and how many files were put in their places for it."""
    out = tmp_path_factory.mktemp("undisturbed") / "drafter"
    with pytest.MonkeyPatch.context() as patch:
        counted = Faulty(patch, None)
        assert main(command(tiny_base, out)) == 0
    return (out / WEIGHTS_FILE).read_bytes(), counted.calls


def assert_whole(out: Path) -> None:
    """A drafter that stands can be loaded; no half file stands under a name that is read."""
    if (out / WEIGHTS_FILE).exists() and (out / CONFIG_FILE).exists():
        load_drafter(out)


def strike(at: int, base: Path, folder: Path, want: bytes, capsys: pytest.CaptureFixture[str]) -> None:
    out = folder / f"at-{at}"
    with pytest.MonkeyPatch.context() as patch:
        Faulty(patch, at)
        assert main(command(base, out)) == 2, f"write {at}"
    said = capsys.readouterr().err
    last = said.splitlines()[-1]
    assert "Traceback" not in said and "is full" in last and "run the same command again" in last
    assert_whole(out)
    assert main(command(base, out)) == 0, f"after write {at}"
    assert (out / WEIGHTS_FILE).read_bytes() == want, f"after write {at}"
    capsys.readouterr()


def test_a_disk_that_fills_costs_no_finished_work(
    undisturbed: tuple[bytes, int], tiny_base: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    want, writes = undisturbed
    assert writes >= 8, "corpus, plan, states, checkpoint, drafter and card at least"
    for at in sorted({1, writes // 3, 2 * writes // 3, writes}):
        strike(at, tiny_base, tmp_path, want, capsys)


@pytest.mark.trust
@pytest.mark.timeout(3600)
def test_a_disk_that_fills_at_any_write(
    undisturbed: tuple[bytes, int],
    tiny_base: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    record_property: Note,
) -> None:
    want, writes = undisturbed
    record_property("files struck, each in a run of its own", writes)
    for at in range(1, writes + 1):
        strike(at, tiny_base, tmp_path, want, capsys)


def kill(at: int, base: Path, folder: Path, want: bytes) -> None:
    out = folder / f"killed-{at}"
    killed = subprocess.run(
        [sys.executable, "-c", KILLER, str(at), *command(base, out)], cwd=ROOT, capture_output=True, timeout=300
    )
    assert killed.returncode == 9, killed.stderr[-500:]
    assert_whole(out)
    assert main(command(base, out)) == 0, f"killed at write {at}"
    assert (out / WEIGHTS_FILE).read_bytes() == want, f"killed at write {at}"


def test_a_killed_run_goes_on(undisturbed: tuple[bytes, int], tiny_base: Path, tmp_path: Path) -> None:
    want, writes = undisturbed
    kill(2 * writes // 3, tiny_base, tmp_path, want)


@pytest.mark.trust
@pytest.mark.timeout(3600)
def test_a_run_killed_at_any_write_goes_on(
    undisturbed: tuple[bytes, int], tiny_base: Path, tmp_path: Path, record_property: Note
) -> None:
    want, writes = undisturbed
    record_property("files killed at, each in a run of its own", writes)
    for at in range(1, writes + 1):
        kill(at, tiny_base, tmp_path, want)
