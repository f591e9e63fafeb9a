"""A tiny pair on disk, for tests that load models the way people do, and Triton made ready for its interpreter."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

if not torch.cuda.is_available():
    # Triton's own functions are interpreted or compiled once and for all when it is imported, and transformers may
    # import it first. Kernels of ours follow when a test that has the variable set imports them.
    with pytest.MonkeyPatch.context() as _patch, contextlib.suppress(ImportError):
        _patch.setenv("TRITON_INTERPRET", "1")
        import triton  # noqa: F401


@pytest.fixture(scope="session")
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A cache folder of the tests' own, so that they neither read nor write the user's."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("REDRAFTER_CACHE", str(folder))
        yield folder


@pytest.fixture(scope="session")
def tiny_base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a tiny random Llama with a byte-level tokenizer and a chat template."""
    from tests.tiny import write_base

    return write_base(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="session")
def tiny_drafter(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of an untrained drafter for it."""
    import tests.tiny

    folder = tmp_path_factory.mktemp("drafters") / "untrained"
    tests.tiny.tiny_drafter().save(folder)
    return folder
