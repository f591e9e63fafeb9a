"""Sums over steps and lanes, and every figure that follows from them: the one place where records are counted.

`RunTotals.catch_up` reads only the records it has not seen, so a frame of a long run costs no more than that of a
short one. Knows no text, no clock of its own, and no words.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import astuple, dataclass
from typing import Any

from playground.figures.rates import Event, rate
from playground.trace import StageMs, StepRecord, Trace


@dataclass(frozen=True)
class PositionAcceptance:
    """What became of the drafted tokens at one depth."""

    depth: int  # 1..L
    accepted: int  # steps that accepted at least this deep
    drafted: int  # steps whose tree reached this deep
    reached: int  # of those, steps that accepted all before it

    @property
    def share(self) -> float:
        """Acceptance rate of this position, over all steps that drafted it."""
        return ratio(self.accepted, self.drafted)

    @property
    def conditional(self) -> float:
        """Acceptance rate of this position, over the steps that accepted all before it."""
        return ratio(self.accepted, self.reached)


class StepTotals:
    """Sums over decoding steps, of one run or of many.

    Attributes:
        count: steps.
        emitted, looped: tokens the steps wrote, and those of them that stand inside loops (0 where nobody looked).
        count_outside: steps, each counted by the share of its tokens outside loops.
        accepted: drafted tokens that were accepted.
        nodes: of the trees, roots included.
        copied, copied_accepted: nodes that were only copied from earlier in the text, and those that were accepted.
        picks, picked: tokens the base model picked along the paths, and the sum of the probabilities it gave them.
        slots: of the beams, W x L each, where the surviving beams are the tree.
        stage_ms: milliseconds by stage.
        histogram: steps by accepted drafted tokens, [L + 1].
    """

    def __init__(self, length: int = 0) -> None:
        self.count = self.emitted = self.looped = self.accepted = self.nodes = self.slots = 0
        self.copied = self.copied_accepted = self.picks = 0
        self.count_outside = self.picked = 0.0
        self.stage_ms = StageMs(0.0, 0.0, 0.0, 0.0, 0.0)
        self.histogram = [0]
        self._at = [[0, 0, 0]]  # by depth: accepted, drafted, reached
        self._reach(length)

    @classmethod
    def of(cls, step: StepRecord) -> StepTotals:
        """One step by itself."""
        totals = cls()
        totals.add(step)
        return totals

    @classmethod
    def merged(cls, parts: Iterable[StepTotals], length: int = 0) -> StepTotals:
        """Several runs as one."""
        whole = cls(length)
        for part in parts:
            whole._reach(len(part.histogram) - 1)
            whole.count += part.count
            whole.count_outside += part.count_outside
            whole.emitted += part.emitted
            whole.looped += part.looped
            whole.accepted += part.accepted
            whole.nodes += part.nodes
            whole.slots += part.slots
            whole.copied += part.copied
            whole.copied_accepted += part.copied_accepted
            whole.picks += part.picks
            whole.picked += part.picked
            whole.stage_ms = _sum(whole.stage_ms, part.stage_ms)
            for depth, steps in enumerate(part.histogram):
                whole.histogram[depth] += steps
                whole._at[depth] = [mine + its for mine, its in zip(whole._at[depth], part._at[depth], strict=True)]
        return whole

    @classmethod
    def from_json(cls, kept: dict[str, Any]) -> StepTotals:
        """Undo `to_json`."""
        totals = cls()
        for name, value in kept.items():
            setattr(totals, name, value)
        totals.stage_ms = StageMs(*kept["stage_ms"])
        return totals

    def to_json(self) -> dict[str, Any]:
        """Everything that is counted, as plain values."""
        return {**self.__dict__, "stage_ms": list(astuple(self.stage_ms))}

    def add(self, step: StepRecord, looped: int = 0) -> None:
        """Count a step, `looped` of whose emitted tokens stand inside loops."""
        emitted, accepted, drafted = len(step.emitted), step.accepted, max(step.tree.depth)
        self.count += 1
        self.emitted += emitted
        self.looped += looped
        self.count_outside += (emitted - looped) / emitted if emitted else 0.0
        self.accepted += accepted
        self.nodes += step.tree.nodes
        self.slots += step.beam_slots if step.budget is None else 0
        if "copy" in step.tree.origin:
            self.copied += step.tree.origin.count("copy")
            self.copied_accepted += sum(step.tree.origin[node] == "copy" for node in step.path)
        self.picks += len(step.picks)
        self.picked += sum(math.exp(pick.log_probability) for pick in step.picks)
        self.stage_ms = _sum(self.stage_ms, step.ms)
        self._reach(max(drafted, accepted))
        self.histogram[accepted] += 1
        for depth in range(1, drafted + 1):
            at = self._at[depth]
            at[0] += accepted >= depth
            at[1] += 1
            at[2] += accepted >= depth - 1

    @property
    def tokens_per_step(self) -> float:
        """Emitted tokens for each forward of the base model; 0 where no step ran."""
        return ratio(self.emitted, self.count)

    @property
    def tokens_per_step_no_loops(self) -> float:
        return ratio(self.emitted - self.looped, self.count_outside)

    @property
    def loop_share(self) -> float:
        """Of the emitted tokens."""
        return ratio(self.looped, self.emitted)

    @property
    def draft_tokens(self) -> int:
        """Tokens the base model was asked to verify, roots left out."""
        return self.nodes - self.count

    @property
    def mean_acceptance_length(self) -> float:
        """Accepted tokens of a step, the base model's own counted; 0 where no step ran."""
        return 1.0 + self.accepted / self.count if self.count else 0.0

    @property
    def draft_acceptance_rate(self) -> float:
        return ratio(self.accepted, self.draft_tokens)

    @property
    def mean_nodes(self) -> float:
        return ratio(self.nodes, self.count)

    @property
    def mean_copied(self) -> float:
        """Copied nodes of a tree."""
        return ratio(self.copied, self.count)

    @property
    def copied_share(self) -> float:
        """Copied ones among the accepted tokens."""
        return ratio(self.copied_accepted, self.accepted)

    @property
    def base_confidence(self) -> float:
        """Mean probability the base model gave its own picks, at temperature 1: how often a drafter would be right
        that knew the base model's distribution and drew from it."""
        return ratio(self.picked, self.picks)

    @property
    def saving(self) -> float:
        """Share of the beam slots that merging prefixes saved, 1 - (N - 1) / (W L)."""
        return 1.0 - self.draft_tokens / self.slots if self.slots else 0.0

    @property
    def drafter_share(self) -> float:
        """Of the lane's time."""
        return ratio(self.stage_ms.draft, self.stage_ms.total)

    @property
    def draft_over_verify(self) -> float:
        return ratio(self.stage_ms.draft, self.stage_ms.verify)

    @property
    def ms_per_token(self) -> float:
        return ratio(self.stage_ms.total, self.emitted)

    @property
    def mean_stage_ms(self) -> StageMs:
        """Milliseconds of a step, by stage."""
        steps, ms = max(1, self.count), self.stage_ms
        return StageMs(ms.draft / steps, ms.tree / steps, ms.verify / steps, ms.accept / steps, ms.commit / steps)

    @property
    def positions(self) -> tuple[PositionAcceptance, ...]:
        """One for each depth 1..L."""
        return tuple(PositionAcceptance(depth, *counts) for depth, counts in enumerate(self._at) if depth)

    def _reach(self, depth: int) -> None:
        while len(self.histogram) <= depth:
            self.histogram.append(0)
            self._at.append([0, 0, 0])


