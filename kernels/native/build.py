"""Builds the C library once per machine and keeps it under a hash of all that made it.

Knows compilers and files; nothing of what the library does. Two processes may build at once: each writes its own file
and renames it into place.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import platform
import shlex
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from kernels.native.errors import NativeError

COMPILER_WHEEL = "ziglang==0.17.0"
SOURCES = Path(__file__).parent / "csrc"
COMMON_FLAGS = (
    "-std=gnu11", "-O3", "-fPIC", "-ffp-contract=off", "-fno-math-errno", "-fno-sanitize=undefined",  # zig's default
    "-fvisibility=hidden", "-pthread",
)  # fmt: skip
WITH_AVX2 = ("-mavx2", "-mfma")
WITH_AVX512 = (*WITH_AVX2, "-mavx512f", "-mavx512bw", "-mavx512dq", "-mavx512vl", "-mavx512vnni")
WITH_AMX = ("-mamx-tile", "-mamx-int8")
X86: dict[str, tuple[str, ...]] = {"isa_avx2.c": WITH_AVX2, "isa_avx512.c": WITH_AVX512}
ARM: dict[str, tuple[str, ...]] = {"isa_neon.c": ("-march=armv8.2-a+dotprod",)}
MACHINES = {"x86_64": X86, "AMD64": X86, "aarch64": ARM, "arm64": ARM}


@dataclass(frozen=True)
class Compiler:
    command: tuple[str, ...]
    version: str  # its first line


def find_compiler() -> Compiler:
    """The compiler CC names, else cc, gcc or clang, else the one in the wheel where it is installed.

    Raises:
        NativeError: none is there, or what CC names does not run.
    """
    named = os.environ.get("CC")
    candidates: list[tuple[str, ...]] = [("cc",), ("gcc",), ("clang",)]
    if named:
        candidates = [tuple(shlex.split(named))]
    if not named and importlib.util.find_spec("ziglang"):
        candidates.append((sys.executable, "-m", "ziglang", "cc"))
    for command in candidates:
        if command and (found := shutil.which(command[0])):
            version = _version((found, *command[1:]))
            if version:
                return Compiler((found, *command[1:]), version)
    if named:
        raise NativeError("no-compiler", f"CC names the compiler {named!r}, which does not run; correct or unset it.")
    raise NativeError(
        "no-compiler",
        f"No C compiler was found (cc, gcc, clang); install one, or the Python package {COMPILER_WHEEL}.",
    )


def _version(command: tuple[str, ...]) -> str:
    try:
        done = subprocess.run([*command, "--version"], capture_output=True, text=True, timeout=120, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.splitlines()[0] if done.returncode == 0 and done.stdout else ""


def install_compiler() -> None:
    """Installs the pinned compiler wheel (some 400 MB) into this Python; only ever called on purpose.

    Raises:
        NativeError: pip failed.
    """
    command = [sys.executable, "-m", "pip", "install", "--disable-pip-version-check", COMPILER_WHEEL]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise NativeError("no-compiler", f"Installing {COMPILER_WHEEL} failed: {last}")
    importlib.invalidate_caches()


def processor_features() -> str:
    """What the system says this processor can do, as one line."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    for line in lines:
        if line.startswith(("flags", "Features")):
            return " ".join(sorted(line.split(":", 1)[1].split()))
    return platform.processor() or platform.machine()


@dataclass(frozen=True)
class Plan:
    """Which sources are compiled with which flags; the same on every start of one machine."""

    compiler: Compiler
    objects: tuple[tuple[Path, tuple[str, ...]], ...]

    @staticmethod
    def of(compiler: Compiler, machine: str | None = None, extra: tuple[str, ...] = ()) -> Plan:
        sets: dict[str, tuple[str, ...]] = dict(MACHINES.get(machine or platform.machine(), {}))
        common = (*COMMON_FLAGS, *extra)
        if "isa_avx512.c" in sets and _accepts(compiler, WITH_AMX):
            sets["isa_amx.c"] = (*WITH_AVX512, *WITH_AMX)
            common = (*common, "-DNATIVE_AMX")
        chosen = [p for p in sorted(SOURCES.glob("*.c")) if not p.name.startswith("isa_") or p.name in sets]
        chosen.append(SOURCES / "isa_scalar.c")
        return Plan(compiler, tuple((path, (*common, *sets.get(path.name, ()))) for path in chosen))

    def key(self) -> str:
        """Hash of sources, flags, compiler and processor."""
        digest = hashlib.sha256()
        for path in sorted(SOURCES.iterdir()):
            digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
        flags = [(path.name, flags) for path, flags in self.objects]
        for part in (repr(flags), self.compiler.version, repr(self.compiler.command), processor_features()):
            digest.update(part.encode() + b"\0")
        return digest.hexdigest()[:20]


def _accepts(compiler: Compiler, flags: tuple[str, ...]) -> bool:
    command = [*compiler.command, *flags, "-E", "-x", "c", os.devnull]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:12]


def find(folder: Path, plan: Plan) -> Path | None:
    """The library built before, if it is whole: its name carries its own hash. What is not whole is removed.

    A loader given half a file may end the process instead of raising, so this is asked first.
    """
    for path in sorted(folder.glob(f"native-{plan.key()}-*.so")):
        if path.stem.rsplit("-", 1)[1] == _digest(path):
            return path
        path.unlink(missing_ok=True)
    return None


def build(folder: Path, plan: Plan) -> Path:
    """Compiles and links into `folder`; returns the library's path.

    Raises:
        NativeError: the compiler failed (with its first line), or the folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder, prefix="build-") as place:
            made = _compile(Path(place), plan)
            target = folder / f"native-{plan.key()}-{_digest(made)}.so"
            os.replace(made, target)
    except OSError as error:
        raise NativeError("compiler-failed", f"The library cannot be built in {folder}: {error}.") from error
    return target


def _compile(place: Path, plan: Plan) -> Path:
    running = []
    for source, flags in plan.objects:
        command = [*plan.compiler.command, *flags, "-c", str(source), "-o", str(place / f"{source.stem}.o")]
        running.append(subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True))
    failures = [message for process in running if (message := _outcome(process)) is not None]
    if failures:
        raise NativeError("compiler-failed", f"The compiler {plan.compiler.command[0]} failed: {failures[0]}")
    made = place / "native.so"
    common = [flag for flag in plan.objects[0][1] if flag.startswith(("-f", "-p"))]
    objects = [str(place / f"{source.stem}.o") for source, _ in plan.objects]
    command = [*plan.compiler.command, "-shared", *common, "-o", str(made), *objects, "-lm"]
    message = _outcome(subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True))
    if message is not None:
        raise NativeError("compiler-failed", f"The linker of {plan.compiler.command[0]} failed: {message}")
    return made


def _outcome(process: subprocess.Popen[str]) -> str | None:
    """None when it went well, else the first line that says what went wrong."""
    errors = process.communicate()[1].splitlines()
    if process.returncode == 0:
        return None
    return next((line for line in errors if "error" in line), errors[0] if errors else f"exit {process.returncode}")
