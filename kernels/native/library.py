"""The library opened: built if need be, an instruction set chosen and tried, a pool of threads started.

Knows nothing of models; what it cannot do it says in a sentence and leaves the choice to the caller.
"""

from __future__ import annotations

import ctypes
import os
import weakref
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kernels.native import abi, build
from kernels.native.errors import NativeError

ISA_VARIABLE = "REDRAFTER_NATIVE_ISA"


@dataclass(frozen=True)
class InstructionSet:
    """One set the library knows; `missing` is what this processor lacks for it, None where it runs."""

    index: int
    name: str
    missing: str | None


def cores() -> int:
    """Cores this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@dataclass(frozen=True, eq=False)
class NativeLibrary:
    """Functions of the loaded library, the instruction set that runs, and the pool all models on it share."""

    c: Any = field(repr=False)  # ctypes.CDLL
    path: Path
    isa: InstructionSet
    threads: int
    kernels: Any = field(repr=False)  # POINTER(CKernels)
    pool: int = field(repr=False)

    @staticmethod
    def open(folder: Path, isa: str | None = None, threads: int | None = None) -> NativeLibrary:
        """Builds or finds the library in `folder` and starts `threads` threads (as many as cores when not said).

        `isa` forces an instruction set, as REDRAFTER_NATIVE_ISA does; else the best this processor runs.

        Raises:
            NativeError: no compiler, a failed build, a file that does not load even when built anew, a set this
                processor lacks or whose numbers differ from plain C's, or more threads than cores.
        """
        threads = cores() if threads is None else threads
        if not 1 <= threads <= cores():
            raise NativeError(
                "threads", f"{threads} threads were asked for, but this process has 1 to {cores()} cores."
            )
        path, c = _load(folder)
        chosen = choose(instruction_sets(c), isa or os.environ.get(ISA_VARIABLE))
        differs = c.native_isa_differs(chosen.index)
        if differs:
            raise NativeError(
                "self-test",
                f"The {chosen.name} kernels give other numbers than plain C on this processor (test {differs}); "
                f"choose another set with {ISA_VARIABLE}.",
            )
        pool = c.native_pool_new(threads)
        if not pool:
            raise NativeError("threads", f"{threads} threads could not be started; ask for fewer.")
        library = NativeLibrary(c, path, chosen, threads, c.native_isa_kernels(chosen.index), pool)
        weakref.finalize(library, c.native_pool_free, ctypes.c_void_p(pool))
        return library


def _load(folder: Path) -> tuple[Path, Any]:
    """The cached library, or a new one; one that does not load is built anew once."""
    plan = build.Plan.of(build.find_compiler())
    path = build.find(folder, plan)
    if path is not None:
        try:
            return path, abi.load(path)
        except NativeError:
            path.unlink(missing_ok=True)
    path = build.build(folder, plan)
    return path, abi.load(path)


def instruction_sets(c: Any) -> list[InstructionSet]:
    """Every set this library was built with, the best last."""
    found: list[InstructionSet] = []
    while name := c.native_isa_name(len(found)):
        missing = c.native_isa_missing(len(found))
        found.append(InstructionSet(len(found), name.decode(), missing.decode() if missing else None))
    return found


def choose(sets: list[InstructionSet], wanted: str | None) -> InstructionSet:
    """The set named, or the best that runs here.

    Raises:
        NativeError: an unknown name, or a set this processor lacks.
    """
    if wanted is None:
        return [one for one in sets if one.missing is None][-1]
    for one in sets:
        if one.name == wanted:
            if one.missing is not None:
                raise NativeError("processor", f"The {wanted} kernels need {one.missing}; this processor lacks it.")
            return one
    names = ", ".join(one.name for one in sets)
    raise NativeError("processor", f"The instruction set is {wanted!r}, but this library has: {names}.")
