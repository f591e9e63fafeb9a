"""check.c, a whole small model in C, in builds without Python: sanitizers, emulated AMX, another machine."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from kernels.native import build

CHECK = Path(__file__).with_name("check.c")
SANITIZERS = ("-O0", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-DNATIVE_AMX_EMULATED")


def executable(place: Path, plan: build.Plan, link: tuple[str, ...] = ()) -> Path:
    """check.c and the library's sources as `plan` compiles them, in one program."""
    common = plan.objects[-1][1]  # the plain C set's: no instruction set's own flags
    jobs = [*plan.objects, (CHECK, (*common, f"-I{build.SOURCES}"))]
    objects = [str(place / f"{source.stem}.o") for source, _ in jobs]
    running = [
        subprocess.Popen([*plan.compiler.command, *flags, "-c", str(source), "-o", target])
        for (source, flags), target in zip(jobs, objects, strict=True)
    ]
    assert [process.wait() for process in running] == [0] * len(running)
    made = place / "check"
    subprocess.run([*plan.compiler.command, *common, *link, *objects, "-o", str(made), "-lm"], check=True)
    return made


def outcome(command: list[str]) -> dict[str, dict[str, str]]:
    """Hash by set and format."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    found: dict[str, dict[str, str]] = {}
    for line in done.stdout.splitlines():
        name, format, digest = line.split()
        found.setdefault(name, {})[format] = digest
    return found


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, str]]:
    """What this machine's sets gave, under AddressSanitizer and UBSan."""
    plan = build.Plan.of(build.find_compiler(), extra=SANITIZERS)
    return outcome([str(executable(tmp_path_factory.mktemp("sanitized"), plan))])


def test_sanitizers_find_nothing_and_every_set_gives_the_same_bits(here: dict[str, dict[str, str]]) -> None:
    assert here and all(found == here["scalar"] for found in here.values())
    assert set(here["scalar"]) == {"int8", "float32", "bfloat16"}


def test_arm_gives_the_same_bits_under_emulation(here: dict[str, dict[str, str]], tmp_path: Path) -> None:
    compiler, emulator = shutil.which("aarch64-linux-gnu-gcc"), shutil.which("qemu-aarch64")
    if not compiler or not emulator:
        pytest.skip("needs Debian's gcc-aarch64-linux-gnu and qemu-user")
    plan = build.Plan.of(build.Compiler((compiler,), "cross"), machine="aarch64")
    found = outcome([emulator, str(executable(tmp_path, plan, ("-static",)))])
    assert found == {"scalar": here["scalar"], "neon": here["scalar"]}
