"""A sweep over beam shapes as heat maps: one number a cell and measure. Record -> info; knows no colours."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from playground.config import MAX_BEAM_LENGTH, MAX_BEAM_WIDTH, PlaygroundError
from playground.figures.format import percent, plural, times
from playground.figures.sweep import clear_lead, fastest, is_noisy
from playground.trace import SweepCell, SweepRecord
from playground.views.chart_table import ChartTable
from playground.views.page import Measure

# measure, name, unit, higher is better, and where a cell has it
MAPS: tuple[tuple[Measure, str, str, bool, Callable[[SweepCell], float | None]], ...] = (
    ("speedup", "Speed-up", "×", True, lambda cell: cell.speedup),
    ("rate", "Tokens per second", "tok/s", True, lambda cell: cell.tokens_per_second),
    ("tokens_per_step", "Tokens per step", "", True, lambda cell: cell.tokens_per_step),
    ("nodes", "Tree nodes", "", False, lambda cell: cell.mean_nodes),
    ("step_ms", "Step", "ms", False, lambda cell: cell.step_ms.total),
    ("draft_ms", "Draft", "ms", False, lambda cell: cell.step_ms.draft),
    ("verify_ms", "Verify", "ms", False, lambda cell: cell.step_ms.verify),
)


@dataclass(frozen=True)
class MeasureInfo:
    """One heat map: values [widths][lengths], None where nothing is known yet."""

    measure: Measure
    name: str
    unit: str
    higher_is_better: bool
    values: tuple[tuple[float | None, ...], ...]
    spans: tuple[tuple[tuple[float, float] | None, ...], ...] = ()  # least and most of a cell's runs, where known


@dataclass(frozen=True)
class SurfaceInfo:
    """All heat maps of one surface."""

    widths: tuple[int, ...]
    lengths: tuple[int, ...]
    measures: tuple[MeasureInfo, ...]
    best: tuple[int, int] | None  # the fastest (width, length), where it leads by more than noise
    done: int  # runs
    total: int
    words: str
    warning: str = ""  # where the machine was too busy to compare closely


def sweep_info(record: SweepRecord) -> SurfaceInfo:
    """Heat maps of a measured sweep, finished or not."""
    best = clear_lead(record.cells)
    return SurfaceInfo(
        widths=record.widths,
        lengths=record.lengths,
        measures=tuple(
            MeasureInfo(measure, name, unit, higher, _grid(record, value), _spans(record, measure))
            for measure, name, unit, higher, value in MAPS
        ),
        best=(best.width, best.length) if best else None,
        done=sum(cell.repeats for cell in record.cells),
        total=len(record.widths) * len(record.lengths) * record.repeats,
        words=sweep_words(record),
        warning=_warning(record),
    )


def _grid(record: SweepRecord, value: Callable[[SweepCell], float | None]) -> tuple[tuple[float | None, ...], ...]:
    known = {(cell.width, cell.length): value(cell) for cell in record.cells}
    return tuple(tuple(known.get((width, length)) for length in record.lengths) for width in record.widths)


def _spans(record: SweepRecord, measure: Measure) -> tuple[tuple[tuple[float, float] | None, ...], ...]:
    if measure != "speedup":
        return ()
    known = {
        (cell.width, cell.length): (cell.speedup_least, cell.speedup_most)
        for cell in record.cells
        if cell.speedup_least is not None and cell.speedup_most is not None and cell.repeats > 1
    }
    return tuple(tuple(known.get((width, length)) for length in record.lengths) for width in record.widths)


def sweep_words(record: SweepRecord) -> str:
    """The surface in one sentence or two."""
    best = fastest(record.cells)
    if best is None:
        return "Nothing measured yet."
    total = len(record.widths) * len(record.lengths)
    so_far = "" if record.finished else f" of the {len(record.cells)} of {total} shapes measured"
    words = f"Fastest{so_far}: {plural(best.width, 'beam')} × {best.length}, {best.tokens_per_second:.1f} tok/s"
    if best.speedup is None:
        return f"{words}."
    words += f", {times(best.speedup)} plain decoding"
    if best.repeats < 2 or best.speedup_least is None or best.speedup_most is None:
        return f"{words}."
    words += f" (median of {best.repeats} runs, {times(best.speedup_least)} to {times(best.speedup_most)})."
    close = _too_close(record, best)
    return f"{words} {plural(close, 'other shape')} came within that range: too close to call." if close else words


def _too_close(record: SweepRecord, best: SweepCell) -> int:
    """Shapes of which a run was at least as fast as the slowest of the best."""
    least = best.speedup_least or 0.0
    return sum((cell.speedup_most or 0.0) >= least for cell in record.cells if cell is not best)


def _warning(record: SweepRecord) -> str:
    if not is_noisy(record) or record.plain_spread is None:
        return ""
    return (
        f"The machine was busy: plain decoding, the same work each time, varied by {percent(record.plain_spread)} "
        "between runs. Smaller differences between shapes say nothing. Measure again when it is idle."
    )


def surface_of(
    widths: tuple[int, ...], lengths: tuple[int, ...], measure: str, values: tuple[tuple[float | None, ...], ...]
) -> SurfaceInfo:
    """One heat map by itself.

    Raises:
        PlaygroundError: no such measure, or cells that do not fit.
    """
    named = next((one for one in MAPS if one[0] == measure), None)
    if named is None:
        raise PlaygroundError(f"Measure is {measure[:40]!r}, but must be one of: {', '.join(one[0] for one in MAPS)}.")
    fits = len(values) == len(widths) and {len(row) for row in values} <= {len(lengths)}
    if not fits or len(widths) > MAX_BEAM_WIDTH or len(lengths) > MAX_BEAM_LENGTH:
        raise PlaygroundError(
            f"The heat map has {len(widths)} widths and {len(lengths)} lengths that its cells do not fit, or more than "
            f"{MAX_BEAM_WIDTH} and {MAX_BEAM_LENGTH}. Measure the shapes again."
        )
    key, name, unit, higher, _ = named
    done = sum(value is not None for row in values for value in row)
    info = MeasureInfo(key, name, unit, higher, values)
    return SurfaceInfo(widths, lengths, (info,), None, done, len(widths) * len(lengths), "")


def surface_table(info: SurfaceInfo, measure: Measure) -> ChartTable:
    """One heat map, a row a width."""
    found = next(one for one in info.measures if one.measure == measure)
    rows = [
        (str(width), *("–" if value is None else f"{value:.4g}" for value in row))
        for width, row in zip(info.widths, found.values, strict=True)
    ]
    return ChartTable((f"{found.name} by width", *(f"length {length}" for length in info.lengths)), tuple(rows))
