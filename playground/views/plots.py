"""Infos as Plotly figures: pure, one function a chart. Exact numbers and what they were divided by show on hover.

Knows infos and colours. Labels of tokens are hostile input and Plotly reads some markup in texts, so they are escaped.
"""

from __future__ import annotations

import html
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from playground.config import PlaygroundError
from playground.trace import Trace
from playground.views.all_steps import AllStepsInfo, Spot, all_steps_info
from playground.views.chart_table import ChartTable
from playground.views.charts import (
    STAGES,
    HistogramInfo,
    PositionsInfo,
    RatesInfo,
    StagesInfo,
    histogram_info,
    positions_info,
    rates_info,
    stages_info,
)
from playground.views.compare import CompareInfo
from playground.views.honesty import honesty_info, misses_info
from playground.views.honesty_plots import honesty_figure, misses_figure
from playground.views.plot_style import COLOURS, Theme, empty_figure, finite

MOST_SVG = 6000  # spots; more are drawn through WebGL, whose saved SVG holds a raster


@dataclass(frozen=True)
class Chart:
    """A chart of a run, ready to draw."""

    title: str
    figure: Any  # go.Figure
    table: ChartTable
    words: tuple[str, ...] = ()  # what it says, in sentences


def figure(trace: Trace, name: str, theme: Theme = "light") -> Any:
    """A chart of a run by name.

    Raises:
        PlaygroundError: no such chart.
    """
    return chart(trace, name, theme).figure


def chart(trace: Trace, name: str, theme: Theme = "light") -> Chart:
    """The same with its title and its table.

    Raises:
        PlaygroundError: no such chart.
    """
    if name not in CHARTS:
        raise PlaygroundError(f"Chart is {name!r}, but must be one of: {', '.join(CHARTS)}.")
    title, info_of, draw = CHARTS[name]
    info = info_of(trace)
    return Chart(title, draw(info, theme), info.table)


def honesty_chart(traces: Sequence[Trace], name: str, theme: Theme = "light") -> Chart:
    """A chart about the drafter over several runs: `honesty` or `misses`.

    Raises:
        PlaygroundError: no such chart.
    """
    if name not in OVER_RUNS:
        raise PlaygroundError(f"Chart is {name!r}, but over several runs it must be one of: {', '.join(OVER_RUNS)}.")
    title, info_of, draw = OVER_RUNS[name]
    info = info_of(traces)
    return Chart(title, draw(info, theme), info.table, info.words)


def rates_figure(info: RatesInfo, theme: Theme = "light") -> Any:
    """Tokens per second of both lanes by their own clocks."""
    made = empty_figure(theme, "seconds of the lane's own clock", "tokens per second")
    for lane in info.lanes:
        whole = "" if lane.whole is None else f"<br>{lane.whole:.2f} tokens/s over the whole run"
        made.add_scatter(
            x=finite(lane.seconds),
            y=finite(lane.rates),
            customdata=lane.tokens,
            name=lane.name,
            mode="lines",
            line={
                "color": COLOURS[theme][lane.lane],
                "width": 2.5,
                "dash": "solid" if lane.lane == "redrafter" else "dash",
            },
            hovertemplate="%{y:.2f} tokens/s at %{x:.3f} s<br>%{customdata} tokens by then" + whole,
        )
    made.update_yaxes(rangemode="tozero")
    return made


def positions_figure(info: PositionsInfo, theme: Theme = "light") -> Any:
    """Share of steps that accepted each drafted position, over all that drafted it and over those that came so far."""
    made = empty_figure(theme, "drafted position", "accepted")
    depths = [at.depth for at in info.positions]
    for name, shares, counts, colour in (
        (
            "of all steps that drafted it",
            [at.share for at in info.positions],
            [(at.accepted, at.drafted) for at in info.positions],
            "accepted",
        ),
        (
            "of those that accepted all before it",
            [at.conditional for at in info.positions],
            [(at.accepted, at.reached) for at in info.positions],
            "root",
        ),
    ):
        made.add_bar(
            x=depths,
            y=shares,
            customdata=counts,
            name=name,
            marker_color=COLOURS[theme][colour],
            hovertemplate="position %{x}: %{y:.1%}<br>%{customdata[0]} of %{customdata[1]} steps",
        )
    made.update_layout(barmode="group")
    made.update_yaxes(range=[0, 1], tickformat=".0%")
    made.update_xaxes(dtick=1)
    return made


def histogram_figure(info: HistogramInfo, theme: Theme = "light") -> Any:
    """Steps by accepted drafted tokens."""
    made = empty_figure(theme, "drafted tokens accepted in a step", "steps")
    made.add_bar(
        x=list(range(len(info.steps))),
        y=list(info.steps),
        customdata=[count / max(1, info.total) for count in info.steps],
        marker_color=COLOURS[theme]["accepted"],
        name="steps",
        hovertemplate=f"%{{x}} accepted: %{{y}} of {info.total} steps (%{{customdata:.1%}})",
    )
    made.update_xaxes(dtick=1)
    made.update_layout(showlegend=False)
    return made


