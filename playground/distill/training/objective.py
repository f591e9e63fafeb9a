"""One training step's loss: the drafter unrolled over K tokens, each step against the teacher.

The drafter's own `begin` and `feed` run here, the same that decode. Knows nothing of optimisers or files.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from playground.distill.teacher.states import TeacherStates
from playground.distill.training.batches import Batch, teacher_rows
from playground.distill.training.loss import Copied, OutputRows, Teacher, soft_cross_entropy
from playground.drafter.cell import Drafter, HeadInput

STEP_DECAY = 0.9
"""Step k weighs STEP_DECAY ** (k - 1): an early miss makes later hits worthless."""


@dataclass(frozen=True)
class UnrolledRows:
    """R = K B rows of a batch, step after step: what the head's last layer is multiplied with, and its target."""

    projected: Tensor  # [R, D]
    head: OutputRows
    copied: Copied
    bonus: Tensor | None  # [R]
    targets: Tensor  # [R] int64, on the host like the teacher's states
    labels: Tensor  # [R] int64, the corpus's own next token
    weight: Tensor  # [R] float32


@dataclass(frozen=True)
class StepLoss:
    """The loss of a batch, and its cross-entropy part for the progress line."""

    total: Tensor
    cross_entropy: float


class Objective:
    """Loss of a drafter on batches of a teacher's states: cross-entropy against the base model's own distribution."""

    def __init__(self, drafter: Drafter, states: TeacherStates, base_rows: OutputRows | None) -> None:
        """base_rows: the base's output rows for a tied head; None for a drafter with a projection of its own."""
        self.drafter, self.states, self.base_rows = drafter, states, base_rows
        self.draft_of = draft_ids_of_all(drafter)  # [V], on the host like the states

    def __call__(self, batch: Batch) -> StepLoss:
        rows = self.rows(batch)
        entropy = self.cross_entropy(rows)
        scale = rows.weight.sum().clamp(min=1e-6)
        return StepLoss(entropy / scale, float(entropy.detach() / scale))

    def rows(self, batch: Batch) -> UnrolledRows:
        """The drafter unrolled over a batch."""
        heads = unroll(self.drafter, batch)
        features = torch.cat([head.features for head in heads])  # [R, exit_dim]
        bonuses = [head.bonus for head in heads if head.bonus is not None]
        own = self.base_rows is None
        decay = STEP_DECAY ** torch.arange(batch.tokens.shape[1], device=batch.taught.device)
        return UnrolledRows(
            projected=features if own else self.drafter.output(features),
            head=self.base_rows or OutputRows(self.drafter.output.weight.to(torch.bfloat16)),
            copied=Copied(torch.cat([head.copied for head in heads]), torch.cat([head.found for head in heads])),
            bonus=torch.cat(bonuses) if bonuses else None,
            targets=batch.targets.T.reshape(-1),
            labels=batch.labels.T.reshape(-1),
            weight=(batch.taught * decay).T.reshape(-1).float(),
        )

    def cross_entropy(self, rows: UnrolledRows) -> Tensor:
        """Weighted sum over rows of the cross-entropy against the teacher."""
        projected = rows.projected.to(torch.bfloat16)
        return soft_cross_entropy(projected, rows.head, self.teacher(rows), rows.weight, rows.copied, rows.bonus)

    def teacher(self, rows: UnrolledRows) -> Teacher:
        """What each row should predict."""
        soft = teacher_rows(self.states, rows.targets, self.draft_of)
        return Teacher(soft.ids.to(rows.labels.device), soft.probabilities.to(rows.labels.device))


def draft_ids_of_all(drafter: Drafter) -> Tensor:
    """[V] int64 draft id of every full id, -1 where the draft vocabulary lacks it."""
    every = torch.arange(drafter.config.vocab_size, device=drafter.output.weight.device)
    index, found = drafter.draft_index(every)
    return torch.where(found, index, -1).cpu()


def unroll(drafter: Drafter, batch: Batch) -> list[HeadInput]:
    """What the head's last layer reads after each of the K tokens, teacher-forced."""
    state, heads = drafter.begin(batch.hidden, batch.seen), []
    for step in range(batch.tokens.shape[1]):
        state, head = drafter.feed(state, batch.tokens[:, step])
        heads.append(head)
    return heads
