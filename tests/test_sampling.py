"""The pick: its noise, its distribution, and that drafting does not bias it."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from kernels import kernel_set
from kernels.pick.noise import gumbel_noise
from playground.config import BeamShape, Sampling
from playground.sampling import pick_gap, rule_of
from tests.decode.lanes import GREEDY, MarkovBase, Scripted, drafting_run

KERNELS = kernel_set("reference", torch.device("cpu"))
TARGET = torch.tensor([0.50, 0.30, 0.15, 0.05])
DRAWS = 3000
CHI_SQUARE_3_DOF = 16.27  # exceeded by chance once in 1000


def chi_square(tokens: list[int], probability: torch.Tensor) -> float:
    counts = torch.bincount(torch.tensor(tokens), minlength=len(probability)).double()
    expected = probability.double() * len(tokens)
    return float(((counts - expected) ** 2 / expected).sum())


@pytest.mark.parametrize("seed", [0, 1, 2**32 - 1])
def test_picks_follow_the_softmax(seed: int) -> None:
    sampling = Sampling(temperature=1.0, seed=seed)
    picks = [int(KERNELS.pick(TARGET.log(), rule_of(sampling), position)) for position in range(DRAWS)]
    assert chi_square(picks, TARGET) < CHI_SQUARE_3_DOF


def test_temperature_sharpens_as_it_should() -> None:
    sampling = Sampling(temperature=0.5, seed=5)
    picks = [int(KERNELS.pick(TARGET.log(), rule_of(sampling), position)) for position in range(DRAWS)]
    assert chi_square(picks, TARGET**2 / (TARGET**2).sum()) < CHI_SQUARE_3_DOF
    assert chi_square(picks, TARGET) > CHI_SQUARE_3_DOF


@pytest.mark.parametrize("shape", [BeamShape(2, 3), BeamShape(4, 2), BeamShape(1, 5)], ids=str)
def test_drafting_does_not_bias_the_text(shape: BeamShape) -> None:
    """Beams hold the drafter's favourites, which are no samples of anything; the text keeps the base's distribution."""
    base = MarkovBase(TARGET.log().repeat(4, 1))
    drafter = Scripted(lambda text: torch.tensor([0.1, 0.2, 0.6, 0.1]).log())  # not what the base model thinks
    run = drafting_run(base, drafter, shape, [0], Sampling(temperature=1.0, seed=7), DRAWS)
    assert chi_square(run.lane.tokens, TARGET) < CHI_SQUARE_3_DOF
    pairs = [4 * first + second for first, second in zip(run.lane.tokens[::2], run.lane.tokens[1::2], strict=True)]
    assert chi_square(pairs, torch.outer(TARGET, TARGET).flatten()) < 37.70  # 15 degrees of freedom, once in 1000
    assert sum(step.accepted for step in run.steps) > len(run.steps) / 20


def test_the_bias_of_testing_favourites_would_show() -> None:
    """The rule we do not use: accept the drafter's favourite with min(1, p / q), as if it had been sampled."""
    q = torch.tensor([0.1, 0.2, 0.6, 0.1])
    generator = torch.Generator().manual_seed(0)
    rest = (TARGET - q).clamp_min(0)
    tokens = []
    for _ in range(DRAWS):
        accepted = float(torch.rand((), generator=generator)) < float(TARGET[2] / q[2])
        tokens.append(2 if accepted else int(torch.multinomial(rest, 1, generator=generator)))
    assert chi_square(tokens, TARGET) > 10 * CHI_SQUARE_3_DOF


def test_filters_keep_what_they_should() -> None:
    logits = torch.tensor([0.05, 0.5, 0.15, 0.3]).log()
    for sampling, kept in (
        (Sampling(temperature=1.0, top_k=2), {1, 3}),
        (Sampling(temperature=1.0, top_p=0.5), {1}),
        (Sampling(temperature=1.0, top_p=0.51), {1, 3}),
        (Sampling(temperature=1.0, top_p=0.81), {1, 2, 3}),
        (Sampling(temperature=1.0, top_k=3, top_p=0.999), {1, 2, 3}),
    ):
        assert {int(KERNELS.pick(logits, rule_of(sampling), position)) for position in range(200)} == kept, sampling


@given(
    seed=st.integers(0, 2**32 - 1),
    position=st.integers(0, 2**31),
    dtype=st.sampled_from([torch.float32, torch.float64]),
)
@settings(max_examples=60, deadline=None)
def test_noise_never_wins_by_overflow(seed: int, position: int, dtype: torch.dtype) -> None:
    """The smallest hash gives 22.9, the largest -inf in fp32: harmless, as it can only lose."""
    noise = gumbel_noise(torch.empty(4000, dtype=dtype), seed, position)
    assert not noise.isnan().any()
    assert float(noise.max()) <= -math.log(0.5 * 2**-32) + 1e-3
    assert float(noise[noise.isfinite()].min()) > -4.0


def test_noise_hangs_on_seed_position_and_entry_alone() -> None:
    whole = gumbel_noise(torch.empty(1000), 3, 17)
    assert torch.equal(gumbel_noise(torch.empty(400), 3, 17), whole[:400])  # not on the size of the vocabulary
    assert torch.equal(gumbel_noise(torch.ones(1000), 3, torch.tensor(17)), whole)  # nor on the logits
    double = gumbel_noise(torch.empty(1000, dtype=torch.float64), 3, 17)
    assert torch.allclose(double.float(), whole, atol=1e-5)  # the same bits, rounded
    for other in (gumbel_noise(torch.empty(1000), 4, 17), gumbel_noise(torch.empty(1000), 3, 18)):
        assert (other == whole).sum() < 5
        assert abs(float(torch.corrcoef(torch.stack((other, whole)))[0, 1])) < 0.15


def test_noise_is_gumbel() -> None:
    noise = torch.cat([gumbel_noise(torch.empty(5000), 11, position) for position in range(10)])
    assert float(noise.mean()) == pytest.approx(0.5772, abs=0.02)
    assert float(noise.var()) == pytest.approx(math.pi**2 / 6, abs=0.05)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32, torch.float64])
def test_ties_go_to_the_lowest_id(dtype: torch.dtype) -> None:
    logits = torch.zeros(5000, dtype=dtype)
    logits[[1234, 1300, 4999]] = 2.0
    assert int(KERNELS.pick(logits, rule_of(GREEDY), 0)) == 1234


@pytest.mark.parametrize("sampling", [GREEDY, Sampling(temperature=0.7, seed=9)], ids=["greedy", "sampled"])
def test_the_gap_is_what_it_takes_to_change_the_pick(sampling: Sampling) -> None:
    for position in range(20):
        logits = torch.randn(60, generator=torch.Generator().manual_seed(position), dtype=torch.float64)
        pick = int(KERNELS.pick(logits, rule_of(sampling), position))
        gap = pick_gap(logits, rule_of(sampling), position) * (sampling.temperature or 1.0)
        for share, same in ((0.99, True), (1.01, False)):
            lowered = logits.clone()
            lowered[pick] -= share * gap
            assert (int(KERNELS.pick(lowered, rule_of(sampling), position)) == pick) is same


def test_the_gap_of_a_lone_token_is_infinite() -> None:
    logits = torch.tensor([0.0, 3.0, 1.0])
    assert pick_gap(logits, rule_of(Sampling(temperature=1.0, top_k=1)), 0) == math.inf
