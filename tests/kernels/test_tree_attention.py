"""tree_attention: the reference against a plain float64 softmax, the device code against the reference."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
import torch

from kernels.tree_attention.reference import tree_attention_reference
from kernels.tree_attention.triton import tree_attention_triton

TOLERANCE = {torch.float64: 1e-9, torch.float32: 2e-5, torch.float16: 4e-3, torch.bfloat16: 3e-2}


@dataclass
class Case:
    query: torch.Tensor
    keys: torch.Tensor
    values: torch.Tensor
    committed: torch.Tensor
    depth: torch.Tensor
    ancestors: torch.Tensor

    def __iter__(self) -> Any:
        return iter((self.query, self.keys, self.values, self.committed, self.depth, self.ancestors))


def random_tree(nodes: int, seed: int = 0, *, deep: bool = False) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """parent, depth [N] and ancestors [N, N] of a random tree; `deep` makes it a chain."""
    generator = torch.Generator().manual_seed(seed)
    parent = torch.full((nodes,), -1)
    depth = torch.zeros(nodes, dtype=torch.int64)
    ancestors = torch.eye(nodes, dtype=torch.bool)
    for node in range(1, nodes):
        parent[node] = node - 1 if deep else torch.randint(0, node, (), generator=generator)
        depth[node] = depth[parent[node]] + 1
        ancestors[node] |= ancestors[parent[node]]
    return parent, depth, ancestors


def make_case(
    nodes: int,
    committed: int,
    *,
    heads: int = 4,
    kv_heads: int = 2,
    width: int = 64,
    value_width: int | None = None,
    dtype: torch.dtype = torch.float32,
    device: torch.device | str = "cpu",
    spare: int = 7,
    deep: bool = False,
) -> Case:
    """Cache rows beyond the nodes are NaN: nothing may read them."""
    generator = torch.Generator().manual_seed(nodes * 1000 + committed)

    def randn(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator).to(dtype)

    capacity = committed + nodes + spare
    keys, values = randn(kv_heads, capacity, width), randn(kv_heads, capacity, value_width or width)
    keys[:, committed + nodes :] = torch.nan
    values[:, committed + nodes :] = torch.nan
    _, depth, ancestors = random_tree(nodes, deep=deep)
    query = randn(nodes, heads, width).transpose(0, 1)  # strided, as models hand it over
    tensors = (query, keys, values, torch.tensor(committed), depth, ancestors)
    return Case(*(tensor.to(device) for tensor in tensors))


def softmax_by_hand(case: Case, scale: float, window: int | None, softcap: float | None, sinks: Any) -> torch.Tensor:
    """Node by node, head by head, in float64."""
    heads, nodes, _ = case.query.shape
    group = heads // case.keys.shape[0]
    n = int(case.committed)
    out = torch.zeros(nodes, heads, case.values.shape[-1], dtype=torch.float64)
    for node in range(nodes):
        own = [n + j for j in range(nodes) if case.ancestors[node, j]]
        place = {slot: slot for slot in range(n)} | {slot: n + int(case.depth[slot - n]) for slot in own}
        here = n + int(case.depth[node])
        slots = [slot for slot in place if window is None or here - place[slot] < window]
        for head in range(heads):
            score = case.keys[head // group, slots].double() @ case.query[head, node].double() * scale
            if softcap is not None:
                score = softcap * torch.tanh(score / softcap)
            extra = [] if sinks is None else [sinks[head].double()]
            weight = torch.cat([score, *[part.reshape(1) for part in extra]]).softmax(0)[: len(slots)]
            out[node, head] = weight @ case.values[head // group, slots].double()
    return out


OPTIONS = [
    pytest.param({}, id="plain"),
    pytest.param({"window": 9}, id="window"),
    pytest.param({"softcap": 2.0}, id="softcap"),
    pytest.param({"sinks": True}, id="sinks"),
    pytest.param({"window": 6, "softcap": 3.0, "sinks": True}, id="all"),
]


def with_sinks(options: dict[str, Any], heads: int, device: Any = "cpu") -> dict[str, Any]:
    if not options.get("sinks"):
        return options
    return options | {"sinks": torch.linspace(-1.0, 2.0, heads, device=device)}


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
@pytest.mark.parametrize(("nodes", "committed"), [(1, 0), (1, 21), (7, 0), (6, 17)])
def test_reference_is_the_softmax(nodes: int, committed: int, dtype: torch.dtype, options: dict[str, Any]) -> None:
    case = make_case(nodes, committed, dtype=dtype, value_width=32)
    options = with_sinks(options, 4)
    got = tree_attention_reference(*case, scale=0.3, **options)
    want = softmax_by_hand(case, 0.3, options.get("window"), options.get("softcap"), options.get("sinks"))
    assert got.dtype == dtype
    torch.testing.assert_close(got.double(), want, atol=TOLERANCE[dtype], rtol=0)


def check_triton(case: Case, **options: Any) -> None:
    want = tree_attention_reference(*case, **options)
    for exact in (False, True):
        got = tree_attention_triton(*case, **options, exact=exact)
        assert got.shape == want.shape and got.dtype == want.dtype
        torch.testing.assert_close(got, want, atol=TOLERANCE[want.dtype], rtol=TOLERANCE[want.dtype])


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_triton_options(dtype: torch.dtype, options: dict[str, Any], device: torch.device) -> None:
    case = make_case(7, 70, dtype=dtype, device=device)
    check_triton(case, scale=0.2, **with_sinks(options, 4, device))


@pytest.mark.parametrize("width", [64, 80, 96, 128, 256])
def test_triton_head_widths(width: int, device: torch.device) -> None:
    check_triton(make_case(5, 40, width=width, dtype=torch.float16, device=device), scale=width**-0.5)


@pytest.mark.parametrize(
    ("heads", "kv_heads", "width", "value_width"), [(6, 6, 64, 64), (9, 3, 64, 64), (20, 1, 64, 64), (4, 2, 48, 32)]
)
def test_triton_groups(heads: int, kv_heads: int, width: int, value_width: int, device: torch.device) -> None:
    case = make_case(3, 33, heads=heads, kv_heads=kv_heads, width=width, value_width=value_width, device=device)
    check_triton(case, scale=0.125)


@pytest.mark.parametrize(("nodes", "committed"), [(1, 0), (1, 1), (1, 255), (1, 256), (2, 63), (17, 64), (23, 509)])
def test_triton_lengths(nodes: int, committed: int, device: torch.device) -> None:
    check_triton(make_case(nodes, committed, heads=2, kv_heads=1, dtype=torch.float16, device=device), scale=0.125)


def test_triton_chain_across_splits(device: torch.device) -> None:
    """A prompt's chunk: a chain so deep that a node's own keys span several splits."""
    case = make_case(34, 240, heads=1, kv_heads=1, width=16, dtype=torch.float16, device=device, deep=True)
    check_triton(case, scale=0.25)


def test_triton_window_over_several_splits(device: torch.device) -> None:
    check_triton(make_case(4, 700, heads=2, kv_heads=1, width=16, device=device), scale=0.25, window=90)


def test_triton_largest_tree(device: torch.device) -> None:
    case = make_case(1025, 3, heads=1, kv_heads=1, width=16, dtype=torch.float16, device=device)
    want = tree_attention_reference(*case, scale=0.25)
    got = tree_attention_triton(*case, scale=0.25)
    torch.testing.assert_close(got, want, atol=4e-3, rtol=4e-3)


def test_triton_padded_nodes_see_themselves_only_and_stay_finite(device: torch.device) -> None:
    case = make_case(6, 0, device=device)
    case.ancestors[4:] = torch.eye(6, dtype=torch.bool, device=device)[4:]
    case.depth[4:] = 0
    out = tree_attention_triton(*case, scale=0.125)
    assert out.isfinite().all()
    torch.testing.assert_close(out[4], case.values[:, 4].repeat_interleave(2, 0), atol=1e-5, rtol=0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("window", [None, 75])
@pytest.mark.parametrize("committed", [0, 62, 250])
def test_exact_rows_do_not_depend_on_the_tree(
    committed: int, window: int | None, dtype: torch.dtype, device: torch.device
) -> None:
    """Every node of a tree, bit for bit, against plain decoding of its own path (other slots, another capacity)."""
    nodes = 9
    tree = make_case(nodes, committed, dtype=dtype, device=device)
    got = tree_attention_triton(*tree, scale=0.125, window=window, exact=True)
    for node in (0, 3, nodes - 1):
        path = tree.ancestors[node].nonzero().flatten()
        path = path[tree.depth[path].argsort()]
        length = committed + len(path)
        rows = torch.cat([torch.arange(committed, device=device), committed + path])
        plain = Case(
            query=tree.query[:, node : node + 1].contiguous(),
            keys=torch.nn.functional.pad(tree.keys[:, rows], (0, 0, 0, 331)),
            values=torch.nn.functional.pad(tree.values[:, rows], (0, 0, 0, 331)),
            committed=torch.tensor(length - 1, device=device),
            depth=torch.zeros(1, dtype=torch.int64, device=device),
            ancestors=torch.ones(1, 1, dtype=torch.bool, device=device),
        )
        alone = tree_attention_triton(*plain, scale=0.125, window=window, exact=True)
        assert torch.equal(got[node], alone[0]), f"node {node} at depth {int(tree.depth[node])}"


@pytest.mark.parametrize(("dtype", "width"), [(torch.float64, 64), (torch.float32, 320)])
def test_triton_refuses_what_it_cannot_do(dtype: torch.dtype, width: int) -> None:
    with pytest.raises(ValueError, match="Choose the reference kernels"):
        tree_attention_triton(*make_case(2, 3, dtype=dtype, width=width), scale=1.0)
