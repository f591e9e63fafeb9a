"""Whether Triton interprets its kernels. Knows an environment variable only."""

from __future__ import annotations

import os


def interpreting() -> bool:
    """Whether Triton runs its kernels in its interpreter, on CPU tensors."""
    return os.environ.get("TRITON_INTERPRET", "0") == "1"
