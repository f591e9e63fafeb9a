"""Fixtures: the native library built once for all tests, as users have it and with every instruction set there is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from kernels.native import NativeLibrary, abi, build
from kernels.native.library import InstructionSet, instruction_sets

EMULATED = ("-DNATIVE_AMX_EMULATED",)


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
    """The library with AMX's tile instructions emulated, so that its kernels run anywhere, and what runs here."""
    plan = build.Plan.of(build.find_compiler(), extra=EMULATED)
    c = abi.load(build.build(tmp_path_factory.mktemp("emulated"), plan))
    return c, {one.name: one for one in instruction_sets(c) if one.missing is None}
