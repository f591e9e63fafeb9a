"""A surface over beam shapes as heat maps: one number a cell and measure, however the numbers were made.

A measured sweep and a predicted surface give the same `SurfaceInfo`, so one view serves both.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from playground.trace import SweepRecord

Measure = Literal["speedup", "rate", "tokens_per_step", "nodes", "step_ms", "draft_ms", "verify_ms"]


@dataclass(frozen=True)
class MeasureInfo:
    """One heat map: values [widths][lengths], None where nothing is known yet."""

    measure: Measure
    name: str
    unit: str
    higher_is_better: bool
    values: tuple[tuple[float | None, ...], ...]


@dataclass(frozen=True)
class SurfaceInfo:
    """All heat maps of one surface."""

    source: str  # "measured" or "predicted"
    widths: tuple[int, ...]
    lengths: tuple[int, ...]
    measures: tuple[MeasureInfo, ...]
    best: tuple[int, int] | None  # the fastest (width, length)
    done: int
    total: int
    words: str


def sweep_info(record: SweepRecord) -> SurfaceInfo:
    """Heat maps of a measured sweep, finished or not."""
    cells = {(cell.width, cell.length): cell for cell in record.cells}

    def grid(pick: Sequence[tuple[tuple[int, int], float | None]]) -> tuple[tuple[float | None, ...], ...]:
        known = dict(pick)
        return tuple(tuple(known.get((w, length)) for length in record.lengths) for w in record.widths)

    items = list(cells.items())
    measures = (
        MeasureInfo("speedup", "Speed-up", "×", True, grid([(at, cell.speedup) for at, cell in items])),
        MeasureInfo("rate", "Tokens per second", "tok/s", True, grid([(at, c.tokens_per_second) for at, c in items])),
        MeasureInfo("tokens_per_step", "Tokens per step", "", True, grid([(at, c.tokens_per_step) for at, c in items])),
        MeasureInfo("nodes", "Tree nodes", "", False, grid([(at, cell.mean_nodes) for at, cell in items])),
        MeasureInfo("step_ms", "Step", "ms", False, grid([(at, cell.step_ms.total) for at, cell in items])),
        MeasureInfo("draft_ms", "Draft", "ms", False, grid([(at, cell.step_ms.draft) for at, cell in items])),
        MeasureInfo("verify_ms", "Verify", "ms", False, grid([(at, cell.step_ms.verify) for at, cell in items])),
    )
    best = max(cells.values(), key=lambda cell: cell.tokens_per_second, default=None)
    return SurfaceInfo(
        source="measured",
        widths=record.widths,
        lengths=record.lengths,
        measures=measures,
        best=(best.width, best.length) if best else None,
        done=len(record.cells),
        total=len(record.widths) * len(record.lengths),
        words=sweep_words(record),
    )


def sweep_words(record: SweepRecord) -> str:
    """The surface in one sentence."""
    total = len(record.widths) * len(record.lengths)
    if not record.cells:
        return "Nothing measured yet."
    best = max(record.cells, key=lambda cell: cell.tokens_per_second)
    gain = f", {best.speedup:.2f}× plain decoding" if best.speedup is not None else ""
    shape = f"{best.width} beam{'s' if best.width != 1 else ''} × {best.length}"
    so_far = "" if record.finished else f" of the {len(record.cells)} of {total} shapes measured"
    return f"Fastest{so_far}: {shape}, {best.tokens_per_second:.1f} tok/s{gain}."
