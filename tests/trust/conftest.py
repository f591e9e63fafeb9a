"""How many cases the fuzzers try: a seeded few hundred with the tests, thousands in `make trust`."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest

Note = Callable[[str, object], None]
"""pytest's `record_property`: a figure that a test found, by name; `make trust` puts it into its report."""


@pytest.fixture(scope="session")
def scale() -> int:
    """How many times the short form's cases are tried, by TRUST_SCALE; the report says which."""
    return int(os.environ.get("TRUST_SCALE", "1"))
