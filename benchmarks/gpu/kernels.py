"""Every kernel against its reference, and at what rate; knows no models."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch.nn import functional

from benchmarks.gpu.report import Report, ceiling, device, graphed, milliseconds
from kernels import KernelSet, PickRule, kernel_set
from kernels.types import Candidates, PickAt

DTYPES = (torch.bfloat16, torch.float32, torch.float16)
SHARE = 0.3  # of the time left that the errors may take: most of it goes into compiling
TOLERANCE = {torch.float32: 1e-4, torch.float16: 6e-3, torch.bfloat16: 4e-2}


def chain_of_beams(nodes: int, depth: int) -> tuple[torch.Tensor, torch.Tensor]:
    """depth [N] and ancestors [N, N] of a comb: beams of `depth` tokens under one root."""
    where = device()
    parent = [-1, *(0 if (node - 1) % depth == 0 else node - 1 for node in range(1, nodes))]
    levels, ancestors = torch.zeros(nodes, dtype=torch.int64), torch.eye(nodes, dtype=torch.bool)
    for node in range(1, nodes):
        levels[node] = levels[parent[node]] + 1
        ancestors[node] |= ancestors[parent[node]]
    return levels.to(where), ancestors.to(where)


def attention_case(
    heads: int, kv_heads: int, width: int, nodes: int, context: int, dtype: torch.dtype
) -> tuple[torch.Tensor, ...]:
    """Arguments of tree_attention; cache rows beyond the nodes are NaN."""
    where, capacity = device(), context + nodes + 50
    keys = torch.randn(kv_heads, capacity, width, device=where).to(dtype)
    values = torch.randn(kv_heads, capacity, width, device=where).to(dtype)
    keys[:, context + nodes :] = torch.nan
    values[:, context + nodes :] = torch.nan
    query = torch.randn(nodes, heads, width, device=where).to(dtype).transpose(0, 1)
    levels, ancestors = chain_of_beams(nodes, 5)
    return query, keys, values, torch.tensor(context, device=where), levels, ancestors


def check(report: Report, end: float, *, smoke: bool) -> None:
    """Largest error of each kernel over dtypes and odd shapes."""
    ours, theirs = kernel_set("triton", device()), kernel_set("reference", device())
    exact = kernel_set("triton", device(), exact=True)
    wrong = []
    limit = time.perf_counter() + SHARE * (end - time.perf_counter())
    for name, dtype, error in _errors(ours, theirs, exact, smoke):
        report.add("kernel errors", f"{name} {str(dtype).removeprefix('torch.')}", error)
        if not error <= TOLERANCE.get(dtype, 0.0):
            wrong.append(f"{name} {dtype}: {error:.3g}")
        if time.perf_counter() > limit:
            report.skip("kernels", f"for time, the cases after {name} {dtype}")
            break
    report.notes += [f"kernel off its reference: {line}" for line in wrong]
    report.judge("kernels off their references", float(len(wrong)), 0, at_least=False, timed=False)
    report.judge(
        "exact attention and linear: rows that depend on N",
        float(_row_differences(exact, smoke)),
        0,
        at_least=False,
        timed=False,
    )


def _errors(
    ours: KernelSet, theirs: KernelSet, exact: KernelSet, smoke: bool
) -> Iterator[tuple[str, torch.dtype, float]]:
    yield from _tree_errors(ours, theirs, smoke)
    where = device()
    shapes = [(4, 2, 64, 5, 33)] if smoke else [
        (9, 3, 64, 1, 500), (9, 3, 64, 41, 1000), (32, 8, 128, 65, 3001), (32, 32, 80, 17, 129),
        (16, 2, 96, 200, 777), (8, 4, 256, 33, 4097), (4, 1, 64, 1025, 255),
    ]  # fmt: skip
    options: list[dict[str, Any]] = [{}, {"window": 40, "softcap": 20.0}]
    for dtype in DTYPES:
        for shape in shapes:
            case = attention_case(*shape, dtype)
            for option in options[: 2 if shape == shapes[0] or shape[2] == 256 else 1]:
                want = theirs.tree_attention(*case, scale=shape[2] ** -0.5, **option)
                for label, kernels in (("tree_attention", ours), ("tree_attention exact", exact)):
                    got = kernels.tree_attention(*case, scale=shape[2] ** -0.5, **option)
                    yield f"{label} {shape} {option}", dtype, _difference(got, want)
        for rows, inputs, outputs in [(3, 64, 40)] if smoke else [(1, 576, 1536), (65, 4096, 4096), (130, 1000, 777)]:
            x = torch.randn(rows, inputs, device=where).to(dtype)
            weight = (torch.randn(outputs, inputs, device=where) / inputs**0.5).to(dtype)
            yield f"linear {rows}x{inputs}x{outputs}", dtype, _difference(exact.linear(x, weight), x @ weight.T)
        width, vocabulary = (4, 300) if smoke else (16, 50_001)
        logits = torch.randn(width, vocabulary, device=where).to(dtype)
        scores = -torch.rand(width, device=where)
        for cut in (None, 50):
            got, want = (kernels.children(logits, scores, keep=width, cut=cut) for kernels in (ours, theirs))
            yield f"children's scores, cut {cut}", dtype, _difference(got.score, want.score)
        position = torch.arange(width, device=where)
        for temperature in (0.0, 0.7):
            rule = PickRule(temperature, 0, 1.0, seed=3)
            same = ours.pick(logits, rule, position) == theirs.pick(logits, rule, position)
            yield f"pick at {temperature}", dtype, float((~same).sum())


def _tree_errors(ours: KernelSet, theirs: KernelSet, smoke: bool) -> Iterator[tuple[str, torch.dtype, float]]:
    """Integer results: any difference counts."""
    where = device()
    for width, length in [(3, 2)] if smoke else [(1, 1), (8, 5), (64, 16), (33, 7)]:
        tokens, root = torch.randint(0, 3, (width, length), device=where), torch.tensor(7, device=where)
        trees = [kernels.prefix_tree(tokens, root) for kernels in (ours, theirs)]
        for name in ("token", "parent", "depth", "ancestors", "node_of", "count"):
            got, want = (getattr(tree, name) for tree in trees)
            yield f"prefix_tree {width}x{length} {name}", torch.int64, float((got != want).sum())
        yield from _candidate_errors(ours, theirs, width, length)
        picks = torch.randint(0, 3, (width * length + 1,), device=where)
        eos = torch.tensor([2], device=where)
        pick_at = _looked_up(picks)
        got, want = (
            kernels.walk(pick_at, trees[0].token, trees[0].parent, eos, levels=length) for kernels in (ours, theirs)
        )
        yield (
            f"walk {width}x{length}",
            torch.int64,
            float((got.path != want.path).sum() + (got.picks != want.picks).sum()),
        )
    buffers = [torch.randn(4, 2, 60, 64, device=where).bfloat16() for _ in range(2)]
    copies = [buffer.clone() for buffer in buffers]
    path, committed = torch.tensor([0, 2, 3, 9, -1], device=where), torch.tensor(20, device=where)
    count = torch.tensor(4, device=where)
    ours.kv_commit(*buffers, committed, path, count)
    theirs.kv_commit(*copies, committed, path, count)
    yield "kv_commit", torch.int64, float(sum(int((a != b).sum()) for a, b in zip(buffers, copies, strict=True)))


def _candidate_errors(
    ours: KernelSet, theirs: KernelSet, width: int, length: int
) -> Iterator[tuple[str, torch.dtype, float]]:
    """A best-first tree of `length` levels of `width` candidates, each hanging on one of the level above."""
    where, total = device(), width * length
    depth = torch.arange(total, device=where) // width + 1
    parent = torch.where(depth > 1, torch.randint(0, width, (total,), device=where) + (depth - 2) * width, -1)
    steps = torch.rand(length, width, device=where)
    scores = -(depth + steps.flatten().mul(8).round() / 8)  # deeper is worse, and many are equal
    candidates = Candidates(torch.randint(0, 9, (total,), device=where), parent, depth)
    entries, root = torch.arange(total, device=where).view(length, width).T, torch.tensor(7, device=where)
    count = torch.tensor(min(48, total), device=where)
    order, wanted = (kernels.best(scores, min(63, total)) for kernels in (ours, theirs))
    yield f"best {width}x{length}", torch.int64, float((order != wanted).sum())
    trees = [
        kernels.candidate_tree(candidates, wanted, count, root, entries, levels=length) for kernels in (ours, theirs)
    ]
    for name in ("token", "parent", "depth", "ancestors", "node_of", "count"):
        got, want = (getattr(tree, name) for tree in trees)
        yield f"candidate_tree {width}x{length} {name}", torch.int64, float((got != want).sum())


def _looked_up(picks: torch.Tensor) -> PickAt:
    """Picks [N] that are known already."""
    return lambda nodes: picks if nodes is None else picks[nodes]


def _difference(got: torch.Tensor, want: torch.Tensor) -> float:
    """Largest error relative to 1 + |want|; NaN counts as infinite."""
    error = ((got.double() - want.double()).abs() / (1.0 + want.double().abs())).nan_to_num(nan=torch.inf)
    return float(error.masked_fill(got == want, 0.0).max())


def _row_differences(exact: KernelSet, smoke: bool) -> int:
    """Rows of attention and linear that change with the number of rows around them."""
    differing = 0
    shape = (4, 2, 64, 5, 70) if smoke else (32, 8, 128, 41, 1000)
    for dtype in DTYPES:
        query, keys, values, committed, levels, ancestors = attention_case(*shape, dtype)
        together = exact.tree_attention(query, keys, values, committed, levels, ancestors, scale=0.1)
        for node in (0, 1, shape[3] - 1):
            path = ancestors[node].nonzero().flatten()
            n = shape[4]
            rows = torch.cat((torch.arange(n, device=device()), n + path))
            alone = exact.tree_attention(
                query[:, node : node + 1], keys[:, rows].contiguous(), values[:, rows].contiguous(),
                torch.tensor(len(rows) - 1, device=device()), levels[:1], ancestors[:1, :1], scale=0.1,
            )  # fmt: skip
            differing += not torch.equal(alone[0], together[node])
        x = torch.randn(70, 300 if smoke else 4096, device=device()).to(dtype)
        weight = torch.randn(40 if smoke else 4096, x.shape[1], device=device()).to(dtype)
        product = exact.linear(x, weight)
        differing += sum(not torch.equal(exact.linear(x[row : row + 1], weight)[0], product[row]) for row in (0, 5, 69))
    return differing


def rates(report: Report, end: float, *, smoke: bool) -> None:
    """Attention against PyTorch's own with a dense mask, and the small kernels of a step."""
    top = ceiling(smoke=smoke)
    report.add("kernel rates", "ceiling GB/s", top / 1e9)
    ours = kernel_set("triton", device())
    _small(report, ours, smoke)
    slowest = None
    contexts = (40,) if smoke else (256, 1024, 4096, 8192, 32_000)
    for heads, kv_heads, width in [(4, 2, 64)] if smoke else [(9, 3, 64), (32, 8, 64), (32, 32, 128), (32, 8, 128)]:
        for nodes in (3,) if smoke else (1, 16, 64):
            for context in contexts:
                if time.perf_counter() > end - 5:
                    report.skip("kernel rates", f"for time, attention from Hq={heads} N={nodes} S={context} on")
                    return
                case = attention_case(heads, kv_heads, width, nodes, context, torch.bfloat16)
                mine = milliseconds(graphed(lambda case=case: ours.tree_attention(*case, scale=0.1)))
                dense = milliseconds(graphed(_dense(case)))
                moved = 2 * kv_heads * (context + nodes) * width * 2
                report.add("kernel rates", f"attention Hq={heads} Hkv={kv_heads} D={width} N={nodes} S={context}", {
                    "ms": mine, "dense mask ms": dense, "speedup": dense / mine,
                    "share of ceiling": moved / (mine * 1e-3) / top,
                })  # fmt: skip
                ratio = dense / mine
                slowest = ratio if slowest is None else min(slowest, ratio)
                if context == 8192 and nodes == 64:
                    report.judge(f"attention at 8k over dense mask, Hq={heads} D={width}", ratio, 3.0, at_least=True)
    report.judge("attention over PyTorch's own with a dense mask, slowest shape", slowest, 1.0, at_least=True)


