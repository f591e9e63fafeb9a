"""The training loss: a mix of distillation from the base model's own distribution and of acceptance by it.

    cross-entropy  -sum_v p(v) log q(v),      p the base model's distribution cut to its k best tokens in V'
    acceptance     -log sum_v min(p(v), q(v)), the chance that a sampled draft is accepted (Leviathan et al.,
                   arXiv 2211.17192, section 3.2), as LK losses train for it

A softmax over V' for every unrolled step is the cost of training, so the loss computes its own gradient
in chunks and never keeps a [rows, V'] tensor. Knows nothing of corpora or optimisers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

_CHUNK_ROWS = 256  # 256 x 16k fp32 logits are 16 MB; larger chunks fell out of cache, smaller ones lost rate


@dataclass(frozen=True)
class Teacher:
    """The base model's k best next tokens for R rows, in draft ids."""

    ids: Tensor  # [R, k] int64, 0 where the probability is 0
    probabilities: Tensor  # [R, k] float32, rows sum to 1, or to 0 for a row that teaches nothing


@dataclass(frozen=True)
class Copied:
    """The looked-up token of each row and its place."""

    ids: Tensor  # [R] int64 draft id
    found: Tensor  # [R] bool


@dataclass(frozen=True)
class Beyond:
    """A looked-up token of each row that the head's rows lack: one more column V', made with a row of its own."""

    weight: Tensor  # [R, D], not trained
    bias: Tensor | None  # [R]
    there: Tensor  # [R] bool, the row has such a token


@dataclass(frozen=True)
class Mix:
    """How much each part of the loss counts."""

    entropy: float = 1.0
    acceptance: float = 0.0


LEAST_OVERLAP = 1e-3
"""Below it -log goes on along its tangent: a row the drafter misses altogether does not pull without bound."""


class _DistillationLoss(torch.autograd.Function):
    """Weighted sum over rows of the mix, q = softmax(o E^T + bonus)."""

    @staticmethod
    def forward(
        ctx: torch.autograd.function.FunctionCtx,
        projected: Tensor,  # [R, D]
        weight: Tensor,  # [V', D]
        bonus: Tensor,  # [R]
        copied: Tensor,  # [R]
        ids: Tensor,  # [R, k]
        probabilities: Tensor,  # [R, k]
        row_weight: Tensor,  # [R]
        bias: Tensor | None,  # [V'], not trained
        scale: float,
        softcap: float | None,
        beyond: Beyond | None,
        mix: Mix,
    ) -> Tensor:
        wide = torch.float32 if projected.device.type == "mps" else torch.float64  # MPS has no float64
        total = torch.zeros((), dtype=wide, device=projected.device)
        grad = torch.empty_like(projected)
        grad_bonus = torch.empty_like(bonus)
        grad_weight = torch.zeros_like(weight, dtype=torch.float32) if weight.requires_grad else None
        for start in range(0, len(projected), _CHUNK_ROWS):
            rows = slice(start, start + _CHUNK_ROWS)
            logits = _logits(projected[rows], weight, bias, _rows_of(beyond, rows))  # [r, V'] or [r, V' + 1]
            logits = logits if scale == 1.0 else logits.mul_(scale)
            bend = None
            if softcap is not None:
                logits = torch.tanh(logits / softcap)
                bend, logits = 1 - logits.square(), logits * softcap
            if beyond is not None:
                logits[:, -1].masked_fill_(~beyond.there[rows], -torch.inf)
            column = copied[rows, None]
            logits.scatter_add_(1, column, bonus[rows, None].float())
            p, share = probabilities[rows], row_weight[rows, None]
            logits.sub_(logits.amax(-1, keepdim=True))
            picked = logits.gather(1, ids[rows])
            slope = logits.exp_()
            norm = slope.sum(-1, keepdim=True)
            total += mix.entropy * (share * p * (norm.log() - picked)).masked_fill(p == 0, 0.0).sum()
            pull, target = mix.entropy * p.sum(-1, keepdim=True), mix.entropy * p
            if mix.acceptance:
                met = _met(p, picked.exp() / norm)
                total -= mix.acceptance * (share * met.log_overlap).sum()
                pull = pull + mix.acceptance * met.short.sum(-1, keepdim=True)
                target = target + mix.acceptance * met.short
            slope.mul_(share * pull / norm).scatter_add_(1, ids[rows], -target * share)
            grad_bonus[rows] = slope.gather(1, column)[:, 0].to(grad_bonus.dtype)
            slope = slope if bend is None else slope.mul_(bend)
            slope = slope if scale == 1.0 else slope.mul_(scale)
            slope = slope.to(projected.dtype)
            inside = slope[:, : len(weight)]
            grad[rows] = inside @ weight
            if beyond is not None:
                grad[rows] += torch.where(beyond.there[rows, None], slope[:, -1:] * beyond.weight[rows], 0.0)
            if grad_weight is not None:
                grad_weight += inside.T @ projected[rows]
        ctx.save_for_backward(grad, grad_bonus, grad_weight)  # type: ignore[arg-type]
        return total.float()

    @staticmethod
    def backward(ctx: torch.autograd.function.FunctionCtx, upstream: Tensor) -> tuple[Tensor | None, ...]:
        grad, grad_bonus, grad_weight = ctx.saved_tensors  # type: ignore[attr-defined]
        weight = grad_weight * upstream if grad_weight is not None else None
        return grad * upstream.to(grad.dtype), weight, grad_bonus * upstream, *[None] * 9


