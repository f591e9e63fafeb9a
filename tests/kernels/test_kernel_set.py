"""Which source of operations is chosen, and that the choice is never changed silently."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch

from kernels import kernel_set


def test_auto_is_the_reference_on_cpu() -> None:
    assert kernel_set("auto", torch.device("cpu")).name == "reference"


def test_triton_on_cpu_needs_the_interpreter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRITON_INTERPRET", "0")
    with pytest.raises(ValueError, match="Choose the reference kernels"):
        kernel_set("triton", torch.device("cpu"))
    monkeypatch.setenv("TRITON_INTERPRET", "1")
    assert kernel_set("triton", torch.device("cpu")).name == "triton"


def test_unknown_name_is_an_error() -> None:
    with pytest.raises(ValueError, match="must be one of"):
        kernel_set("fast", torch.device("cpu"))  # type: ignore[arg-type]


def test_the_reference_needs_no_triton() -> None:
    code = (
        "import sys; sys.modules['triton'] = None\n"
        "import torch; from kernels import kernel_set\n"
        "print(int(kernel_set('auto', torch.device('cpu')).prefix_tree(torch.tensor([[1]]), torch.tensor(0)).count))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "2", done.stderr
