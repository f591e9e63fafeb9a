"""beam_topk: the reference against a sort of all W x V candidates, the device code against the reference."""

from __future__ import annotations

import pytest
import torch

from kernels.beam_topk.reference import beam_topk_reference
from kernels.beam_topk.triton import beam_topk_triton

OPERATIONS = [pytest.param(beam_topk_reference, id="reference"), pytest.param(beam_topk_triton, id="triton")]


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


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("cut", [None, 3, 50])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize(("width", "vocabulary"), [(1, 7), (3, 1), (5, 1030), (8, 2049)])
def test_top_of_all_candidates(operation, width, vocabulary, dtype, cut, device) -> None:
    generator = torch.Generator().manual_seed(width + vocabulary)
    logits = (torch.randn(width, vocabulary, generator=generator) * 4).to(dtype)
    scores = -torch.rand(width, generator=generator) * 3
    top = operation(logits.to(device), scores.to(device), cut=cut)
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


@pytest.mark.parametrize("operation", OPERATIONS)
def test_ties_go_to_the_lower_beam_then_the_lower_token(operation, device) -> None:
    logits = torch.zeros(4, 3000, device=device)
    logits[:, [2999, 1500, 7]] = 1.0
    logits[:, 8] = -0.0
    top = operation(logits, torch.zeros(4, device=device), cut=None)
    assert top.beam.tolist() == [0, 0, 0, 1]
    assert top.token.tolist() == [7, 1500, 2999, 7]


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_more_ties_than_are_wanted(operation, dtype, device) -> None:
    top = operation(torch.ones(2, 4000, dtype=dtype, device=device), torch.tensor([-1.0, 0.0], device=device), cut=None)
    assert top.beam.tolist() == [1, 1] and top.token.tolist() == [0, 1]


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("low", [-1e30, -torch.inf])
def test_invalid_beams_give_nothing(operation, low, device) -> None:
    """The first draft step: only beam 0 stands for something, and it has fewer choices than there are beams."""
    logits = torch.randn(5, 3, device=device)
    top = operation(logits, torch.tensor([0.0, low, low, low, low], device=device), cut=None)
    assert top.token[:3].sort().values.tolist() == [0, 1, 2] and top.beam[:3].tolist() == [0, 0, 0]
    assert top.token[3:].tolist() == [-1, -1] and top.score[3:].eq(-torch.inf).all()


@pytest.mark.parametrize("operation", OPERATIONS)
def test_masked_and_broken_logits_are_invalid(operation, device) -> None:
    logits = torch.full((2, 4), -torch.inf, device=device)
    logits[0, 2] = 3.0
    logits[1] = torch.nan
    top = operation(logits, torch.zeros(2, device=device), cut=None)
    assert top.token.tolist() == [2, -1] and top.score.tolist() == [0.0, -torch.inf]


def test_widest_beams(device) -> None:
    logits, scores = torch.randn(33, 300, device=device), -torch.rand(33, device=device)
    want, got = (operation(logits, scores, cut=None) for operation in (beam_topk_reference, beam_topk_triton))
    assert torch.equal(got.token, want.token) and torch.equal(got.beam, want.beam)


@pytest.mark.parametrize("cut", [None, 5])
def test_one_row_expanded_is_that_row_many_times(cut: int | None) -> None:
    row = torch.randn(1, 300).to(torch.bfloat16)
    scores = torch.tensor([0.0, -0.5, -torch.inf, -0.25])
    expanded = beam_topk_reference(row.expand(4, -1), scores, cut=cut)
    repeated = beam_topk_reference(row.repeat(4, 1), scores, cut=cut)
    for name in ("score", "beam", "token", "log_probability"):
        assert torch.equal(getattr(expanded, name), getattr(repeated, name)), name
