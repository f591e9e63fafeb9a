"""The verbs `distill`, `train` and `evaluate`: a drafter for any base model."""

from __future__ import annotations

from typing import Any


def add_verbs(verbs: Any) -> None:
    """None yet."""
