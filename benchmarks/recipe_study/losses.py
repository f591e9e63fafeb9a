"""Losses that the study tries beside the one drafters are trained with.

    regression     |o - h'|^2 / |h'|^2,   o the tied head's projection, h' the base's hidden state there
    temperature    the base's distribution sharpened or flattened before it is learnt, p^(1/T) renormalised
    labels         the cross-entropy's target mixed with the corpus's own next token; alone it is Apple's loss

Knows one batch; nothing of corpora or optimisers.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from playground.base_model.adapter import BaseModel
from playground.distill.teacher.states import TeacherStates
from playground.distill.training.batches import Batch
from playground.distill.training.loss import Mix, Teacher
from playground.distill.training.objective import DEFAULT_AIM, Aim, Objective, StepLoss, UnrolledRows
from playground.distill.training.recipe import tied_head
from playground.drafter.cell import Drafter


@dataclass(frozen=True)
class Mixture:
    """How the parts of the loss are mixed."""

    cross_entropy: float = 1.0
    regression: float = 0.0  # for a tied head only
    label_share: float = 0.0  # of the cross-entropy's target
    acceptance: float = 0.0  # -log of the overlap with the base model's distribution
    temperature: float = 1.0  # of the base model's distribution
    step_decay: float = DEFAULT_AIM.step_decay


class StudyObjective(Objective):
    """The trained loss with the study's parts beside it."""

    def __init__(self, drafter: Drafter, states: TeacherStates, base: BaseModel, mixture: Mixture) -> None:
        aim = Aim(Mix(mixture.cross_entropy, mixture.acceptance), mixture.step_decay)
        super().__init__(drafter, states, tied_head(drafter, base), aim)
        self.mixture = mixture

    def __call__(self, batch: Batch) -> StepLoss:
        rows = self.rows(batch)
        total = self.against_teacher(rows)
        if self.mixture.regression and self.head is not None:
            hidden = self.states.hidden_states(rows.targets)[:, : rows.projected.shape[1]]  # after the final norm
            error = hidden_regression(rows.projected, hidden.to(rows.projected.device), rows.weight)
            total = total + self.mixture.regression * error
        scale = rows.weight.sum().clamp(min=1e-6)
        return StepLoss(total / scale, float(total.detach() / scale))

    def teacher(self, rows: UnrolledRows) -> Teacher:
        soft, share = at_temperature(super().teacher(rows), self.mixture.temperature), self.mixture.label_share
        return soft if not share else with_labels(soft, self.draft_of.to(rows.labels.device)[rows.labels], share)


def hidden_regression(projected: Tensor, target: Tensor, row_weight: Tensor) -> Tensor:
    """Weighted sum over rows of |o - h'|^2 / mean |h'|^2; both [R, H]."""
    error = (projected.float() - target.float()).square().mean(-1)
    return (row_weight * error).sum() / target.float().square().mean()


def at_temperature(soft: Teacher, temperature: float) -> Teacher:
    """The teacher as sampling at another temperature above 0 would have it; rows that teach nothing still do not."""
    sharper = soft.probabilities.pow(1.0 / temperature)
    return Teacher(soft.ids, sharper / sharper.sum(-1, keepdim=True).clamp(min=1e-9))


def with_labels(soft: Teacher, label: Tensor, share: float) -> Teacher:
    """The teacher with the corpus's own next token mixed in as one more column.

    Args:
        label: [R] int64 draft ids, -1 for a token that the draft vocabulary lacks.
    """
    ids = torch.cat((soft.ids, label.clamp(min=0)[:, None]), dim=1)
    own = share * (label >= 0).float()[:, None]
    return Teacher(ids, torch.cat((soft.probabilities * (1 - share), own), dim=1))
