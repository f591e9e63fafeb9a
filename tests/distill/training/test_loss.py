"""The hand-made gradient of the training loss against autograd of its plain definition in float64."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from playground.distill.training.loss import LEAST_OVERLAP, Beyond, Copied, Mix, OutputRows, Teacher, distillation_loss

ROWS, WIDTH, VOCABULARY, BEST = 300, 12, 40, 6  # more rows than one chunk holds


def plain_loss(
    projected: Tensor,
    head: OutputRows,
    teacher: Teacher,
    row_weight: Tensor,
    copied: Copied,
    bonus: Tensor | None,
    beyond: Beyond | None,
    mix: Mix,
) -> Tensor:
    """sum_r w_r (-a sum_v p(v) log q(v) - b log sum_v min(p(v), q(v))), q = softmax(softcap(scale (W x + b)) + bonus),
    written out."""
    logits = projected @ head.weight.T
    logits = logits if head.bias is None else logits + head.bias
    if beyond is not None:
        own = (projected * beyond.weight).sum(-1) + (0.0 if beyond.bias is None else beyond.bias)
        logits = torch.cat((logits, own[:, None]), dim=1)
    logits = logits * head.scale
    if head.softcap is not None:
        logits = torch.tanh(logits / head.softcap) * head.softcap
    if bonus is not None:
        one_hot = torch.nn.functional.one_hot(copied.ids, logits.shape[1]) * copied.found[:, None]
        logits = logits + one_hot * bonus[:, None]
    if beyond is not None:
        outside = torch.nn.functional.pad(~beyond.there[:, None], (VOCABULARY, 0))
        logits = logits.masked_fill(outside, -1e30)
    target = torch.zeros_like(logits).scatter_add(1, teacher.ids, teacher.probabilities.to(logits.dtype))
    entropy = -(row_weight[:, None] * target * logits.log_softmax(-1)).sum()
    taught = target.sum(-1) > 0
    overlap = torch.minimum(target, logits.softmax(-1))[taught].sum(-1)
    tangent = math.log(LEAST_OVERLAP) + (overlap - LEAST_OVERLAP) / LEAST_OVERLAP
    log_overlap = torch.where(overlap > LEAST_OVERLAP, overlap.log(), tangent)
    return mix.entropy * entropy - mix.acceptance * (row_weight[taught] * log_overlap).sum()


@pytest.mark.parametrize("mix", [Mix(), Mix(0.0, 1.0), Mix(0.5, 2.0)], ids=["", "acceptance", "mixed"])
@pytest.mark.parametrize("copies", [False, True], ids=["", "beyond"])
@pytest.mark.parametrize("bonused", [False, True], ids=["", "bonus"])
@pytest.mark.parametrize("bias", [False, True], ids=["", "bias"])
@pytest.mark.parametrize(
    ("scale", "softcap"), [(1.0, None), (0.25, None), (1.0, 3.0), (2.0, 5.0)], ids=["", "scale", "softcap", "both"]
)
def test_value_and_gradient(
    scale: float, softcap: float | None, bias: bool, bonused: bool, copies: bool, mix: Mix
) -> None:
    make = torch.Generator().manual_seed(7)

    def randn(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=make)

    ids = torch.stack([torch.randperm(VOCABULARY, generator=make)[:BEST] for _ in range(ROWS)])
    probabilities = randn(ROWS, BEST).softmax(-1)
    probabilities[::7] = 0.0  # rows that teach nothing
    copied = Copied(torch.randint(VOCABULARY, (ROWS,), generator=make), torch.rand(ROWS, generator=make) < 0.5)
    there = torch.rand(ROWS, generator=make) < 0.4
    if copies:  # such a row's looked-up token has the last column, and the teacher thinks of it
        copied = Copied(torch.where(there, VOCABULARY, copied.ids), copied.found | there)
        ids[:, 0] = torch.where(there, VOCABULARY, ids[:, 0])
    teacher, own_rows = Teacher(ids, probabilities), randn(ROWS, WIDTH)
    row_weight = torch.rand(ROWS, generator=make)
    leaves = {"projected": randn(ROWS, WIDTH), "weight": randn(VOCABULARY, WIDTH), "bonus": randn(ROWS)}
    offset, row_bias = randn(VOCABULARY) if bias else None, randn(ROWS)

    def run(dtype: torch.dtype, loss: object) -> tuple[Tensor, dict[str, Tensor | None]]:
        own = {name: leaf.to(dtype, copy=True).requires_grad_() for name, leaf in leaves.items()}
        head = OutputRows(own["weight"], None if offset is None else offset.to(dtype), scale, softcap)
        bonus = own["bonus"] if bonused else None
        beyond = Beyond(own_rows.to(dtype), row_bias.to(dtype) if bias else None, there) if copies else None
        value = loss(own["projected"], head, teacher, row_weight, copied, bonus, beyond, mix)  # type: ignore[operator]
        (3.0 * value).backward()
        return value.detach(), {name: leaf.grad for name, leaf in own.items()}

    value, gradients = run(torch.float32, distillation_loss)
    expected, true = run(torch.float64, plain_loss)
    assert abs(float(value) - float(expected)) < 1e-4 * abs(float(expected))
    for name, gradient in gradients.items():
        if name == "bonus" and not bonused:
            assert gradient is None
            continue
        assert gradient is not None and true[name] is not None
        torch.testing.assert_close(gradient.double(), true[name], rtol=1e-3, atol=2e-5)
    if bonused:
        assert gradients["bonus"] is not None and not gradients["bonus"][~copied.found].any()


def test_a_row_that_is_missed_altogether_pulls_no_harder_than_allowed() -> None:
    """q is all but zero where p is: -log of the overlap would pull without bound."""
    projected = torch.tensor([[200.0, 0.0]], requires_grad=True)
    head = OutputRows(torch.eye(2))
    teacher = Teacher(torch.tensor([[1, 0]]), torch.tensor([[1.0, 0.0]]))
    nothing = Copied(torch.zeros(1, dtype=torch.int64), torch.zeros(1, dtype=torch.bool))
    loss = distillation_loss(projected, head, teacher, torch.ones(1), nothing, None, mix=Mix(0.0, 1.0))
    loss.backward()
    assert float(loss) < 8 and projected.grad is not None and bool(projected.grad.isfinite().all())
