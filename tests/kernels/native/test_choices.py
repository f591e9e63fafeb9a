"""What is done along a row of logits: each set against float64 and bit for bit against plain C, picks against PyTorch.

Noise is the same hash in both; its float differs in the last bits, so a pick may differ only where the two best scores
stand closer than that.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from kernels import PickRule
from kernels.native.choices import Rule, judge, pick
from kernels.pick.noise import gumbel_noise, noise_of_entries
from kernels.pick.reference import pick_reference
from playground.decode.judge import judge as judge_reference
from tests.kernels.native.calls import at, bits, poisoned
from tests.kernels.native.picking import model_of_vocabulary

COUNTS = (1, 15, 16, 17, 97, 1003, 4096)
Array = np.ndarray[Any, np.dtype[np.float32]]


def row(count: int, seed: int = 0, spread: float = 4.0) -> Array:
    """Logits rounded so that some are equal."""
    values = np.random.default_rng(seed).standard_normal(count) * spread
    return (np.rint(values * 16) / 16).astype(np.float32)


@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize("wanted", [1, 2, 16, 63])
def test_top_is_sorted_with_ties_to_the_lower_id(kernels: Any, count: int, wanted: int) -> None:
    x = row(count, count)
    x[::7] = -np.inf
    ids, values = np.full(wanted, -9, np.int32), poisoned(wanted)
    found = kernels.top(at(x), count, wanted, at(ids), at(values))
    order = np.lexsort((np.arange(count), -x))
    order = order[x[order] > -np.inf][:wanted]
    assert found == len(order)
    assert ids[:found].tolist() == order.tolist() and (values[:found] == x[order]).all()
    assert np.isnan(values[found:]).all()


@pytest.mark.parametrize("count", COUNTS)
def test_entries_above_a_bound(kernels: Any, count: int) -> None:
    x, ids = row(count, 3), np.full(count, -9, np.int32)
    x[5::11] = np.nan
    for bound in (-np.inf, 0.0, 4.0625, 100.0):
        found = kernels.above(at(x), count, bound, at(ids))
        assert ids[:found].tolist() == np.nonzero(x > bound)[0].tolist()


@pytest.mark.parametrize("count", COUNTS)
def test_sums_of_exponentials(kernels: Any, scalar: Any, count: int) -> None:
    x, e = row(count), poisoned((count + 15) // 16 * 16)
    most = float(x.max())
    found = kernels.exp_sum(at(x), count, 0.7, 0.7 * most, at(e))
    exact = np.exp(0.7 * (x.astype(np.float64) - most))
    assert np.isclose(found, exact.sum(), rtol=3e-6) and np.allclose(e[:count], exact, rtol=3e-6)
    assert (e[count:] == 0).all()
    assert bits(np.float32(found)) == bits(np.float32(scalar.exp_sum(at(x), count, 0.7, 0.7 * most, None)))


def test_logarithm_and_exponential(kernels: Any, scalar: Any) -> None:
    for x in (1e-37, 1e-9, 0.3, 0.70710677, 0.9999999, 1.0, 1.0000001, 2.0, 49152.0, 3e38):
        assert np.isclose(kernels.log(x), np.log(np.float64(np.float32(x))), rtol=3e-7, atol=1e-8)
        assert bits(np.float32(kernels.log(x))) == bits(np.float32(scalar.log(x)))
    for x in (-80.0, -1.0, 0.0, 3.3, 80.0):
        assert np.isclose(kernels.exp(x), np.exp(np.float64(np.float32(x))), rtol=4e-7)
        assert bits(np.float32(kernels.exp(x))) == bits(np.float32(scalar.exp(x)))


@pytest.mark.parametrize("count", COUNTS)
def test_ranks(kernels: Any, count: int) -> None:
    x = row(count, 5, spread=0.5)
    for id in range(0, count, max(1, count // 37)):
        before = (x > x[id]) | ((x == x[id]) & (np.arange(count) < id))
        assert kernels.rank(at(x), count, id) == 1 + before.sum()


@pytest.mark.parametrize("count", COUNTS)
def test_noise_is_the_same_hash(kernels: Any, scalar: Any, count: int) -> None:
    seed, position = 0xDEADBEEF, 4321
    stream, step = streams(seed, position)
    found, plain = poisoned((count + 15) // 16 * 16), poisoned((count + 15) // 16 * 16)
    kernels.noise(None, 5, count, stream, step, at(found))
    scalar.noise(None, 5, count, stream, step, at(plain))
    exact = noise_of_entries(torch.arange(5, 5 + count), seed, position).numpy()
    assert np.allclose(found[:count], exact, rtol=2e-6, atol=1e-6)
    assert (bits(found) == bits(plain)).all()
    ids = np.random.default_rng(1).permutation(5 + count)[:count].astype(np.int32)
    kernels.noise(at(ids), 0, count, stream, step, at(found))
    exact = noise_of_entries(torch.from_numpy(ids).long(), seed, position).numpy()
    assert np.allclose(found[:count], exact, rtol=2e-6, atol=1e-6)


def test_the_far_ends_of_the_noise(kernels: Any) -> None:
    """Every bit pattern near the ends by way of the hash is hard to come by; the hash is undone instead."""
    wanted = [0, 1, 127, 128, 129, 0x7FFFFFFF, 0xFFFFFF7F, 0xFFFFFF80, 0xFFFFFFFF]
    ids = np.array([unmix(bits_) for bits_ in wanted], np.uint32)
    ids = np.array([unmix(int(x)) for x in ids], np.uint32).view(np.int32)  # step 0, stream 0
    found = poisoned(16)
    kernels.noise(at(ids), 0, len(ids), 0, 0, at(found))
    v = ((np.array(wanted, np.float32) + np.float32(0.5)) * np.float32(2.0**-32)).astype(np.float64)
    with np.errstate(divide="ignore"):
        exact = -np.log(-np.log1p(-v))
    assert np.allclose(found[: len(ids)], exact, rtol=2e-6, atol=1e-6)
    assert np.isneginf(found[len(ids) - 1])


def streams(seed: int, position: int) -> tuple[int, int]:
    stream = mix(seed ^ 0x9E3779B9)
    return stream, mix((position * 0x9E3779B9 + stream) & 0xFFFFFFFF)


def mix(x: int) -> int:
    x = (x ^ x >> 16) * 0x7FEB352D & 0xFFFFFFFF
    x = (x ^ x >> 15) * 0x846CA68B & 0xFFFFFFFF
    return x ^ x >> 16


def unmix(x: int) -> int:
    x ^= x >> 16
    x = x * pow(0x846CA68B, -1, 1 << 32) & 0xFFFFFFFF
    x ^= x >> 15 ^ x >> 30
    x = x * pow(0x7FEB352D, -1, 1 << 32) & 0xFFFFFFFF
    return x ^ x >> 16


RULES = {
    "greedy": Rule(),
    "hot": Rule(temperature=1.7, seed=3),
    "cool": Rule(temperature=0.3, seed=2**32 - 1),
    "top-k": Rule(temperature=0.8, top_k=7, seed=4),
    "top-k 1": Rule(temperature=0.8, top_k=1, seed=4),
    "top-k wide": Rule(temperature=1.0, top_k=600, seed=4),
    "top-p": Rule(temperature=0.9, top_p=0.8, seed=5),
    "top-p small": Rule(temperature=0.9, top_p=1e-6, seed=5),
    "top-p wide": Rule(temperature=1.5, top_p=0.999, seed=5),
    "both": Rule(temperature=0.9, top_p=0.7, top_k=40, seed=6),
}


@pytest.mark.parametrize("vocabulary", [33, 97, 1003, 49152])
@pytest.mark.parametrize("name", RULES)
def test_picks_are_the_references(every_set: Any, name: str, vocabulary: int) -> None:
    """Also one row or many, and every set: the same picks."""
    rule, rows = RULES[name], 12
    random = np.random.default_rng(vocabulary)
    logits = (random.standard_normal((rows, vocabulary)) * 3).astype(np.float32)
    logits[3] = np.rint(logits[3])  # many ties
    positions = random.integers(0, 5000, rows)
    theirs = PickRule(rule.temperature, rule.top_k, rule.top_p, rule.seed)
    expected = pick_reference(torch.from_numpy(logits), theirs, torch.from_numpy(positions)).tolist()
    c, sets = every_set
    for one in sets.values():
        with model_of_vocabulary(c, one.index, vocabulary) as handle:
            found, gaps = pick(c, handle, rule, logits, positions)
            alone = [pick(c, handle, rule, logits[r : r + 1], positions[r : r + 1])[0][0] for r in range(rows)]
        assert found.tolist() == alone
        for r, (own, other) in enumerate(zip(found.tolist(), expected, strict=True)):
            if own != other:
                assert gaps[r] < 1e-4, f"{one.name}: row {r} picks {own}, not {other}, by {gaps[r]}"
        assert sum(a != b for a, b in zip(found.tolist(), expected, strict=True)) <= 1


@pytest.mark.parametrize("name", ["greedy", "hot", "top-p"])
def test_gaps_are_those_of_the_scores(every_set: Any, name: str) -> None:
    rule = RULES[name]
    logits = np.random.default_rng(0).standard_normal((1, 997)).astype(np.float32) * 3
    scores = torch.from_numpy(logits[0]).double()
    if rule.temperature:
        if rule.top_p < 1:
            order = scores.sort(descending=True)
            share = (order.values / rule.temperature).softmax(0)
            scores[order.indices[share.cumsum(0) - share >= rule.top_p]] = -torch.inf
        scores = scores / rule.temperature + gumbel_noise(scores, rule.seed, 77)
    best = scores.topk(2).values
    c, sets = every_set
    for one in sets.values():
        with model_of_vocabulary(c, one.index, 997) as handle:
            assert np.isclose(pick(c, handle, rule, logits, np.array([77]))[1][0], best[0] - best[1], atol=1e-5)


def test_one_token_left_is_infinitely_ahead(every_set: Any) -> None:
    c, sets = every_set
    logits = np.random.default_rng(0).standard_normal((1, 97)).astype(np.float32)
    with model_of_vocabulary(c, sets["scalar"].index, 97) as handle:
        found, gaps = pick(c, handle, Rule(temperature=1.0, top_k=1), logits, np.array([3]))
    assert found[0] == logits.argmax() and gaps[0] == np.inf


@pytest.mark.parametrize("content", [np.nan, -np.inf, np.inf])
@pytest.mark.parametrize("name", RULES)
def test_rows_that_are_no_numbers_give_a_token(every_set: Any, name: str, content: float) -> None:
    c, sets = every_set
    logits = np.full((1, 97), content, np.float32)
    for one in sets.values():
        with model_of_vocabulary(c, one.index, 97) as handle:
            assert 0 <= pick(c, handle, RULES[name], logits, np.array([3]))[0][0] < 97


def test_wrong_rules_are_refused(every_set: Any) -> None:
    c, sets = every_set
    logits = np.zeros((1, 97), np.float32)
    with model_of_vocabulary(c, sets["scalar"].index, 97) as handle:
        for wrong in (Rule(temperature=-1.0), Rule(temperature=float("nan")), Rule(top_p=0.0), Rule(top_k=-1)):
            with pytest.raises(ValueError, match="out of range"):
                pick(c, handle, wrong, logits, np.array([3]))


@pytest.mark.parametrize("vocabulary", [97, 1003])
def test_judgements_are_the_references(every_set: Any, vocabulary: int) -> None:
    c, sets = every_set
    random = np.random.default_rng(1)
    logits = np.stack([row(vocabulary, seed) for seed in range(6)])
    rows = random.integers(0, 6, 23).astype(np.int32)
    tokens = random.integers(0, vocabulary, 23).astype(np.int32)
    expected = judge_reference(*(torch.from_numpy(part) for part in (logits, rows.astype(int), tokens.astype(int))))
    first: Any = None
    for one in sets.values():
        with model_of_vocabulary(c, one.index, vocabulary) as handle:
            found = judge(c, handle, logits, rows, tokens)
        assert np.allclose(found.log_probability, expected.log_probability.numpy(), atol=3e-6, rtol=1e-6)
        assert found.rank.tolist() == expected.rank.tolist()
        first = found if first is None else first
        assert (bits(found.log_probability) == bits(first.log_probability)).all()
