"""Made once for all training tests: they read it and never write to it."""

from __future__ import annotations

import pytest

from playground.distill.author import Author
from tests.distill.runs import tiny_author
from tests.distill.small import Training, training


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Training:
    return training(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="session")
def author() -> Author:
    return tiny_author()
