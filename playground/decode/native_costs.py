"""What steps cost on this machine natively, measured in a few seconds and kept; and the beam shape that follows.

A tree's forward costs what its nodes cost, a draft what its levels and their width cost. Times are the least of
several rounds, as other work only adds; how much it added is noted, and costs of a busy machine are measured again at
the next start. Knows runners' parts and files; nothing of prompts.
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kernels.native import Draft, Rule, Search, SearchSettings, Segment
from kernels.native.choices import Acceptance
from playground.base_model.native import NativeBase
from playground.config import AUTO_NODES, BeamShape, CostCurve
from playground.drafter.native import NativeDraftModel
from playground.files import write_json

COUNTS = (1, 2, 3, 4, 5, 6, 8, 10, 12, 16, 24, 32, 48, 64)
WIDTHS = (1, 2, 3, 4, 6, 8)
LENGTHS = (2, 3, 4, 5, 6)
CONTEXT, LEVELS, ROUNDS = 256, 4, 6
BUSY = 1.5  # median over least of a plain step

TYPICAL = (0.6, 0.12, 0.05, 0.03, 0.02, 0.015, 0.01, 0.008)
"""How often the base model picks a drafter's first, second, .. guess under a node it accepted: the default pair's over
chats, rounded. Only the choice of a shape goes by it; a step's budget goes by the drafter's own scores."""


Call = Callable[[], object]


@dataclass(frozen=True)
class NativeCosts:
    """Milliseconds on one machine, of one pair in one format with so many threads."""

    nodes: tuple[int, ...]
    verify_ms: tuple[float, ...]  # a forward over so many, their logits, the walk
    start_ms: float  # of a draft besides its levels
    level_ms: tuple[float, ...]  # of one level, by `WIDTHS`
    spread: float  # median over least of the plain step

    @property
    def busy(self) -> bool:
        """Other work got in the way: to be measured again."""
        return self.spread > BUSY

    def level(self, width: int) -> float:
        """Of one level of `width` beams: on the line between its neighbours, beyond the last on the last line."""
        after = next((at for at, count in enumerate(WIDTHS) if count >= width), len(WIDTHS) - 1)
        if after == 0:
            return self.level_ms[0]
        low, high = WIDTHS[after - 1 : after + 1]
        start, end = self.level_ms[after - 1 : after + 1]
        return max(start, start + (end - start) * (width - low) / (high - low))

    def curve(self, width: int) -> CostCurve:
        """As a budget is chosen by, where `width` beams are drafted."""
        return CostCurve(self.nodes, self.verify_ms, level_ms=self.level(width), fixed_ms=self.start_ms)


def best_shape(costs: NativeCosts, typical: tuple[float, ...] = TYPICAL) -> BeamShape:
    """The beams that give most tokens for a millisecond; of equal ones the fewest and shortest."""

    def rate(shape: BeamShape) -> float:
        curve, tokens = costs.curve(shape.width), 1.0
        best = 1.0 / curve.step(1, shape.length)
        for nodes, chance in enumerate(chances(shape, typical), start=2):
            tokens += chance
            best = max(best, tokens / curve.step(nodes, shape.length))
        return best

    shapes = [BeamShape(width, length) for width in WIDTHS for length in LENGTHS]
    return max(shapes, key=lambda shape: (round(rate(shape), 6), -shape.slots))


def chances(shape: BeamShape, typical: tuple[float, ...]) -> list[float]:
    """Of the candidates a search of `shape` scores, best first: how likely each is accepted."""
    level, found = [1.0], []
    for _ in range(shape.length):
        children = sorted((above * chance for above in level for chance in typical), reverse=True)
        found += children
        level = children[: shape.width]
    return sorted(found, reverse=True)[: AUTO_NODES - 1]


def measure_costs(base: NativeBase, drafter: NativeDraftModel) -> NativeCosts:
    """Measure; a few seconds at most."""
    counts = tuple(count for count in COUNTS if count + 2 <= base.window)
    context = max(1, min(CONTEXT, base.window - counts[-1] - 1))
    calls: dict[Any, Call] = {("verify", count): call for count, call in verifying(base, context, counts)}
    calls |= {("draft", width, length): drafting(base, drafter, context, width, length)
              for width in WIDTHS for length in (1, LEVELS)}  # fmt: skip
    times = interleaved(calls, ROUNDS)
    least = {name: min(found) for name, found in times.items()}
    level = [max(0.0, (least["draft", w, LEVELS] - least["draft", w, 1]) / (LEVELS - 1)) for w in WIDTHS]
    return NativeCosts(
        nodes=counts,
        verify_ms=tuple(least["verify", count] for count in counts),
        start_ms=max(0.0, least["draft", 1, 1] - level[0]),
        level_ms=tuple(level),
        spread=statistics.median(times["verify", 1]) / least["verify", 1],
    )


def interleaved(calls: Mapping[Any, Call], rounds: int) -> dict[Any, list[float]]:
    """Milliseconds of each call in every round, in turns, so that other work meets all alike."""
    times: dict[Any, list[float]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            start = time.perf_counter()
            call()
            times[name].append((time.perf_counter() - start) * 1e3)
    return times


def verifying(base: NativeBase, context: int, counts: tuple[int, ...]) -> list[tuple[int, Call]]:
    """For each node count: a forward over so many, all their logits, the walk."""
    model = base.model
    cache = base.filled_cache(context, counts[-1])
    accepted = Acceptance(model.library.c, model.handle, Rule(), base.eos, counts[-1], base.vocab_size)
    taps = tuple(layer - 1 for layer in base.taps)

    def call(count: int) -> None:
        segment = Segment.chain(cache, context, np.arange(1, count + 1, dtype=np.int32) % base.vocab_size)
        hidden = model.forward([segment], taps).hidden
        accepted.walk(segment.tokens, segment.parents, segment.depths, context, hidden, count)

    return [(count, lambda count=count: call(count)) for count in counts]  # type: ignore[misc]


def drafting(
    base: NativeBase,
    drafter: NativeDraftModel,
    context: int,
    width: int,
    length: int,
    nodes: int | None = AUTO_NODES,
) -> Call:
    """A search of `length` levels of `width` beams, from which a tree of `nodes` is made; None: the surviving beams."""
    settings = SearchSettings(width, length, nodes=nodes)
    search, draft = Search(settings), Draft(settings)
    state = np.random.default_rng(0).standard_normal(base.hidden_size * (1 + len(base.taps))).astype(np.float32)
    history = np.arange(context, dtype=np.int32) % base.vocab_size
    none = np.empty(0, np.int32)
    return lambda: drafter.native.draft(search, state, history, context, none, length, draft)


def known_native_costs(
    folder: Path, key: str, base: NativeBase, drafter: NativeDraftModel, report: Callable[[float, str], None]
) -> NativeCosts:
    """Costs kept under `key` (all that they hang on), else measured now; a busy machine's are measured again."""
    file = folder / f"costs-{key}.json"
    known = _read(file)
    if known is None or known.busy:
        report(0.9, "Measuring what steps cost on this machine")
        fresh = measure_costs(base, drafter)
        known = fresh if known is None else _calmer(known, fresh)
        try:
            write_json(file, asdict(known))
        except OSError:
            return known
    return known


def _calmer(one: NativeCosts, other: NativeCosts) -> NativeCosts:
    return min(one, other, key=lambda costs: costs.spread)


def _read(file: Path) -> NativeCosts | None:
    try:
        told: Mapping[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        costs = NativeCosts(
            nodes=tuple(int(count) for count in told["nodes"]),
            verify_ms=tuple(float(ms) for ms in told["verify_ms"]),
            start_ms=float(told["start_ms"]),
            level_ms=tuple(float(ms) for ms in told["level_ms"]),
            spread=float(told["spread"]),
        )
        costs.curve(1)  # refuses what is no curve
        return costs if len(costs.level_ms) == len(WIDTHS) else None
    except (OSError, ValueError, KeyError, TypeError):
        return None
