"""Acceptance figures over any number of runs: over all tokens, and over those outside loops.

Outside loops a step counts by the share of its tokens that are not in a loop. Reads records; knows no decoder.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from playground.figures.loops import looped
from playground.figures.totals import StepTotals
from playground.trace import StepRecord


@dataclass(frozen=True)
class Acceptance:
    """Figures over many steps."""

    tokens_per_step: float
    tokens_per_step_no_loops: float
    loop_share: float  # of the emitted tokens
    steps: int
    tokens: int
    accepted_histogram: tuple[int, ...]  # [L + 1], or longer with copies: steps by accepted drafted tokens
    accepted_at: tuple[
        float, ...
    ]  # [L], longer with copies: acceptance rate of position k, over the steps that accepted k - 1
    mean_nodes: float
    draft_over_verify: float
    ms_per_token: float
    mean_copied: float = 0.0  # nodes of a tree that were only copied from earlier in the text
    copied_share: float = 0.0  # of the accepted tokens
    base_confidence: float = 0.0  # mean probability the base model gave its own picks, at temperature 1


def run_totals(prompt: Sequence[int], first_root: int, steps: Iterable[StepRecord]) -> StepTotals:
    """Sums over one run's steps, tokens inside loops told apart; loops are seen in prompt and text together."""
    records = list(steps)
    text = [*prompt, first_root, *(token for record in records for token in record.emitted)]
    inside, place = looped(text), len(prompt) + 1
    totals = StepTotals()
    for record in records:
        end = place + len(record.emitted)
        totals.add(record, int(inside[place:end].sum()))
        place = end
    return totals


def acceptance(runs: Iterable[StepTotals], length: int) -> Acceptance:
    """Figures over any number of runs together, drafted tokens up to `length` deep."""
    totals = StepTotals.merged(runs, length)
    return Acceptance(
        tokens_per_step=totals.tokens_per_step,
        tokens_per_step_no_loops=totals.tokens_per_step_no_loops,
        loop_share=totals.loop_share,
        steps=totals.count,
        tokens=totals.emitted,
        accepted_histogram=tuple(totals.histogram),
        accepted_at=tuple(position.conditional for position in totals.positions),
        mean_nodes=totals.mean_nodes,
        draft_over_verify=totals.draft_over_verify,
        ms_per_token=totals.ms_per_token,
        mean_copied=totals.mean_copied,
        copied_share=totals.copied_share,
        base_confidence=totals.base_confidence,
    )