class LaneTotals:
    """What one lane wrote and when, by its own clock, prompt excluded."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def write(self, clock_ms: float, tokens: int) -> None:
        self.events.append((clock_ms, self.tokens + tokens))

    @property
    def tokens(self) -> int:
        return self.events[-1][1] if self.events else 0

    @property
    def clock_ms(self) -> float:
        return self.events[-1][0] if self.events else 0.0

    @property
    def tokens_per_second(self) -> float | None:
        return rate(self.tokens, self.clock_ms)


class RunTotals:
    """Running sums of both lanes of a trace that may still grow."""

    def __init__(self, beam_length: int) -> None:
        self.steps = StepTotals(beam_length)
        self.redrafter = LaneTotals()
        self.plain = LaneTotals()

    @classmethod
    def of(cls, trace: Trace) -> RunTotals:
        return cls(trace.header.settings.beam_length).catch_up(trace)

    def catch_up(self, trace: Trace) -> RunTotals:
        """Take in the records that arrived since the last call."""
        if not self.redrafter.events and trace.prompt("redrafter"):
            self.redrafter.write(0.0, 1)
        if self.redrafter.events:
            for step in trace.steps[self.steps.count :]:
                self.steps.add(step)
                self.redrafter.write(step.clock_ms, len(step.emitted))
        for record in trace.plain[len(self.plain.events) :]:
            self.plain.write(record.clock_ms, 1)
        return self

    @property
    def speedup(self) -> float | None:
        """Over the plain lane; None before both have a rate."""
        ours, plain = self.redrafter.tokens_per_second, self.plain.tokens_per_second
        return ours / plain if ours and plain else None


def ratio(part: float, whole: float) -> float:
    """0 where there is nothing to divide by."""
    return part / whole if whole else 0.0


def _sum(one: StageMs, other: StageMs) -> StageMs:
    return StageMs(
        one.draft + other.draft,
        one.tree + other.tree,
        one.verify + other.verify,
        one.accept + other.accept,
        one.commit + other.commit,
    )
