"""kv_commit: rows of the path, moved as if all were read before any is written."""

from __future__ import annotations

import pytest
import torch

from kernels.kv_commit.reference import kv_commit_reference
from kernels.kv_commit.triton import kv_commit_triton

OPERATIONS = [pytest.param(kv_commit_reference, id="reference"), pytest.param(kv_commit_triton, id="triton")]


def expected(buffer: torch.Tensor, committed: int, path: list[int]) -> torch.Tensor:
    out = buffer.clone()
    for step, node in enumerate(path):
        out[:, :, committed + step] = buffer[:, :, committed + node]
    return out


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("stacked", [True, False], ids=["stacked", "list"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("path", [[0], [0, 1, 2], [0, 2, 3], [0, 1, 4, 5, 9], list(range(0, 72, 2))], ids=str)
def test_path_is_kept(operation, path, dtype, stacked, device) -> None:
    keys = torch.randn(3, 2, 90, 20, device=device).to(dtype)
    values = torch.randn(3, 2, 90, 12, device=device).to(dtype)
    want = expected(keys, 11, path), expected(values, 11, path)
    held = (keys, values) if stacked else (list(keys), list(values))
    operation(*held, torch.tensor(11, device=device), torch.tensor(path, device=device), None)
    assert torch.equal(keys, want[0]) and torch.equal(values, want[1])


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("as_tensor", [True, False], ids=["tensor", "int"])
@pytest.mark.parametrize("count", [0, 1, 3])
def test_only_the_counted_part_moves(operation, count, as_tensor, device) -> None:
    """A fixed-length path: what lies beyond the count stands for nothing."""
    keys, values = torch.randn(2, 4, 1, 40, 8, device=device)
    want = expected(keys, 5, [0, 2, 3][:count]), expected(values, 5, [0, 2, 3][:count])
    path = torch.tensor([0, 2, 3, -1, 10**6], device=device)
    counted = torch.tensor(count, device=device) if as_tensor else count
    operation(keys, values, torch.tensor(5, device=device), path, counted)
    assert torch.equal(keys, want[0]) and torch.equal(values, want[1])