def stages_figure(info: StagesInfo, theme: Theme = "light") -> Any:
    """Milliseconds of every step, stage on stage."""
    made = empty_figure(theme, "step", "milliseconds")
    counts = list(zip(info.nodes, info.tokens, strict=True))
    whole = sum(info.totals) or 1.0
    for stage, row, total in zip(STAGES, info.ms, info.totals, strict=True):
        made.add_bar(
            x=info.steps,
            y=finite(row),
            customdata=counts,
            name=stage,
            marker_color=COLOURS[theme][stage],
            hovertemplate=f"{stage}: %{{y:.3f}} ms in step %{{x}}<br>%{{customdata[0]}} nodes, %{{customdata[1]}} "
            f"tokens<br>{total:.1f} of {whole:.1f} ms over the run",
        )
    made.update_layout(barmode="stack", bargap=0.1)
    return made


def all_steps_figure(info: AllStepsInfo, theme: Theme = "light") -> Any:
    """The run as one line of accepted tokens with its dead branches below."""
    made = empty_figure(theme, "new token", "")
    scatter = made.add_scatter if len(info.spots) <= MOST_SVG else made.add_scattergl
    dead = [spot for spot in info.spots if spot.status in ("rejected", "unreached")]
    text = [spot for spot in info.spots if spot.status in ("root", "accepted")]
    for name, spots, colour, width in (("dead branches", dead, "unreached", 1.0), ("text", text, "accepted", 3.0)):
        x, y = _lines(info.spots, spots)
        line = {"color": COLOURS[theme][colour], "width": width}
        scatter(x=x, y=y, mode="lines", line=line, name=name, hoverinfo="skip", showlegend=False)
    for status, symbol, size in (
        ("unreached", "circle-open", 6), ("rejected", "x", 7), ("accepted", "circle", 9), ("root", "diamond", 9),
    ):  # fmt: skip
        of_status = [spot for spot in info.spots if spot.status == status]
        scatter(
            x=[spot.column + 1 for spot in of_status],
            y=[-spot.row for spot in of_status],
            text=[_said(spot) for spot in of_status],
            mode="markers",
            marker={"color": COLOURS[theme][status], "symbol": symbol, "size": size},
            name="never reached" if status == "unreached" else status,
            hovertemplate="%{text}<extra></extra>",
        )
    made.update_yaxes(visible=False)
    return made


def compare_figure(info: CompareInfo, theme: Theme = "light") -> Any:
    """Two runs: rates along their clocks on the left, acceptance by position on the right."""
    made = empty_figure(theme, "seconds of the lane's own clock", "tokens per second")
    axis = {"gridcolor": COLOURS[theme]["rule"], "zerolinecolor": COLOURS[theme]["rule"]}
    made.update_layout(
        xaxis_domain=[0, 0.56],
        xaxis2={"domain": [0.66, 1], "anchor": "y2", "dtick": 1, "title": {"text": "drafted position"}, **axis},
        yaxis2={"anchor": "x2", "range": [0, 1], "tickformat": ".0%", "title": {"text": "accepted"}, **axis},
        barmode="group",
    )
    for name, colour, rates, positions in zip(
        ("first", "second"), ("redrafter", "draft"), info.rates, info.positions, strict=True
    ):
        for lane in rates.lanes:
            made.add_scatter(
                x=finite(lane.seconds),
                y=finite(lane.rates),
                customdata=lane.tokens,
                name=f"{name}, {lane.name}",
                mode="lines",
                line={"color": COLOURS[theme][colour], "dash": "solid" if lane.lane == "redrafter" else "dash"},
                hovertemplate="%{y:.2f} tokens/s at %{x:.3f} s<br>%{customdata} tokens by then",
            )
        made.add_bar(
            x=[at.depth for at in positions.positions],
            y=[at.share for at in positions.positions],
            customdata=[(at.accepted, at.drafted) for at in positions.positions],
            name=f"{name}, accepted",
            marker_color=COLOURS[theme][colour],
            xaxis="x2",
            yaxis="y2",
            hovertemplate="position %{x}: %{y:.1%}<br>%{customdata[0]} of %{customdata[1]} steps",
        )
    made.update_yaxes(rangemode="tozero", selector={"anchor": "x"})
    return made


def _lines(spots: Sequence[Spot], ends: Sequence[Spot]) -> tuple[list[float | None], list[float | None]]:
    """Lines from the spot before to each of `ends`, with gaps between them."""
    x: list[float | None] = []
    y: list[float | None] = []
    for spot in ends:
        if spot.above >= 0:
            before = spots[spot.above]
            x += [before.column + 1, spot.column + 1, None]
            y += [-before.row, -spot.row, None]
    return x, y


def _said(spot: Spot) -> str:
    share = "" if spot.share is None else f"<br>base model {spot.share:.2%}, choice {spot.rank:,}"
    return f"<b>{html.escape(spot.label, quote=False)}</b><br>{spot.status}, step {spot.step + 1}{share}"


OVER_RUNS: dict[str, tuple[str, Callable[[Sequence[Trace]], Any], Callable[[Any, Theme], Any]]] = {
    "honesty": ("Is the drafter honest?", honesty_info, honesty_figure),
    "misses": ("Where it misses", misses_info, misses_figure),
}
CHARTS: dict[str, tuple[str, Callable[[Trace], Any], Callable[[Any, Theme], Any]]] = {
    "rates": ("Rate over time", rates_info, rates_figure),
    "positions": ("Accepted by position", positions_info, positions_figure),
    "histogram": ("Accepted per step", histogram_info, histogram_figure),
    "stages": ("Time by stage", stages_info, stages_figure),
    "all-steps": ("All steps", all_steps_info, all_steps_figure),
    "honesty": ("Is the drafter honest?", lambda trace: honesty_info((trace,)), honesty_figure),
    "misses": ("Where it misses", lambda trace: misses_info((trace,)), misses_figure),
}
