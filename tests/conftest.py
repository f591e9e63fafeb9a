"""A tiny pair on disk, for tests that load models the way people do, and Triton made ready for its interpreter."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from kernels import KernelSet, kernel_set
from playground.drafter.file import save_drafter
from tests.native_library import built, every_set, library  # noqa: F401  (fixtures for every folder)

if not torch.cuda.is_available():
    # A Triton function is interpreted or compiled once and for all when its module is imported, Triton's own and ours,
    # and transformers may import Triton first.
    with pytest.MonkeyPatch.context() as _patch, contextlib.suppress(ImportError):
        _patch.setenv("TRITON_INTERPRET", "1")
        import triton  # noqa: F401

        kernel_set("triton", torch.device("cpu"))


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
    save_drafter(tests.tiny.tiny_drafter(), folder)
    return folder


@pytest.fixture(scope="session")
def kernels() -> KernelSet:
    return kernel_set("reference", torch.device("cpu"))


@pytest.fixture
def model_folder(tmp_path: Path) -> Path:
    """A tiny Llama saved as people save models."""
    from tests.families import build
    from tests.toy_tokenizers import byte_level_tokenizer

    folder = tmp_path / "tiny-llama"
    build("llama").save_pretrained(folder)
    byte_level_tokenizer().save_pretrained(folder)
    return folder
