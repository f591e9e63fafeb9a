"""Two runs beside each other, in words, as a table and as a chart's info. Record -> info; knows no colour."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from playground.figures.compare import Comparison, FigurePair, compare_runs
from playground.trace import Trace
from playground.views.chart_table import ChartTable
from playground.views.charts import PositionsInfo, RatesInfo, positions_info, rates_info
from playground.views.text import RunText
from playground.views.token_text import visible

AROUND = 60  # characters shown before and after a difference


@dataclass(frozen=True)
class CompareInfo:
    """What the comparison of two runs shows."""

    words: tuple[str, ...]
    rates: tuple[RatesInfo, RatesInfo]
    positions: tuple[PositionsInfo, PositionsInfo]
    table: ChartTable


def compare_info(left: Trace, right: Trace) -> CompareInfo:
    """Two runs, of the same prompt or not."""
    found = compare_runs(left, right)
    return CompareInfo(
        words=(*difference_words(found), *text_words(found, left, right)),
        rates=(rates_info(left), rates_info(right)),
        positions=(positions_info(left), positions_info(right)),
        table=figures_table(found),
    )


def figures_table(found: Comparison) -> ChartTable:
    """Every figure of both runs and their difference."""
    return ChartTable(("Figure", "First", "Second", "Difference", "Note"), tuple(_row(pair) for pair in found.figures))


def difference_words(found: Comparison) -> Iterator[str]:
    """What was set or loaded differently, a line each."""
    for name, left, right in difference_rows(found):
        yield f"{name}: {left} | {right}"


def difference_rows(found: Comparison) -> Iterator[tuple[str, str, str]]:
    """The same as (what, first, second)."""
    for one in found.differences:
        yield visible(one.name), visible(one.left[:60]), visible(one.right[:60])


def text_words(found: Comparison, left: Trace, right: Trace) -> Iterator[str]:
    """Where the texts part, and how many trees are the same."""
    if not found.same_prompt:
        yield "The prompts differ, so the texts answer different questions."
    if found.identical:
        yield f"Both texts are the same {found.lengths[0]} tokens."
    elif found.first_difference is None:
        lengths = f"{found.lengths[0]} | {found.lengths[1]}"
        yield f"The texts are the same for {found.compared} tokens, then one goes on ({lengths})."
    else:
        yield f"The texts differ from new token {found.first_difference + 1} on:"
        for name, trace in (("first ", left), ("second", right)):
            yield f"  {name}  {around(trace, found.first_difference)}"
    if found.steps:
        met = len(found.steps)
        yield f"{met} steps start at the same place; {found.same_trees} of them have the same tree."


def around(trace: Trace, token: int) -> str:
    """The text around a new token, which stands in brackets; on one line."""
    items = [item.text for item in RunText().catch_up(trace).redrafter.items]
    before, after = "".join(items[:token])[-AROUND:], "".join(items[token + 1 :])[:AROUND]
    return visible(f"{before}[{items[token]}]{after}")


def _row(pair: FigurePair) -> tuple[str, ...]:
    difference = "–" if pair.difference is None else f"{'+' if pair.difference > 0 else ''}{_number(pair.difference)}"
    note = "depends on the machine and the moment" if pair.timed else ""
    return (pair.name, _number(pair.left), _number(pair.right), difference, note)


def _number(value: float | None) -> str:
    """Four digits; large ones whole, in groups of three."""
    if value is None:
        return "–"
    return f"{value:.4g}" if abs(value) < 10_000 else f"{value:,.0f}"
