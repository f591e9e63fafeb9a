"""Sums over a run that the figures and charts are made from; grows with the trace.

`catch_up` reads only the records it has not seen, so a frame of a long run costs no more than that of a short one.
"""

from __future__ import annotations

from playground.trace import StageMs, StepRecord, Trace


class RunTotals:
    """Running sums of both lanes.

    Attributes:
        events: by lane, (the lane's own clock in ms, tokens written by then), prompt excluded.
        accepted_at, drafted_at: steps that accepted, and that drafted, at least to depth d; index d, [L + 1].
        histogram: steps by accepted drafted tokens, [L + 1].
    """

    def __init__(self, beam_length: int) -> None:
        self.steps = 0
        self.emitted = 0
        self.nodes = 0
        self.slots = 0
        self.stages = [0.0] * 5
        self.accepted_at = [0] * (beam_length + 1)
        self.drafted_at = [0] * (beam_length + 1)
        self.histogram = [0] * (beam_length + 1)
        self.redrafter_events: list[tuple[float, int]] = []
        self.plain_events: list[tuple[float, int]] = []

    @classmethod
    def of(cls, trace: Trace) -> RunTotals:
        return cls(trace.header.settings.beam_length).catch_up(trace)

    def catch_up(self, trace: Trace) -> RunTotals:
        if not self.redrafter_events and trace.prompt("redrafter"):
            self.redrafter_events.append((0.0, 1))
        if self.redrafter_events:
            for step in trace.steps[self.steps :]:
                self._add(step)
        for record in trace.plain[len(self.plain_events) :]:
            self.plain_events.append((record.clock_ms, len(self.plain_events) + 1))
        return self

    @property
    def stage_ms(self) -> StageMs:
        return StageMs(*self.stages)

    def _add(self, step: StepRecord) -> None:
        self.steps += 1
        self.emitted += len(step.emitted)
        self.nodes += step.tree.nodes
        self.slots += step.beam_slots
        ms = step.ms
        for place, value in enumerate((ms.draft, ms.tree, ms.verify, ms.accept, ms.commit)):
            self.stages[place] += value
        limit = len(self.histogram) - 1
        drafted = max((sum(node >= 0 for node in row) for row in step.tree.node_of), default=0)
        accepted = min(step.accepted, limit)
        for depth in range(1, min(drafted, limit) + 1):
            self.drafted_at[depth] += 1
            self.accepted_at[depth] += accepted >= depth
        self.histogram[accepted] += 1
        self.redrafter_events.append((step.clock_ms, self.redrafter_events[-1][1] + len(step.emitted)))
