"""The noise of a sampled pick: uniform, independent, and of the same 32 bits in every implementation.

An entry's noise is -log(-log1p(-v)) of v = (bits + 0.5) / 2^32. In float64 this can be undone, so the tests see
the bits themselves. The float32 of PyTorch, Triton and C may differ in its last places, the bits behind it may not.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
import triton
import triton.language as tl

from kernels.pick.noise import gumbel_noise
from kernels.pick.triton import _STREAM, _mix, _noise
from tests.kernels.native.calls import at
from tests.kernels.test_pick import hash_by_hand

CHANCE = 1e-4  # the seeds are fixed, so that a test that passes goes on passing
ENTRIES = 1003


def bits_of(noise: torch.Tensor) -> torch.Tensor:
    """The 32 bits behind noise in float64."""
    return (-torch.expm1(-torch.exp(-noise)) * 2.0**32 - 0.5).round().long()


def hashes(entries: int, seed: int, positions: int) -> torch.Tensor:
    """Bits [positions, entries]."""
    return bits_of(gumbel_noise(torch.empty(entries, dtype=torch.float64), seed, torch.arange(positions)))


def chance(counts: torch.Tensor) -> float:
    """How often evenly spread draws are as uneven as `counts`: chi-square."""
    expected = float(counts.sum()) / counts.numel()
    assert expected >= 5
    statistic = ((counts - expected) ** 2 / expected).sum()
    freedom = torch.tensor(counts.numel() - 1, dtype=torch.float64)
    return float(torch.special.gammaincc(freedom / 2, statistic / 2))


def test_bits_are_the_documented_hash() -> None:
    found = hashes(40, 0xDEADBEEF, 30)
    assert found.tolist() == [
        [hash_by_hand(0xDEADBEEF, position, entry) for entry in range(40)] for position in range(30)
    ]


@pytest.mark.parametrize("seed", [0, 1, 2**31, 2**32 - 1])
@pytest.mark.parametrize("byte", range(4))
def test_every_byte_is_uniform(seed: int, byte: int) -> None:
    drawn = hashes(1000, seed, 200) >> 8 * byte & 255
    assert chance(drawn.flatten().bincount(minlength=256).double()) > CHANCE


@pytest.mark.parametrize("shift", [0, 14, 28])
@pytest.mark.parametrize("neighbour", ["entry", "position", "seed"])
def test_neighbours_are_independent(neighbour: str, shift: int) -> None:
    """Four bits of a draw beside the same four of its neighbour: all 256 pairs as often."""
    here = hashes(1001, 5, 201)
    beside = {"entry": here[:-1, 1:], "position": here[1:, :-1], "seed": hashes(1001, 6, 201)[:-1, :-1]}[neighbour]
    pairs = (here[:-1, :-1] >> shift & 15) * 16 + (beside >> shift & 15)
    assert chance(pairs.flatten().bincount(minlength=256).double()) > CHANCE


def test_a_hash_without_its_last_mixing_would_be_seen() -> None:
    """The same tests on draws that grow with the entry: they can fail."""
    entry = torch.arange(1001)
    drawn = (entry * 0x9E3779B9 + torch.arange(201)[:, None] * 0x85EBCA6B) & 0xFFFFFFFF
    pairs = (drawn[:, :-1] >> 28) * 16 + (drawn[:, 1:] >> 28)
    assert chance(pairs.flatten().bincount(minlength=256).double()) < 1e-12


@pytest.mark.parametrize("position", [0, 1, 8191, 70_000])
@pytest.mark.parametrize("seed", [0, 7, 2**32 - 1])
def test_every_implementation_draws_the_same_bits(
    every_set: tuple[Any, dict[str, Any]], seed: int, position: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not torch.cuda.is_available():
        monkeypatch.setenv("TRITON_INTERPRET", "1")
    exact = [hash_by_hand(seed, position, entry) for entry in range(ENTRIES)]
    drawn = {
        "reference": gumbel_noise(torch.empty(ENTRIES), seed, position),
        "triton": triton_noise(seed, position),
        **native_noise(every_set, seed, position),
    }
    assert len(drawn) >= 3
    v = (torch.tensor(exact, dtype=torch.float64) + 0.5) / 2**32
    wanted = -torch.log(-torch.log1p(-v))
    for name, noise in drawn.items():
        assert torch.allclose(noise.double().cpu(), wanted, rtol=3e-6, atol=2e-6), name
        # A noise of another entry, position or seed lies elsewhere by far more than float32's last places.
        assert not torch.allclose(noise.double().cpu().roll(1), wanted, rtol=0.1, atol=0.1), name


def store_noise(out, seed, position, count, BLOCK: tl.constexpr):
    """A Triton program, made one once it is known whether it is interpreted: as a pick does, but the noise alone."""
    id = tl.arange(0, BLOCK)
    stream = _mix(tl.load(seed).to(tl.uint32) ^ _STREAM)
    where = tl.load(position).to(tl.uint32)
    tl.store(out + id, _noise(id, stream, _mix(where * _STREAM + stream)), mask=id < count)


def triton_noise(seed: int, position: int) -> torch.Tensor:
    device = "cuda" if torch.cuda.is_available() else "cpu"
    out = torch.full((ENTRIES,), torch.nan, device=device)
    numbers = torch.tensor([seed, position], device=device)
    triton.jit(store_noise)[(1,)](out, numbers[:1], numbers[1:], ENTRIES, BLOCK=1024)
    return out


def native_noise(every_set: tuple[Any, dict[str, Any]], seed: int, position: int) -> dict[str, torch.Tensor]:
    """Of each instruction set that this processor has."""
    library, sets = every_set
    stream = hash_of(seed ^ 0x9E3779B9)
    step = hash_of((position * 0x9E3779B9 + stream) % 2**32)
    drawn = {}
    for name, one in sets.items():
        out = np.full(1024, np.nan, np.float32)
        library.native_isa_kernels(one.index).contents.noise(None, 0, ENTRIES, stream, step, at(out))
        drawn[name] = torch.from_numpy(out[:ENTRIES].copy())
    return drawn


def hash_of(x: int) -> int:
    """The finaliser in Python's own integers."""
    x = (x ^ x >> 16) * 0x7FEB352D % 2**32
    x = (x ^ x >> 15) * 0x846CA68B % 2**32
    return x ^ x >> 16
