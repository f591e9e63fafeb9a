"""One instruction set's functions after the other, beside plain C's."""

from __future__ import annotations

from typing import Any

import pytest

from kernels.native.library import InstructionSet

SETS = ("scalar", "avx2", "avx512", "amx", "neon")


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
