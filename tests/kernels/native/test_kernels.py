"""Every function of every instruction set against float64 or exact integers, and bit for bit against plain C."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.kernels.native import calls
from tests.kernels.native.calls import GROUP, Sight, at, bits, poisoned

ROWS = (1, 2, 3, 5, 11, 12, 13, 29)


def noise(*shape: int, seed: int = 0, spread: float = 1.0) -> np.ndarray[Any, np.dtype[np.float32]]:
    return (np.random.default_rng(seed).standard_normal(shape) * spread).astype(np.float32)


@pytest.mark.parametrize("inner", [32, 96, 576])
def test_quantised_rows_are_the_nearest_integers(kernels: Any, scalar: Any, inner: int) -> None:
    x = noise(7, inner, spread=3.0)
    x[1] = 0.0
    x[2, :GROUP] *= 1e-33
    x[3] *= 1e30
    x[4, 5] = np.float32(2.5) * np.abs(x[4]).max()
    found, plain = calls.quantise(kernels, x), calls.quantise(scalar, x)
    groups = x.reshape(7, -1, GROUP)
    scale = np.abs(groups).max(-1) / np.float32(127)
    scale = np.where(scale > 1e-30, scale, 0).astype(np.float32)
    with np.errstate(divide="ignore", invalid="ignore"):
        inverse = np.where(scale > 0, np.float32(1) / scale, 0).astype(np.float32)
    expected = np.rint(groups * inverse[..., None])
    assert (bits(found.scale) == bits(scale)).all()
    assert (found.values.reshape(expected.shape) == expected).all()
    assert (found.offset == -128 * expected.sum(-1)).all()
    for name in ("values", "scale", "offset"):
        assert np.array_equal(getattr(found, name), getattr(plain, name))


@pytest.mark.parametrize("normed", [False, True], ids=["plain", "normed"])
def test_a_tile_of_rows_is_quantised_as_each_row_alone(kernels: Any, scalar: Any, normed: bool) -> None:
    for rows in range(1, kernels.row_tile + 1):
        x, weight = noise(rows, 96, seed=rows, spread=3.0), noise(96, seed=1)
        x[0, :GROUP] *= 1e-33
        x[-1, GROUP:] = 0.0
        norm = poisoned(rows)
        addresses = calls.pointers(x)
        kernels.norms(at(addresses), rows, 1e-5, 96, at(norm))
        assert np.allclose(norm, 1 / np.sqrt((x.astype(np.float64) ** 2).mean(-1) + 1e-5), rtol=1e-6)
        given = x * norm[:, None] * weight if normed else x
        values, scale, offset = calls.tiled(kernels, x, *((norm, weight) if normed else ()))
        alone = calls.quantise(scalar, given)
        assert (calls.rows_of(kernels, values, rows) == alone.values).all()
        assert (bits(scale.T) == bits(alone.scale)).all() and (alone.offset == offset.T).all()


def test_rows_that_are_no_numbers_stay_in_range(kernels: Any) -> None:
    x = noise(2, 64)
    x[0, 3], x[1, 40] = np.nan, np.inf
    assert (np.abs(calls.quantise(kernels, x).values.astype(int)) <= 127).all()


@pytest.mark.parametrize("inner", [32, 96, 1536])
@pytest.mark.parametrize("rows", ROWS)
def test_int8_panel_is_exact_in_each_group(kernels: Any, scalar: Any, rows: int, inner: int) -> None:
    random = np.random.default_rng(rows)
    x, scale = noise(rows, inner, seed=rows), np.abs(noise(16, seed=3))
    weights = random.integers(-127, 128, (16, inner)).astype(np.int8)
    weights[0], weights[1] = 127, -127
    x[0] = np.abs(x[0]).max()  # the largest sums there are
    found = calls.panel_int8(kernels, x, weights, scale)
    quantised = calls.quantise(scalar, x)
    products = quantised.values.reshape(rows, 1, -1, GROUP).astype(np.int64) * weights.reshape(16, -1, GROUP)
    exact = (products.sum(-1) * quantised.scale[:, None].astype(np.float64)).sum(-1) * scale
    size = (np.abs(products.sum(-1)) * quantised.scale[:, None].astype(np.float64)).sum(-1) * scale
    assert (np.abs(found - exact) <= 1e-7 * (inner // GROUP + 2) * size + 1e-30).all()
    assert (bits(found) == bits(calls.panel_int8(scalar, x, weights, scale))).all()


@pytest.mark.parametrize("bfloat16", [False, True], ids=["float32", "bfloat16"])
@pytest.mark.parametrize("rows", ROWS)
@pytest.mark.parametrize("inner", [16, 48, 577])
def test_float_panel_is_right_to_rounding(kernels: Any, scalar: Any, rows: int, inner: int, bfloat16: bool) -> None:
    x, weights = noise(rows, inner, seed=rows), noise(16, inner, seed=1)
    weights = calls.to_bfloat16(weights) if bfloat16 else weights
    found = calls.panel_float(kernels, x, weights, bfloat16)
    exact = x.astype(np.float64) @ weights.astype(np.float64).T
    size = np.abs(x.astype(np.float64)) @ np.abs(weights.astype(np.float64)).T
    assert (np.abs(found - exact) <= 6e-8 * inner * size).all()
    assert (np.abs(found - exact) <= 1e-5 * size).all()
    assert (bits(found) == bits(calls.panel_float(scalar, x, weights, bfloat16))).all()


@pytest.mark.parametrize("rows", [1, 7, 12])
def test_a_row_does_not_depend_on_the_others(kernels: Any, rows: int) -> None:
    x, weights = noise(rows, 96), noise(16, 96, seed=1)
    whole = np.random.default_rng(2).integers(-127, 128, (16, 96)).astype(np.int8)
    scale = np.abs(noise(16))
    alone = np.concatenate([calls.panel_float(kernels, x[r : r + 1], weights, False) for r in range(rows)])
    assert (bits(calls.panel_float(kernels, x, weights, False)) == bits(alone)).all()
    alone = np.concatenate([calls.panel_int8(kernels, x[r : r + 1], whole, scale) for r in range(rows)])
    assert (bits(calls.panel_int8(kernels, x, whole, scale)) == bits(alone)).all()


@pytest.mark.parametrize("count", [16, 48, 4096])
def test_norm(kernels: Any, scalar: Any, count: int) -> None:
    x, weight = noise(count, spread=5.0), noise(count, seed=1)
    found, plain = poisoned(count), poisoned(count)
    kernels.norm(at(x), at(weight), 1e-5, count, at(found))
    scalar.norm(at(x), at(weight), 1e-5, count, at(plain))
    wide = x.astype(np.float64)
    assert np.allclose(found, wide / np.sqrt((wide**2).mean() + 1e-5) * weight, rtol=3e-6, atol=0)
    assert (bits(found) == bits(plain)).all()


WIDE = np.concatenate([np.linspace(-120, 120, 4096), np.linspace(-1e-3, 1e-3, 496)]).astype(np.float32)


@pytest.mark.parametrize("activation", [0, 1], ids=["silu", "gelu-tanh"])
def test_gated(kernels: Any, scalar: Any, activation: int) -> None:
    up, found, plain = noise(len(WIDE)), poisoned(len(WIDE)), poisoned(len(WIDE))
    kernels.gated(activation, at(WIDE), at(up), len(WIDE), at(found))
    scalar.gated(activation, at(WIDE), at(up), len(WIDE), at(plain))
    x = WIDE.astype(np.float64)
    inside = x if activation == 0 else 2 * np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)
    with np.errstate(over="ignore"):
        exact = x / (1 + np.exp(-inside)) * up
    assert np.allclose(found, exact, rtol=3e-6, atol=1e-30 + 1e-6 * np.abs(exact).max() * 1e-6)
    assert (bits(found) == bits(plain)).all()


@pytest.mark.parametrize("cap", [0.0, 30.0])
def test_scale_and_soft_cap(kernels: Any, scalar: Any, cap: float) -> None:
    found, plain = WIDE.copy(), WIDE.copy()
    kernels.scale_cap(at(found), 0.25, cap, len(found))
    scalar.scale_cap(at(plain), 0.25, cap, len(plain))
    exact = WIDE.astype(np.float64) * 0.25
    exact = cap * np.tanh(exact / cap) if cap else exact
    assert np.allclose(found, exact, rtol=1e-6, atol=0)
    assert (bits(found) == bits(plain)).all()


def test_residual_and_rotary(kernels: Any, scalar: Any) -> None:
    x, y = noise(3, 40), noise(3, 48, seed=1)
    found, plain = x.copy(), x.copy()
    kernels.add_scaled(at(found, 8), 40, at(y, 16), 48, 0.7, 3)
    scalar.add_scaled(at(plain, 8), 40, at(y, 16), 48, 0.7, 3)
    exact = x.astype(np.float64)
    exact[:, 8:24] += np.float32(0.7) * y[:, 16:32].astype(np.float64)
    assert np.allclose(found, exact, rtol=1e-6, atol=1e-7) and (found[:, 24:] == x[:, 24:]).all()
    assert (bits(found) == bits(plain)).all()
    for half in (8, 24, 33):
        head, angle = noise(2 * half + 1), noise(half, seed=2).astype(np.float64)
        turned, plain = head.copy(), head.copy()
        cosine, sine = np.cos(angle).astype(np.float32), np.sin(angle).astype(np.float32)
        kernels.rotate(at(turned), at(cosine), at(sine), half)
        scalar.rotate(at(plain), at(cosine), at(sine), half)
        whole = (head[:half] + 1j * head[half : 2 * half]) * np.exp(1j * angle)
        assert np.allclose(turned[: 2 * half], [*whole.real, *whole.imag], atol=2e-6) and turned[-1] == head[-1]
        assert (bits(turned) == bits(plain)).all()


SIGHTS = {
    "one": [Sight(0, 1)],
    "chain": [Sight(0, n) for n in range(120, 137)],
    "long": [Sight(0, 517), Sight(0, 517), Sight(0, 300)],
    "window": [Sight(n - 40, n) for n in (41, 100, 127, 128, 129, 168, 169, 290)],
    "strays": [Sight(0, 130, (131,)), Sight(0, 130, (140, 142, 150)), Sight(0, 131), Sight(0, 126, (127, 133, 160))],
    "strays beyond a block": [Sight(0, 127, (129, 140)), Sight(0, 128, (128,)), Sight(0, 120, tuple(range(150, 162)))],
    "window over strays": [Sight(129, 130, (131, 150)), Sight(131, 130, (135, 136, 140)), Sight(100, 131)],
}  # fmt: skip


@pytest.mark.parametrize("softcap", [0.0, 5.0])
@pytest.mark.parametrize("kept", calls.KEPT)
@pytest.mark.parametrize("dim", [32, 80, 256])
@pytest.mark.parametrize("name", SIGHTS)
def test_attention(kernels: Any, scalar: Any, name: str, dim: int, kept: str, softcap: float) -> None:
    """Int8 rounds queries and weights too: there float64 tells only that it is near, and plain C the bits."""
    dim = 96 if kept == "int8" and dim % 32 else dim
    sights = SIGHTS[name]
    queries = noise(len(sights), dim, spread=2 / dim**0.5)
    keys, values = noise(528, dim, seed=1), noise(528, dim, seed=2)
    found = calls.attend(kernels, queries, keys, values, sights, kept, softcap)
    plain = calls.attend(scalar, queries, keys, values, sights, kept, softcap)
    keys, values = calls.as_kept(keys, kept), calls.as_kept(values, kept)
    for q, sight in enumerate(sights):
        score = keys[sight.slots()].astype(np.float64) @ queries[q]
        score = softcap * np.tanh(score / softcap) if softcap else score
        weight = np.exp(score - score.max())
        exact = weight / weight.sum() @ values[sight.slots()]
        assert np.allclose(found[q], exact, rtol=1e-5, atol=0.04 if kept == "int8" else 3e-6), f"query {q}"
    assert (bits(found) == bits(plain)).all()


@pytest.mark.parametrize("kept", calls.KEPT)
def test_a_stray_counts_as_if_it_lay_straight(kernels: Any, kept: str) -> None:
    """The same keys and values seen in place, or moved elsewhere: the same bits."""
    keys, values, queries = noise(320, 64, seed=1), noise(320, 64, seed=2), noise(4, 64)
    straight = calls.attend(kernels, queries, keys, values, [Sight(0, 133)] * 4, kept)
    keys[[141, 150]], values[[141, 150]] = keys[[131, 132]], values[[131, 132]]
    moved = calls.attend(kernels, queries, keys, values, [Sight(0, 131, (141, 150))] * 4, kept)
    assert (bits(straight) == bits(moved)).all()
    mixed = calls.attend(kernels, queries, keys, values, [Sight(0, 131, (141, 150)), Sight(0, 133)] * 2, kept)
    assert (bits(straight) == bits(mixed)).all()
