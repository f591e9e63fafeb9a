"""children and best: against sorts in Python; together, against a sort of all B x V candidates of a beam search."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from types import SimpleNamespace

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kernels.best.reference import best_reference
from kernels.best.triton import best_triton
from kernels.children.reference import children_reference
from kernels.children.triton import children_triton
from kernels.types import Children

BOTH = {"reference": (children_reference, best_reference), "triton": (children_triton, best_triton)}
OPERATIONS = [pytest.param(*pair, id=name) for name, pair in BOTH.items()]
CHILDREN = [pytest.param(pair[0], id=name) for name, pair in BOTH.items()]
BEST = [pytest.param(pair[1], id=name) for name, pair in BOTH.items()]
Best = Callable[[torch.Tensor, int], torch.Tensor]


def widened(children: Callable, best: Best, logits: torch.Tensor, scores: torch.Tensor, cut: int | None):
    """One level of a search of surviving beams: the W best of all beams' children."""
    width = len(scores)
    found: Children = children(logits, scores, keep=width, cut=cut)
    entry = best(found.score.flatten(), width)
    good, at = entry >= 0, entry.clamp_min(0)
    return SimpleNamespace(
        score=torch.where(good, found.score.flatten()[at], -torch.inf),
        beam=torch.where(good, at // width, 0),
        token=torch.where(good, found.token.flatten()[at], -1),
        log_probability=torch.where(good, found.log_probability.flatten()[at], 0.0),
    )


def by_hand(logits: torch.Tensor, scores: torch.Tensor, cut: int | None) -> list[tuple[float, int, int, float]]:
    """Every candidate of every beam, sorted in Python; ties by beam, then token."""
    found = []
    for beam, row in enumerate(logits.double()):
        order = sorted(range(len(row)), key=lambda token: (-float(row[token]), token))
        kept = order if cut is None else order[:cut]
        norm = row[torch.tensor(kept)].logsumexp(0)
        for token in kept[: len(scores)]:
            logp = float(row[token] - norm)
            if scores[beam] > -1e29 and logp > float("-inf"):
                found.append((float(scores[beam]) + logp, beam, token, logp))
    return sorted(found, key=lambda entry: (-entry[0], entry[1], entry[2]))[: len(scores)]


@pytest.mark.parametrize(("children", "best"), OPERATIONS)
@pytest.mark.parametrize("cut", [None, 3, 50])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize(("width", "vocabulary"), [(1, 7), (3, 1), (5, 1030), (8, 2049)])
def test_best_of_all_candidates(children, best, width, vocabulary, dtype, cut, device) -> None:
    generator = torch.Generator().manual_seed(width + vocabulary)
    logits = (torch.randn(width, vocabulary, generator=generator) * 4).to(dtype)
    scores = -torch.rand(width, generator=generator) * 3
    top = widened(children, best, logits.to(device), scores.to(device), cut)
    want = by_hand(logits.float(), scores, cut)
    count = len(want)
    assert top.score.dtype == top.log_probability.dtype == torch.float32
    torch.testing.assert_close(top.score[:count].cpu(), torch.tensor([entry[0] for entry in want]), atol=2e-5, rtol=0)
    logp = torch.tensor([entry[3] for entry in want])
    torch.testing.assert_close(top.log_probability[:count].cpu(), logp, atol=2e-5, rtol=0)
    if dtype == torch.float32:  # elsewhere equal logits of different beams differ by rounding alone
        assert top.beam[:count].tolist() == [entry[1] for entry in want]
        assert top.token[:count].tolist() == [entry[2] for entry in want]
    assert top.score[count:].eq(-torch.inf).all() and top.token[count:].eq(-1).all()
    assert top.beam[count:].eq(0).all() and top.log_probability[count:].eq(0).all()


@pytest.mark.parametrize("children", CHILDREN)
@pytest.mark.parametrize("cut", [None, 3, 50])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize(("beams", "vocabulary", "keep"), [(1, 9, 63), (1, 2049, 63), (6, 1500, 16), (4, 20, 20)])
def test_children_of_each_beam(children, beams, vocabulary, keep, dtype, cut, device) -> None:
    generator = torch.Generator().manual_seed(vocabulary + keep)
    logits = (torch.randn(beams, vocabulary, generator=generator) * 4).to(dtype)
    scores = -torch.rand(beams, generator=generator) * 3
    found = children(logits.to(device), scores.to(device), keep=keep, cut=cut)
    assert found.token.shape == found.score.shape == found.log_probability.shape == (beams, keep)
    assert found.token.dtype == torch.int64 and found.score.dtype == found.log_probability.dtype == torch.float32
    for beam in range(beams):
        row = logits[beam].double()
        order = sorted(range(vocabulary), key=lambda token: (-float(row[token]), token))[: cut or vocabulary]
        logp = row[order] - row[order].logsumexp(0)
        real = min(keep, len(order))
        assert found.token[beam].tolist() == order[:keep] + [-1] * (keep - real)
        torch.testing.assert_close(found.log_probability[beam, :real].cpu().double(), logp[:real], atol=2e-5, rtol=0)
        want = logp[:real] + float(scores[beam])
        torch.testing.assert_close(found.score[beam, :real].cpu().double(), want, atol=2e-5, rtol=0)
        assert found.score[beam, real:].eq(-torch.inf).all() and found.log_probability[beam, real:].eq(0).all()


@pytest.mark.parametrize(("children", "best"), OPERATIONS)
def test_ties_go_to_the_lower_beam_then_the_lower_token(children, best, device) -> None:
    logits = torch.zeros(4, 3000, device=device)
    logits[:, [2999, 1500, 7]] = 1.0
    logits[:, 8] = -0.0
    top = widened(children, best, logits, torch.zeros(4, device=device), None)
    assert top.beam.tolist() == [0, 0, 0, 1]
    assert top.token.tolist() == [7, 1500, 2999, 7]


@pytest.mark.parametrize(("children", "best"), OPERATIONS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_more_ties_than_are_wanted(children, best, dtype, device) -> None:
    logits, scores = torch.ones(2, 4000, dtype=dtype, device=device), torch.tensor([-1.0, 0.0], device=device)
    top = widened(children, best, logits, scores, None)
    assert top.beam.tolist() == [1, 1] and top.token.tolist() == [0, 1]


@pytest.mark.parametrize(("children", "best"), OPERATIONS)
@pytest.mark.parametrize("low", [-1e30, -torch.inf])
def test_invalid_beams_give_nothing(children, best, low, device) -> None:
    """Only beam 0 stands for something, and it has fewer choices than there are beams."""
    logits = torch.randn(5, 3, device=device)
    top = widened(children, best, logits, torch.tensor([0.0, low, low, low, low], device=device), None)
    assert top.token[:3].sort().values.tolist() == [0, 1, 2] and top.beam[:3].tolist() == [0, 0, 0]
    assert top.token[3:].tolist() == [-1, -1] and top.score[3:].eq(-torch.inf).all()


@pytest.mark.parametrize(("children", "best"), OPERATIONS)
def test_masked_and_broken_logits_are_invalid(children, best, device) -> None:
    logits = torch.full((2, 4), -torch.inf, device=device)
    logits[0, 2] = 3.0
    logits[1] = torch.nan
    top = widened(children, best, logits, torch.zeros(2, device=device), None)
    assert top.token.tolist() == [2, -1] and top.score.tolist() == [0.0, -torch.inf]


def test_widest_beams(device) -> None:
    logits, scores = torch.randn(33, 300, device=device), -torch.rand(33, device=device)
    want, got = (operation(logits, scores, keep=33, cut=None) for operation in (children_reference, children_triton))
    for part in fields(Children):
        torch.testing.assert_close(getattr(got, part.name), getattr(want, part.name), atol=1e-5, rtol=0)
    assert torch.equal(got.token, want.token)


@st.composite
def many_scores(draw: st.DrawFn) -> list[float]:
    values = st.sampled_from([0.0, -0.0, -1.5, -1e-30, -3.0, -1e28, -1e29, -1e30, -torch.inf, torch.inf, torch.nan])
    return draw(st.lists(values, max_size=40))


@pytest.mark.parametrize("best", BEST)
@given(scores=many_scores(), count=st.integers(1, 50))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_best_is_a_sort(best: Best, device: torch.device, scores: list[float], count: int) -> None:
    valid = [index for index, score in enumerate(scores) if -1e29 < score < torch.inf]
    want = sorted(valid, key=lambda index: (-scores[index], index))[:count]
    got = best(torch.tensor(scores, dtype=torch.float32, device=device), count)
    assert got.dtype == torch.int64 and got.tolist() == want + [-1] * (count - len(want))


@pytest.mark.parametrize("best", BEST)
@pytest.mark.parametrize("total", [1, 575, 900])
def test_best_of_many(best: Best, device: torch.device, total: int) -> None:
    scores = torch.randint(-40, 0, (total,), generator=torch.Generator().manual_seed(total)) / 7.0  # full of ties
    want = sorted(range(total), key=lambda index: (-float(scores[index]), index))[:95]
    assert best(scores.to(device), 95).tolist() == want + [-1] * (95 - len(want))
    strided = torch.stack((scores, scores), 1).to(device)[:, 0]
    assert best(strided, 95).tolist() == want + [-1] * (95 - len(want))
