"""pick: one rule at every temperature, the same on every device; the noise is what it claims to be."""

from __future__ import annotations

import math

import pytest
import torch

from kernels.pick.noise import gumbel_noise
from kernels.pick.reference import pick_reference
from kernels.pick.triton import pick_triton
from kernels.types import PickRule

OPERATIONS = [pytest.param(pick_reference, id="reference"), pytest.param(pick_triton, id="triton")]
GREEDY = PickRule(0.0, 0, 1.0, seed=1)


def hash_by_hand(seed: int, position: int, entry: int) -> int:
    """The counter hash in Python's own integers."""

    def mix(x: int) -> int:
        x ^= x >> 16
        x = x * 0x7FEB352D % 2**32
        x ^= x >> 15
        x = x * 0x846CA68B % 2**32
        return x ^ (x >> 16)

    stream = mix(seed ^ 0x9E3779B9)
    step = mix((position * 0x9E3779B9 + stream) % 2**32)
    return mix(mix((entry + stream) % 2**32) ^ step)


@pytest.mark.parametrize("seed", [0, 7, 2**32 - 1])
@pytest.mark.parametrize("position", [0, 1, 70_000])
def test_noise_is_the_documented_hash(seed: int, position: int) -> None:
    noise = gumbel_noise(torch.zeros(9, dtype=torch.float64), seed, position)
    for entry in range(9):
        v = (hash_by_hand(seed, position, entry) + 0.5) / 2**32
        assert noise[entry].item() == pytest.approx(-math.log(-math.log1p(-v)), rel=1e-12)


def test_noise_is_gumbel() -> None:
    noise = gumbel_noise(torch.zeros(40, 5000), 3, torch.arange(40)).double()
    assert noise.mean().item() == pytest.approx(0.5772, abs=0.01)
    assert noise.var().item() == pytest.approx(math.pi**2 / 6, abs=0.03)
    assert (torch.corrcoef(noise) - torch.eye(40)).abs().max() < 0.07  # 5 sigma of 5000


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("vocabulary", [1, 5, 4096, 4099])
def test_greedy_is_argmax_with_ties_to_the_lowest(operation, vocabulary, dtype, device) -> None:
    logits = torch.randn(vocabulary, device=device).to(dtype)
    best = vocabulary // 2
    logits[best:] = logits.max() + 1  # many equal maxima
    got = operation(logits, GREEDY, 3)
    assert got.shape == () and got.dtype == torch.int64 and int(got) == best


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("kind", ["negative", "zero of both signs", "one left"])
def test_greedy_corner_cases(operation, kind: str, device) -> None:
    logits, want = {
        "negative": (torch.tensor([-9.0, -2.0, -2.0]), 1),
        "zero of both signs": (torch.tensor([-1.0, -0.0, 0.0]), 1),
        "one left": (torch.tensor([-torch.inf, -torch.inf, -1e30]), 2),
    }[kind]
    assert int(operation(logits.to(device), GREEDY, 0)) == want


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize(("top_k", "top_p"), [(0, 1.0), (40, 1.0), (0, 0.8), (30, 0.7)])
@pytest.mark.parametrize("seed", [0, 5, 2**32 - 1])
def test_triton_picks_what_the_reference_picks(seed, top_k, top_p, dtype, device) -> None:
    logits = (torch.randn(24, 5000, generator=torch.Generator().manual_seed(1)) * 2).to(dtype).to(device)
    position = torch.arange(100, 124, device=device)
    rule = PickRule(0.7, top_k, top_p, seed)
    assert torch.equal(pick_triton(logits, rule, position), pick_reference(logits, rule, position))


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("seed", [0, 2**31, 2**32 - 1])
def test_a_seed_on_the_device_is_the_same_seed(operation, seed, device) -> None:
    logits, position = torch.randn(6, 3000, device=device), torch.arange(6, device=device)
    here, there = (PickRule(1.5, 0, 1.0, value) for value in (seed, torch.tensor(seed).to(device)))
    assert torch.equal(operation(logits, here, position), operation(logits, there, position))


@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_row_is_picked_alike_alone(operation, device) -> None:
    logits, position = torch.randn(6, 300, device=device), torch.tensor([4, 4, 9, 0, 1, 2], device=device)
    rule = PickRule(1.3, 0, 0.9, seed=11)
    together = operation(logits, rule, position)
    alone = [int(operation(logits[row], rule, position[row])) for row in range(6)]
    assert together.tolist() == alone
    assert int(operation(logits[2], rule, 9)) == alone[2]


def test_frequencies_follow_the_softmax() -> None:
    """Chi-squared over 20,000 positions at temperature 0.8, below the 0.999 quantile for 4 degrees of freedom."""
    logits = torch.tensor([1.0, 0.3, -0.5, 0.0, -2.0])
    count = 20_000
    picked = pick_reference(logits.expand(count, 5), PickRule(0.8, 0, 1.0, seed=42), torch.arange(count))
    want = (logits / 0.8).softmax(0) * count
    seen = torch.bincount(picked, minlength=5)
    assert ((seen - want) ** 2 / want).sum() < 18.47


@pytest.mark.parametrize("operation", OPERATIONS)
def test_filters_keep_only_what_they_say(operation, device) -> None:
    logits = torch.tensor([3.0, 2.0, 1.0, 0.0, -1.0], device=device)
    count = 300
    position = torch.arange(count, device=device)

    def seen(top_k: int, top_p: float) -> set[int]:
        return set(operation(logits.expand(count, 5), PickRule(1.0, top_k, top_p, seed=0), position).tolist())

    assert seen(top_k=2, top_p=1.0) == {0, 1}
    assert seen(top_k=0, top_p=0.8) == {0, 1}  # 0.64, 0.23, ...: two reach 0.8
    assert seen(top_k=0, top_p=1e-6) == {0}
    assert seen(top_k=4, top_p=1.0) == {0, 1, 2, 3}
    assert seen(top_k=99, top_p=1.0) == {0, 1, 2, 3, 4}


def test_float64_stays_float64() -> None:
    logits = torch.tensor([1.0, 1.0 + 1e-12], dtype=torch.float64)
    assert int(pick_reference(logits, GREEDY, 0)) == 1
    with pytest.raises(ValueError, match="Choose the reference kernels"):
        pick_triton(logits, GREEDY, 0)