def _dense(case: tuple[torch.Tensor, ...]) -> Callable[[], torch.Tensor]:
    """PyTorch's attention with the mask built beforehand."""
    query, keys, values, committed, _, ancestors = case
    n, nodes = int(committed), query.shape[1]
    mask = torch.cat((ancestors.new_ones(nodes, n), ancestors), 1)  # [N, S]
    group = query.shape[0] // keys.shape[0]
    keys, values = (part[:, : n + nodes].repeat_interleave(group, 0)[None] for part in (keys, values))
    return lambda: functional.scaled_dot_product_attention(query[None], keys, values, attn_mask=mask, scale=0.1)


def _small(report: Report, ours: KernelSet, smoke: bool) -> None:
    """prefix_tree, accept and commit of a step, and the draft's top-k, in microseconds."""
    where = device()
    width, length, vocabulary, layers = (3, 2, 300, 2) if smoke else (16, 4, 32_000, 32)
    tokens, root = torch.randint(0, 9, (width, length), device=where), torch.tensor(7, device=where)
    nodes = width * length + 1
    logits = torch.randn(nodes, vocabulary, device=where, dtype=torch.bfloat16)
    keys = torch.randn(layers, 8, 200, 128, device=where, dtype=torch.bfloat16)
    committed, eos = torch.tensor(100, device=where), torch.tensor([2], device=where)
    path, count = torch.arange(0, length + 1, device=where), torch.tensor(3, device=where)
    tree = ours.prefix_tree(tokens, root)
    greedy = PickRule(0.0, 0, 1.0, seed=0)

    def accept() -> None:
        ours.walk(lambda _: ours.pick(logits, greedy, tree.depth), tree.token, tree.parent, eos, levels=length)

    times = {
        "prefix_tree": milliseconds(graphed(lambda: ours.prefix_tree(tokens, root))),
        "accept": milliseconds(graphed(accept)),
        "commit": milliseconds(graphed(lambda: ours.kv_commit(keys, keys, committed, path, count))),
    }
    scores = torch.zeros(width, device=where)
    draft = torch.randn(width, vocabulary // 2, device=where, dtype=torch.bfloat16)
    widen = milliseconds(graphed(lambda: _best_children(ours, draft, scores)))
    torchs = milliseconds(graphed(lambda: (draft.float().log_softmax(-1) + scores[:, None]).flatten().topk(width)))
    for name, ms in {**times, "children and best": widen, "torch's log_softmax and topk": torchs}.items():
        report.add("kernel rates", f"{name} us", ms * 1e3)
    _best_first(report, ours, smoke)
    report.judge("prefix_tree + accept + commit, microseconds", sum(times.values()) * 1e3, 60.0, at_least=False)


def _best_children(kernels: KernelSet, logits: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
    """One level of a search of surviving beams."""
    return kernels.best(kernels.children(logits, scores, keep=len(scores), cut=None).score.flatten(), len(scores))


def _best_first(report: Report, ours: KernelSet, smoke: bool) -> None:
    """Choosing the best candidates of the default search and making their tree, in microseconds."""
    where, total = device(), 40 if smoke else 63 + 4 * 8 * 16 + 16
    parent, depth = torch.full((total,), -1, device=where), torch.ones(total, dtype=torch.int64, device=where)
    candidates = Candidates(torch.arange(total, device=where), parent, depth)
    scores, entries = -torch.rand(total, device=where), torch.zeros(8, 5, dtype=torch.int64, device=where)
    count, root = torch.tensor(16, device=where), torch.tensor(7, device=where)
    order = ours.best(scores, 95)[:63]
    made = milliseconds(graphed(lambda: ours.candidate_tree(candidates, order, count, root, entries, levels=16)))
    report.add("kernel rates", f"best 95 of {total} us", milliseconds(graphed(lambda: ours.best(scores, 95))) * 1e3)
    report.add("kernel rates", "candidate_tree us", made * 1e3)
