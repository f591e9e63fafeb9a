"""Beam shapes of a sweep, each from the runs that measured it; which of them leads beyond noise. Knows no session."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from statistics import median, median_low

from playground.figures.totals import RunTotals
from playground.trace import SweepCell, SweepRecord, Trace

NOISY_SPREAD = 0.15
"""Plain decoding does the same work in every run: rates further apart than this tell of a busy machine."""


def sweep_cell(runs: Sequence[Trace]) -> SweepCell:
    """The cell of one shape's finished runs, at least one.

    Speed-ups compare the two lanes of one run, which share the machine's moods; the cell has their median. All else is
    of the run in the middle by rate. Without a race there is no speed-up and no parity.
    """
    ours = [RunTotals.of(run).redrafter.tokens_per_second or 0.0 for run in runs]
    middle = runs[ours.index(median_low(ours))]
    totals, settings = RunTotals.of(middle), middle.header.settings
    speedups = [speedup for run in runs if (speedup := RunTotals.of(run).speedup) is not None]
    compared = [run.parity.identical for run in runs if run.parity is not None and run.header.settings.race]
    return SweepCell(
        width=settings.beam_width,
        length=settings.beam_length,
        tokens_per_step=totals.steps.tokens_per_step,
        tokens_per_second=median_low(ours),
        speedup=median(speedups) if speedups else None,
        mean_nodes=totals.steps.mean_nodes,
        step_ms=totals.steps.mean_stage_ms,
        new_tokens=totals.redrafter.tokens,
        identical=all(compared) if compared else None,
        repeats=len(runs),
        speedup_least=min(speedups, default=None),
        speedup_most=max(speedups, default=None),
    )


def plain_rates(runs: Iterable[Trace]) -> list[float]:
    """Tokens per second of plain decoding in every run that had it."""
    return [rate for run in runs if (rate := RunTotals.of(run).plain.tokens_per_second)]


def spread(rates: Sequence[float]) -> float | None:
    """(most - least) / median; None for fewer than two."""
    return (max(rates) - min(rates)) / median(rates) if len(rates) > 1 else None


def fastest(cells: Iterable[SweepCell]) -> SweepCell | None:
    """The shape with the highest speed-up, or where none was raced the highest rate; None where none was measured."""
    measured = list(cells)
    raced = bool(measured) and all(cell.speedup is not None for cell in measured)
    return max(measured, key=lambda cell: (cell.speedup or 0.0) if raced else cell.tokens_per_second, default=None)


def clear_lead(cells: Sequence[SweepCell]) -> SweepCell | None:
    """The fastest shape, if even its slowest run beats every run of the others; None where noise may have chosen it."""
    best = fastest(cells)
    if best is None or best.repeats < 2 or best.speedup_least is None:
        return None
    others = [cell.speedup_most or 0.0 for cell in cells if cell is not best]
    return best if all(best.speedup_least > most for most in others) else None


def is_noisy(record: SweepRecord) -> bool:
    """Whether the machine was too busy to compare shapes closely."""
    return record.plain_spread is not None and record.plain_spread > NOISY_SPREAD
