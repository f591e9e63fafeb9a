"""The library built once for these tests, with AMX's tile instructions emulated so that its kernels run anywhere."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from kernels.native import NativeLibrary, abi, build
from kernels.native.library import InstructionSet, instruction_sets

EMULATED = ("-DNATIVE_AMX_EMULATED",)
SETS = ("scalar", "avx2", "avx512", "amx", "neon")


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with the library as users have it."""
    folder = tmp_path_factory.mktemp("native")
    build.build(folder, build.Plan.of(build.find_compiler()))
    return folder


@pytest.fixture(scope="session")
def library(built: Path) -> NativeLibrary:
    return NativeLibrary.open(built)


@pytest.fixture(scope="session")
def every_set(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, dict[str, InstructionSet]]:
    """The library with AMX emulated, and the sets that run here by name."""
    plan = build.Plan.of(build.find_compiler(), extra=EMULATED)
    c = abi.load(build.build(tmp_path_factory.mktemp("emulated"), plan))
    return c, {one.name: one for one in instruction_sets(c) if one.missing is None}


@pytest.fixture(params=SETS)
def kernels(request: pytest.FixtureRequest, every_set: tuple[Any, dict[str, InstructionSet]]) -> Any:
    """One set's functions (a CKernels); sets this processor lacks are skipped by name."""
    c, sets = every_set
    if request.param not in sets:
        pytest.skip(f"this processor has no {request.param}")
    return c.native_isa_kernels(sets[request.param].index).contents


@pytest.fixture
def scalar(every_set: tuple[Any, dict[str, InstructionSet]]) -> Any:
    c, sets = every_set
    return c.native_isa_kernels(sets["scalar"].index).contents
