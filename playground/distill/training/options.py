"""How long a training run is, and its learning rate at every step.

Linear warm-up, a plateau, a linear decay over the last part. A run can be given another length at any step: on the
plateau the decay moves, and where it can no longer, it goes on from the rate of that step to nothing at the new end.
Knows no drafter and no clock.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from playground.config import BeamShape


@dataclass(frozen=True)
class Cooling:
    """A decay of the learning rate that begins where the length of a run was changed."""

    step: int
    share: float  # of the peak rate at that step


@dataclass(frozen=True)
class TrainOptions:
    """How long and how fast to train."""

    steps: int = 10_000
    learning_rate: float = 1e-3
    warmup_steps: int = 200
    decay_share: float = 0.3
    checkpoint_every: int = 1000
    clip_norm: float = 1.0
    shapes: tuple[BeamShape, ...] = (BeamShape(8, 5, None), *(BeamShape(8, 5, nodes) for nodes in (6, 16, 48)))
    cooling: Cooling | None = None  # instead of a decay over the last share of the steps

    @property
    def decay_from(self) -> float:
        """The step at which the plateau ends."""
        return self.cooling.step if self.cooling else self.steps * (1 - self.decay_share)

    def of_length(self, steps: int, now: int) -> TrainOptions:
        """With other steps; the learning rates up to step `now` stay what they were."""
        other = replace(self, steps=max(steps, now))
        if self.cooling is None and now < min(self.decay_from, other.decay_from):
            return other
        return replace(other, cooling=Cooling(now, self._cooled(now)))

    def rate(self, step: int) -> float:
        """Learning rate of a step."""
        warm = min(1.0, (step + 1) / max(self.warmup_steps, 1))
        return self.learning_rate * min(warm, self._cooled(step))

    def _cooled(self, step: int) -> float:
        """What is left of the peak rate at a step, its warm-up aside."""
        decay_from, share = self.decay_from, self.cooling.share if self.cooling else 1.0
        if step < decay_from:
            return share
        return share * max(0.0, (self.steps - step) / max(self.steps - decay_from, 1e-9))
