"""A seed as a value on the device, so that what was captured with one seed serves every other.

Knows sampling settings; nothing of what is captured.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch

from playground.config import Sampling


@dataclass(frozen=True, eq=False)
class LiveSampling(Sampling):
    """Sampling settings of a captured stage: all are baked in but the seed, which is read when it is replayed."""

    seed: torch.Tensor  # type: ignore[assignment, misc]  # [] int64

    def __post_init__(self) -> None:
        """Nothing to check: made of settings that were."""


def live(sampling: Sampling, device: torch.device) -> LiveSampling:
    """The settings with their seed on `device`."""
    with torch.inference_mode(False):
        seed = torch.full((), sampling.seed, dtype=torch.int64, device=device)
    return LiveSampling(sampling.temperature, sampling.top_k, sampling.top_p, seed)


def any_seed(sampling: Sampling) -> Sampling:
    """What runs that differ by the seed alone have in common."""
    return replace(sampling, seed=0)
