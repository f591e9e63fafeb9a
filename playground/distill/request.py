"""What a person asks of a training run, and the sizes that suit a kind of device where they ask for none.

Knows settings only; nothing of how they are met.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import torch

from playground.config import PlaygroundError
from playground.distill.corpus.openings import UNASKED, Openings
from playground.distill.trial import TrialOptions


@dataclass(frozen=True)
class Sizes:
    """What suits a kind of device and a base model."""

    hours: float
    shard_rows: int  # rows of a corpus's file
    places: int  # of a training batch
    learning_rate: float
    trial_prompts: int  # at most


def sizes_for(device: torch.device, parameters: int) -> Sizes:
    """CUDA: everything within ten minutes for the default base model, a GPU kept busy by wide batches."""
    hours = default_hours(device.type, parameters)
    if device.type == "cuda":
        return Sizes(hours, shard_rows=64, places=1024, learning_rate=2e-3, trial_prompts=16)
    return Sizes(hours, shard_rows=8, places=256, learning_rate=1e-3, trial_prompts=8)


def default_hours(device: str, parameters: int) -> float:
    """Hours for a base model of so many parameters: every stage but training costs in proportion to them."""
    billions = parameters / 1e9
    return round(0.1 + 0.4 * billions, 2) if device == "cuda" else max(1.0, round(7 * billions, 1))


@dataclass(frozen=True)
class TrainRequest:
    """What a person may set. Where None stands, the device's sizes or the hours decide."""

    out: Path
    work: Path | None = None  # what is not part of the drafter; `out/work`
    corpus: Path | None = None  # written first where there is none
    openings: Openings = UNASKED
    hours: float | None = None
    steps: int | None = None
    rows: int | None = None
    row_tokens: int = 512
    shard_rows: int | None = None  # rows of a file, written together
    disk_bytes: int | None = None  # for the teacher's states, at most; None: half of what is free
    max_tokens: int | None = None
    draft_vocabulary: int | None = None
    apple_format: bool = False
    start: Path | None = None  # drafter to start from, instead of fresh weights
    places: int | None = None
    learning_rate: float | None = None
    trial: TrialOptions = field(default_factory=TrialOptions)
    seed: int = 0
    command: str = ""  # for the card
    began: float | None = None  # time.perf_counter() when the command began, loading included

    def __post_init__(self) -> None:
        for name, value, low in (
            ("--steps", self.steps, 1),
            ("--rows", self.rows, 1),
            ("--batch", self.places, 1),
            ("--shard-rows", self.shard_rows, 1),
            ("--trial-prompts", self.trial.prompts, 1),
        ):
            if value is not None and value < low:
                raise PlaygroundError(f"{name} is {value}, but must be at least {low}. Choose a larger number.")
        if self.start is not None and self.apple_format:
            raise PlaygroundError("--apple-format cannot change the drafter of --from. Leave out one of the two.")
        if self.hours is not None and not 0 < self.hours <= 10_000:
            raise PlaygroundError(f"--hours is {self.hours}, but must be above 0. Choose a time such as 0.5.")
        if self.learning_rate is not None and not 0 < self.learning_rate < 1:
            raise PlaygroundError(f"--learning-rate is {self.learning_rate}, but must lie between 0 and 1. Try 0.001.")
