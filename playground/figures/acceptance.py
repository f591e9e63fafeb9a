"""Acceptance figures of decoding steps, pooled over runs: over all tokens, and over those outside loops.

Outside loops a step counts by the share of its tokens that are not in a loop. Reads records; knows no decoder.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from playground.figures.loops import looped
from playground.trace import StepRecord


@dataclass(frozen=True)
class CountedStep:
    """What one step adds to the pool."""

    emitted: int
    outside: int  # of the emitted, tokens outside loops
    accepted: int
    drafted: int  # levels of its beams
    nodes: int
    draft_ms: float
    verify_ms: float
    total_ms: float


@dataclass(frozen=True)
class Acceptance:
    """Figures over many steps."""

    tokens_per_step: float
    tokens_per_step_no_loops: float
    loop_share: float  # of the emitted tokens
    steps: int
    tokens: int
    accepted_histogram: tuple[int, ...]  # [L + 1] steps by accepted drafted tokens
    accepted_at: tuple[
        float, ...
    ]  # [L] share accepted at position k, of the steps that drafted so far and accepted k - 1
    mean_nodes: float
    draft_over_verify: float
    ms_per_token: float


def count_steps(prompt: Sequence[int], first_root: int, steps: Iterable[StepRecord]) -> list[CountedStep]:
    """One run's steps; loops are seen in prompt and text together."""
    records = list(steps)
    text = [*prompt, first_root, *(token for record in records for token in record.emitted)]
    inside, place = looped(text), len(prompt) + 1
    counted = []
    for record in records:
        emitted = len(record.emitted)
        outside = emitted - int(inside[place : place + emitted].sum())
        place += emitted
        ms, levels = record.ms, record.beams.length
        figures = (record.accepted, levels, record.tree.nodes, ms.draft, ms.verify, ms.total)
        counted.append(CountedStep(emitted, outside, *figures))
    return counted


def pool(steps: Sequence[CountedStep], length: int) -> Acceptance:
    """Figures over the steps of any number of runs, beams of up to `length` tokens."""
    emitted, outside = sum(step.emitted for step in steps), sum(step.outside for step in steps)
    clean_steps = sum(step.outside / step.emitted for step in steps if step.emitted)
    histogram = [0] * (length + 1)
    for step in steps:
        histogram[step.accepted] += 1
    verify = sum(step.verify_ms for step in steps)
    return Acceptance(
        tokens_per_step=_ratio(emitted, len(steps)),
        tokens_per_step_no_loops=_ratio(outside, clean_steps),
        loop_share=_ratio(emitted - outside, emitted),
        steps=len(steps),
        tokens=emitted,
        accepted_histogram=tuple(histogram),
        accepted_at=tuple(_accepted_at(steps, position) for position in range(1, length + 1)),
        mean_nodes=_ratio(sum(step.nodes for step in steps), len(steps)),
        draft_over_verify=_ratio(sum(step.draft_ms for step in steps), verify),
        ms_per_token=_ratio(sum(step.total_ms for step in steps), emitted),
    )


def _accepted_at(steps: Sequence[CountedStep], position: int) -> float:
    """Of the steps that drafted a token at `position` and accepted all before it, the share that accepted it."""
    reached = [step for step in steps if step.drafted >= position and step.accepted >= position - 1]
    return _ratio(sum(step.accepted >= position for step in reached), len(reached))


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else 0.0
