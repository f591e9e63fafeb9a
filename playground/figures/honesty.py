"""Is the drafter honest: its probabilities against the base model's, and where it misses. Arithmetic on records.

Both models' probabilities of a node are raw (temperature 1, no filter) and under the same prefix, so they compare at
every drafted node, whether decoding reached it or not. Nodes that were only copied from earlier in the text are left
out: their number is a measured chance, not the drafter's. Knows no chart.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from playground.figures.nodes import draft_log_probabilities, node_origins, node_statuses
from playground.figures.token_kind import KINDS, TokenKind, token_kind
from playground.trace import StepRecord

EDGES = (0.0, 0.01, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)  # of the drafter's probability
RANKS = ((1, 1), (2, 2), (3, 3), (4, 10), (11, 100), (101, None))  # first and last of each group


@dataclass(frozen=True)
class CalibrationBin:
    """Drafted nodes to which the drafter gave a probability in [low, high), the last bin with its end."""

    low: float
    high: float
    nodes: int
    draft: float  # mean of the drafter's probabilities, nan without nodes
    base: float  # mean of the base model's, nan without nodes
    looked: int  # of the nodes, those whose parent was accepted: accepted or rejected
    accepted: int

    @property
    def accepted_share(self) -> float:
        return self.accepted / self.looked if self.looked else math.nan


@dataclass(frozen=True)
class Calibration:
    """Every drafted node of some steps, by the drafter's probability."""

    bins: tuple[CalibrationBin, ...]  # those that have nodes, in order

    @property
    def nodes(self) -> int:
        return sum(one.nodes for one in self.bins)

    @property
    def draft(self) -> float:
        """Mean of the drafter's probabilities over all nodes; nan without any."""
        return sum(one.draft * one.nodes for one in self.bins) / self.nodes if self.nodes else math.nan

    @property
    def base(self) -> float:
        """Mean of the base model's over all nodes; nan without any."""
        return sum(one.base * one.nodes for one in self.bins) / self.nodes if self.nodes else math.nan

    @property
    def error(self) -> float:
        """Expected calibration error: mean distance of a bin's two means, weighted by its nodes; nan without any."""
        apart = sum(abs(one.draft - one.base) * one.nodes for one in self.bins)
        return apart / self.nodes if self.nodes else math.nan


@dataclass(frozen=True)
class KindCount:
    """Picks of one kind of token, where the drafter had guessed."""

    kind: TokenKind
    guessed: int  # picks at nodes that had drafted children
    missed: int  # of those, the picks that no child held

    @property
    def share(self) -> float:
        return self.missed / self.guessed if self.guessed else math.nan


@dataclass(frozen=True)
class RankCount:
    """Misses by the base model's rank of the drafter's favourite there."""

    first: int
    last: int | None  # None: no end
    missed: int


@dataclass(frozen=True)
class Misses:
    """Where the drafter guessed and the base model picked something else."""

    kinds: tuple[KindCount, ...]  # those that came by, in the order of KINDS
    ranks: tuple[RankCount, ...]  # all groups, or none without a miss

    @property
    def guessed(self) -> int:
        return sum(one.guessed for one in self.kinds)

    @property
    def missed(self) -> int:
        return sum(one.missed for one in self.kinds)


def calibration(steps: Iterable[StepRecord]) -> Calibration:
    """Both models' probabilities over all drafted nodes of `steps`, which may be of several runs."""
    groups: list[list[tuple[float, float, str]]] = [[] for _ in EDGES[1:]]
    for step in steps:
        for draft, base, status in _drafted(step):
            groups[_bin_of(draft)].append((draft, base, status))
    bins = [_bin(at, rows) for at, rows in enumerate(groups) if rows]
    return Calibration(tuple(bins))


def misses(steps: Iterable[StepRecord]) -> Misses:
    """Picks that no drafted child held, over all picks at nodes that had drafted children."""
    guessed, missed = dict.fromkeys(KINDS, 0), dict.fromkeys(KINDS, 0)
    ranks = [0] * len(RANKS)
    for step in steps:
        for kind, rank in _guesses(step):
            guessed[kind] += 1
            if rank is not None:
                missed[kind] += 1
                ranks[_group_of(rank)] += 1
    kinds = tuple(KindCount(kind, guessed[kind], missed[kind]) for kind in KINDS if guessed[kind])
    counts = tuple(RankCount(first, last, count) for (first, last), count in zip(RANKS, ranks, strict=True))
    return Misses(kinds, counts if any(ranks) else ())


def _drafted(step: StepRecord) -> Iterator[tuple[float, float, str]]:
    """(drafter's probability, base model's, status) of every node that a beam drafted."""
    statuses, origins = node_statuses(step), node_origins(step)
    for node, draft in enumerate(draft_log_probabilities(step)):
        if draft is not None and origins[node] == "beam":
            yield math.exp(draft), math.exp(step.log_probability[node]), statuses[node]


def _bin_of(probability: float) -> int:
    return max(0, min(len(EDGES) - 2, sum(probability >= edge for edge in EDGES) - 1))


def _bin(at: int, rows: list[tuple[float, float, str]]) -> CalibrationBin:
    accepted = sum(status == "accepted" for *_, status in rows)
    return CalibrationBin(
        low=EDGES[at],
        high=EDGES[at + 1],
        nodes=len(rows),
        draft=math.fsum(draft for draft, *_ in rows) / len(rows),
        base=math.fsum(base for _, base, _ in rows) / len(rows),
        looked=accepted + sum(status == "rejected" for *_, status in rows),
        accepted=accepted,
    )


def _guesses(step: StepRecord) -> Iterator[tuple[TokenKind, int | None]]:
    """Every pick at a node with drafted children: its kind and, of a miss, the rank of the drafter's favourite."""
    draft, origins = draft_log_probabilities(step), node_origins(step)
    children: dict[int, list[tuple[float, int]]] = {}
    for node, value in enumerate(draft):
        if value is not None and origins[node] == "beam":
            children.setdefault(step.tree.parent[node], []).append((value, node))
    for pick in step.picks:
        if pick.node not in children:
            continue
        raw, before = (step.token_bytes.get(token, b"") for token in (pick.token, step.tree.token[pick.node]))
        held = any(step.tree.token[node] == pick.token for _, node in children[pick.node])
        favourite = max(children[pick.node])[1]
        yield token_kind(raw, before), None if held else step.rank[favourite]


def _group_of(rank: int) -> int:
    return max(at for at, (first, _) in enumerate(RANKS) if rank >= first)
