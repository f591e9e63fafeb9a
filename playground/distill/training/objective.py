"""One training step's loss: the drafter unrolled over K tokens, each step against the teacher.

The drafter's own `begin` and `feed` run here, the same that decode. Knows nothing of optimisers or files.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

import torch
from torch import Tensor

from playground.distill.teacher.states import TeacherStates
from playground.distill.training.batches import Batch, teacher_rows
from playground.distill.training.loss import Beyond, Copied, Mix, OutputRows, Teacher, distillation_loss
from playground.drafter.cell import Drafter, HeadInput


@dataclass(frozen=True)
class Aim:
    """What training is for."""

    mix: Mix = field(default_factory=lambda: Mix(acceptance=1.0))  # as benchmarks/results/recipe_study.md chose
    step_decay: float = 0.9  # step k weighs step_decay ** (k - 1): an early miss makes later hits worthless


DEFAULT_AIM = Aim()


@dataclass(frozen=True)
class UnrolledRows:
    """R = K B rows of a batch, step after step: what the head's last layer is multiplied with, and its target."""

    projected: Tensor  # [R, D]
    head: OutputRows
    copied: Copied
    bonus: Tensor | None  # [R]
    beyond: Beyond | None
    beyond_ids: Tensor | None  # [R] int64 full ids of looked-up tokens without a draft id, -1 none
    targets: Tensor  # [R] int64, on the host like the teacher's states
    labels: Tensor  # [R] int64, the corpus's own next token
    weight: Tensor  # [R] float32


@dataclass(frozen=True)
class StepLoss:
    """The loss of a batch, and its value for the progress line."""

    total: Tensor
    value: float


class BaseHead(Protocol):
    """The base model's output rows, as a tied head needs them."""

    @property
    def rows(self) -> OutputRows:
        """Those of the draft vocabulary."""
        ...

    def any_rows(self, ids: Tensor) -> OutputRows:
        """Those of full ids [R]."""
        ...


class Objective:
    """Loss of a drafter on batches of a teacher's states: cross-entropy against the base model's own distribution."""

    def __init__(self, drafter: Drafter, states: TeacherStates, head: BaseHead | None, aim: Aim = DEFAULT_AIM) -> None:
        """head: the base's, for a tied head; None for a drafter with a projection of its own."""
        self.drafter, self.states, self.head, self.aim = drafter, states, head, aim
        self.draft_of = draft_ids_of_all(drafter)  # [V], on the host like the states

    def __call__(self, batch: Batch) -> StepLoss:
        rows = self.rows(batch)
        loss = self.against_teacher(rows)
        scale = rows.weight.sum().clamp(min=1e-6)
        return StepLoss(loss / scale, float(loss.detach() / scale))

    def rows(self, batch: Batch) -> UnrolledRows:
        """The drafter unrolled over a batch."""
        heads = unroll(self.drafter, batch)
        features = torch.cat([head.features for head in heads])  # [R, exit_dim]
        bonuses = [head.bonus for head in heads if head.bonus is not None]
        own = self.head is None
        decay = self.aim.step_decay ** torch.arange(batch.tokens.shape[1], device=batch.taught.device)
        copied = Copied(torch.cat([head.copied for head in heads]), torch.cat([head.found for head in heads]))
        beyond, beyond_ids = None, _beyond_ids(heads)
        if beyond_ids is not None and self.head is not None:
            there, column = beyond_ids >= 0, self.drafter.config.head_vocab
            copied = Copied(torch.where(there, column, copied.ids), copied.found | there)
            rows = self.head.any_rows(beyond_ids.clamp(min=0))
            beyond = Beyond(rows.weight, rows.bias, there)
        return UnrolledRows(
            projected=features if own else self.drafter.output(features),
            head=self.head.rows if self.head else OutputRows(self.drafter.output.weight.to(torch.bfloat16)),
            copied=copied,
            beyond=beyond,
            beyond_ids=beyond_ids,
            bonus=torch.cat(bonuses) if bonuses else None,
            targets=batch.targets.T.reshape(-1),
            labels=batch.labels.T.reshape(-1),
            weight=(batch.taught * decay).T.reshape(-1).float(),
        )

    def against_teacher(self, rows: UnrolledRows) -> Tensor:
        """Weighted sum over rows of the loss against the teacher."""
        projected, teacher = rows.projected.to(torch.bfloat16), self.teacher(rows)
        lookup = (rows.copied, rows.bonus, rows.beyond)
        return distillation_loss(projected, rows.head, teacher, rows.weight, *lookup, self.aim.mix)

    def teacher(self, rows: UnrolledRows) -> Teacher:
        """What each row should predict."""
        soft = teacher_rows(self.states, rows.targets, self.draft_of, rows.beyond_ids)
        return Teacher(soft.ids.to(rows.labels.device), soft.probabilities.to(rows.labels.device))


def draft_ids_of_all(drafter: Drafter) -> Tensor:
    """[V] int64 draft id of every full id, -1 where the draft vocabulary lacks it."""
    every = torch.arange(drafter.config.vocab_size, device=drafter.output.weight.device)
    index, found = drafter.draft_index(every)
    return torch.where(found, index, -1).cpu()


def _beyond_ids(heads: list[HeadInput]) -> Tensor | None:
    """[R] looked-up tokens without a draft id, -1 none; None where no step can have one."""
    if all(head.beyond is None for head in heads):
        return None
    return torch.cat([torch.full_like(head.copied, -1) if head.beyond is None else head.beyond for head in heads])


def unroll(drafter: Drafter, batch: Batch) -> list[HeadInput]:
    """What the head's last layer reads after each of the K tokens, teacher-forced."""
    state, heads = drafter.begin(batch.hidden, batch.seen), []
    for step in range(batch.tokens.shape[1]):
        state, head = drafter.feed(state, batch.tokens[:, step])
        heads.append(head)
    return heads
