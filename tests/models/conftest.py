"""What the tests of this room share."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from kernels import KernelSet, kernel_set
from tests.models.families import build
from tests.models.toy_tokenizers import byte_level_tokenizer


@pytest.fixture(scope="session")
def kernels() -> KernelSet:
    return kernel_set("reference", torch.device("cpu"))


@pytest.fixture
def model_folder(tmp_path: Path) -> Path:
    """A tiny Llama saved as people save models."""
    folder = tmp_path / "tiny-llama"
    build("llama").save_pretrained(folder)
    byte_level_tokenizer().save_pretrained(folder)
    return folder
