"""One training step's loss: the drafter unrolled over K tokens, each step against the teacher.

The drafter's own `begin` and `feed` run here, the same that decode. Knows nothing of optimisers or files.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from playground.distill.teacher.store import TeacherStore
from playground.distill.training.batches import Batch, teacher_rows
from playground.distill.training.loss import Copied, OutputRows, Teacher, hidden_regression, soft_cross_entropy
from playground.drafter.cell import Drafter, HeadInput


@dataclass(frozen=True)
class LossWeights:
    """How the parts of the loss are mixed."""

    cross_entropy: float = 1.0
    regression: float = 0.0  # on the base's hidden states; adds nothing beside the cross-entropy (recipe study)
    label_share: float = 0.0  # of the cross-entropy's target, on the corpus's own next token; 1 is Apple's loss
    step_decay: float = 0.9  # step k weighs step_decay ** (k - 1): an early miss makes later hits worthless


@dataclass(frozen=True)
class StepLoss:
    """The loss of a batch, and its cross-entropy part for the progress line."""

    total: Tensor
    cross_entropy: float


class Objective:
    """Loss of a drafter on batches of a teacher store."""

    def __init__(
        self, drafter: Drafter, store: TeacherStore, base_rows: OutputRows | None, weights: LossWeights
    ) -> None:
        """base_rows: the base's output rows for a tied head; None for a drafter with a projection of its own."""
        self.drafter, self.store, self.base_rows, self.weights = drafter, store, base_rows, weights
        self.draft_of = draft_ids_of_all(drafter)  # [V], on the host like the store

    def __call__(self, batch: Batch) -> StepLoss:
        heads = unroll(self.drafter, batch)
        features = torch.cat([head.features for head in heads])  # [K B, exit_dim], step after step
        bonuses = [head.bonus for head in heads if head.bonus is not None]
        copied = Copied(torch.cat([head.copied for head in heads]), torch.cat([head.found for head in heads]))
        row_weight = self._row_weight(batch)
        targets = batch.targets.T.reshape(-1)  # [K B]
        projected, rows = features, OutputRows(self.drafter.output.weight.to(torch.bfloat16))
        if self.base_rows is not None:
            projected, rows = self.drafter.output(features), self.base_rows
        bonus = torch.cat(bonuses) if bonuses else None
        teacher = self._teacher(targets, batch.labels.T.reshape(-1))
        entropy = soft_cross_entropy(projected.to(torch.bfloat16), rows, teacher, row_weight, copied, bonus)
        total = self.weights.cross_entropy * entropy
        if self.weights.regression and self.base_rows is not None:
            error = hidden_regression(projected, self.store.final_hidden(targets).to(projected.device), row_weight)
            total = total + self.weights.regression * error
        scale = row_weight.sum().clamp(min=1e-6)
        return StepLoss(total / scale, float(entropy.detach() / scale))

    def _row_weight(self, batch: Batch) -> Tensor:
        decay = self.weights.step_decay ** torch.arange(batch.tokens.shape[1], device=batch.taught.device)
        return (batch.taught * decay).T.reshape(-1).float()  # [K B]

    def _teacher(self, targets: Tensor, labels: Tensor) -> Teacher:
        """Teacher of rows [R], the corpus's own next token mixed in as one more column."""
        soft, share = teacher_rows(self.store, targets, self.draft_of), self.weights.label_share
        soft = Teacher(soft.ids.to(labels.device), soft.probabilities.to(labels.device))
        if not share:
            return soft
        label = self.draft_of.to(labels.device)[labels]
        ids = torch.cat((soft.ids, label.clamp(min=0)[:, None]), dim=1)
        own = share * (label >= 0).float()[:, None]
        return Teacher(ids, torch.cat((soft.probabilities * (1 - share), own), dim=1))


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
