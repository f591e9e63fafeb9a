"""A beam shape's cell in a sweep, from the run that measured it. Knows no session."""

from __future__ import annotations

from collections.abc import Iterable

from playground.figures.parity import compare
from playground.figures.totals import RunTotals
from playground.trace import SweepCell, Trace


def sweep_cell(trace: Trace, against: Trace | None) -> SweepCell:
    """The cell of a finished run.

    Args:
        against: the run whose plain lane gives rate and text to compare with; None without one.
    """
    totals, settings = RunTotals.of(trace), trace.header.settings
    ours = totals.redrafter.tokens_per_second or 0.0
    plain = RunTotals.of(against).plain.tokens_per_second if against else None
    identical = None
    if against is not None:
        identical = compare(trace.redrafter_tokens, against.plain_tokens, (), finished=True).identical
    return SweepCell(
        width=settings.beam_width,
        length=settings.beam_length,
        tokens_per_step=totals.steps.tokens_per_step,
        tokens_per_second=ours,
        speedup=ours / plain if plain else None,
        mean_nodes=totals.steps.mean_nodes,
        step_ms=totals.steps.mean_stage_ms,
        new_tokens=totals.redrafter.tokens,
        identical=identical,
    )


def fastest(cells: Iterable[SweepCell]) -> SweepCell | None:
    """The shape that wrote most tokens per second; None where none was measured."""
    return max(cells, key=lambda cell: cell.tokens_per_second, default=None)
