"""Building and opening the library: cached, raced for, broken, forced; and every failure a sentence."""

from __future__ import annotations

import hashlib
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from kernels.native import NativeError, NativeLibrary, build, library

OPEN = """
import sys
from pathlib import Path
from kernels.native import NativeLibrary
print(NativeLibrary.open(Path(sys.argv[1])).path)
"""


def script(path: Path, text: str) -> Path:
    path.write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


@pytest.fixture
def quick(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A compiler that does not optimise, where only the building itself is looked at."""
    monkeypatch.setenv(
        "CC", str(script(tmp_path / "quick", f'exec {" ".join(build.find_compiler().command)} "$@" -O0'))
    )


def test_it_is_built_once(built: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = NativeLibrary.open(built)
    monkeypatch.setattr(build, "build", lambda *_: pytest.fail("built again"))
    assert NativeLibrary.open(built).path == first.path
    assert [path.name for path in built.iterdir()] == [first.path.name]


def test_the_key_follows_flags_compiler_and_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    compiler = build.find_compiler()
    plan = build.Plan.of(compiler)
    keys = {plan.key(), build.Plan.of(compiler, extra=("-g",)).key()}
    keys.add(build.Plan.of(build.Compiler(compiler.command, "another version")).key())
    monkeypatch.setattr(build, "processor_features", lambda: "another processor")
    keys.add(plan.key())
    assert len(keys) == 4 and build.Plan.of(compiler).key() in keys


@pytest.mark.usefixtures("quick")
def test_two_processes_build_at_once(tmp_path: Path) -> None:
    command = [sys.executable, "-c", OPEN, str(tmp_path / "cache")]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    outcomes = [process.communicate(timeout=300)[0].strip() for process in running]
    assert [process.returncode for process in running] == [0, 0]
    assert outcomes[0] == outcomes[1] and [str(p) for p in (tmp_path / "cache").iterdir()] == outcomes[:1]


@pytest.mark.usefixtures("quick")
def test_a_file_that_is_cut_off_is_built_anew(tmp_path: Path) -> None:
    folder = tmp_path / "cache"
    path = build.build(folder, build.Plan.of(build.find_compiler()))
    path.write_bytes(path.read_bytes()[:5000])
    assert NativeLibrary.open(folder).path == path and path.stat().st_size > 5000


@pytest.mark.usefixtures("quick")
def test_a_file_that_does_not_load_is_built_anew_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "cache"
    folder.mkdir()
    key = build.Plan.of(build.find_compiler()).key()

    def foreign(*_: object) -> Path:
        """Whole, but no library."""
        content = b"no library"
        path = folder / f"native-{key}-{hashlib.sha256(content).hexdigest()[:12]}.so"
        path.write_bytes(content)
        return path

    path = foreign()
    assert NativeLibrary.open(folder).path != path and not path.exists()
    for built in folder.iterdir():
        built.unlink()
    foreign()
    monkeypatch.setattr(build, "build", foreign)
    with pytest.raises(NativeError, match="does not load") as caught:
        NativeLibrary.open(folder)
    assert caught.value.kind == "load-failed"


def test_no_compiler_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CC", raising=False)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(NativeError, match=r"ziglang==0.17.0") as caught:
        build.find_compiler()
    assert caught.value.kind == "no-compiler"


def test_cc_is_honoured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wrapper = script(tmp_path / "wrapped", 'exec cc "$@"')
    monkeypatch.setenv("CC", f"{wrapper} -DUNUSED")
    assert build.find_compiler().command == (str(wrapper), "-DUNUSED")
    monkeypatch.setenv("CC", "no-such-compiler")
    with pytest.raises(NativeError, match="no-such-compiler"):
        build.find_compiler()


def test_a_compiler_that_fails_is_told_with_its_first_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    failing = (
        'case "$*" in *--version*) echo fake 1.0;; *-E*) exit 0;; *) echo "x.c:1: error: no good" >&2; exit 1;; esac'
    )
    monkeypatch.setenv("CC", str(script(tmp_path / "failing", failing)))
    with pytest.raises(NativeError, match="error: no good") as caught:
        NativeLibrary.open(tmp_path / "cache")
    assert caught.value.kind == "compiler-failed" and not list((tmp_path / "cache").iterdir())


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(NativeError, match="cannot be built"):
        NativeLibrary.open(tmp_path / "file" / "below")


def test_a_failed_install_of_the_wheel_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", str(script(tmp_path / "python", "echo no such index >&2; exit 1")))
    with pytest.raises(NativeError, match=r"ziglang==0\.17\.0 failed: no such index"):
        build.install_compiler()


def test_instruction_sets_are_chosen_or_refused(built: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = NativeLibrary.open(built)
    sets = library.instruction_sets(opened.c)
    assert opened.isa == [one for one in sets if one.missing is None][-1]
    monkeypatch.setenv(library.ISA_VARIABLE, "scalar")
    assert NativeLibrary.open(built).isa.name == "scalar"
    assert NativeLibrary.open(built, isa=opened.isa.name).isa == opened.isa
    with pytest.raises(NativeError, match=r"'sse9'.*scalar"):
        NativeLibrary.open(built, isa="sse9")
    lacking = [library.InstructionSet(0, "scalar", None), library.InstructionSet(1, "amx", "AMX int8")]
    assert library.choose(lacking, None).name == "scalar"
    with pytest.raises(NativeError, match="amx kernels need AMX int8"):
        library.choose(lacking, "amx")


def test_a_set_with_other_numbers_is_refused(built: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Different:
        """The library, its self-test failing."""

        def __init__(self, c: object) -> None:
            self._c = c

        def __getattr__(self, name: str) -> object:
            return (lambda index: 2) if name == "native_isa_differs" else getattr(self._c, name)

    path, c = library._load(built)
    monkeypatch.setattr(library, "_load", lambda folder: (path, Different(c)))
    with pytest.raises(NativeError, match="other numbers than plain C") as caught:
        NativeLibrary.open(built)
    assert caught.value.kind == "self-test"


def test_more_threads_than_cores_are_refused(built: Path) -> None:
    cores = len(os.sched_getaffinity(0))
    for threads in (0, cores + 1):
        with pytest.raises(NativeError, match=f"{threads} threads.*{cores} cores"):
            NativeLibrary.open(built, threads=threads)