@dataclass(frozen=True)
class _Met:
    """How far a drafter's q meets the teacher's p in r rows.

    d -log_overlap / d logit j is q_j sum(short) - short_j."""

    log_overlap: Tensor  # [r, 1], 0 for rows that teach nothing
    short: Tensor  # [r, k] q over the overlap where q falls short of p, else 0


def _met(p: Tensor, q: Tensor) -> _Met:
    """p and q [r, k] at the teacher's best tokens."""
    overlap = torch.minimum(p, q).sum(-1, keepdim=True)
    bounded = overlap.clamp_min(LEAST_OVERLAP)
    log_overlap = bounded.log() + (overlap - bounded) / bounded
    taught = p.sum(-1, keepdim=True) > 0
    return _Met(torch.where(taught, log_overlap, 0.0), torch.where(q < p, q / bounded, 0.0))


def _rows_of(beyond: Beyond | None, rows: slice) -> Beyond | None:
    if beyond is None:
        return None
    return Beyond(beyond.weight[rows], None if beyond.bias is None else beyond.bias[rows], beyond.there[rows])


def _logits(projected: Tensor, weight: Tensor, bias: Tensor | None, beyond: Beyond | None) -> Tensor:
    """float32 products [r, V'], and one more column where there are rows beyond."""
    known = F.linear(projected, weight, bias)
    if beyond is None:
        return known.float()
    logits = known.new_empty(len(known), len(weight) + 1, dtype=torch.float32)
    logits[:, :-1] = known
    own = (projected.float() * beyond.weight.float()).sum(-1)
    logits[:, -1] = own if beyond.bias is None else own + beyond.bias.float()
    return logits


@dataclass(frozen=True)
class OutputRows:
    """The head's last layer: softcap(scale (weight x + bias))."""

    weight: Tensor  # [V', D]
    bias: Tensor | None = None  # [V']
    scale: float = 1.0
    softcap: float | None = None


def distillation_loss(
    projected: Tensor,
    head: OutputRows,
    teacher: Teacher,
    row_weight: Tensor,
    copied: Copied,
    bonus: Tensor | None,
    beyond: Beyond | None = None,
    mix: Mix = Mix(),
) -> Tensor:
    """Weighted sum over rows of the loss against the teacher.

    Args:
        projected: [R, D] what the output rows are multiplied with, in the dtype of the rows.
        row_weight: [R] float32; rows of weight 0 cost time but teach nothing.
        copied: where a looked-up token gets a logit bonus; bonus: [R] or None.
        beyond: looked-up tokens without a row in the head; their draft id is V', in `teacher` and `copied` too.
    """
    if bonus is None:
        gated = torch.zeros(len(projected), device=projected.device)
    else:
        gated = torch.where(copied.found, bonus.float(), 0.0)
    rows = (teacher.ids, teacher.probabilities, row_weight)
    shape = (head.bias, head.scale, head.softcap, beyond, mix)
    apply: Callable[..., Tensor] = _DistillationLoss.apply
    return apply(projected, head.weight, gated, copied.ids, *rows, *shape)
