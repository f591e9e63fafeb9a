"""The drafter's honesty as Plotly figures: a calibration plot, and misses by kind of token and by rank."""

from __future__ import annotations

from typing import Any

from playground.views.honesty import HonestyInfo, MissesInfo, rank_name
from playground.views.plot_style import COLOURS, Theme, empty_figure, finite

WHOLE_TICKS = 8  # counts below that: Plotly would put ticks between whole numbers


def honesty_figure(info: HonestyInfo, theme: Theme = "light") -> Any:
    """The base model's mean probability, and the share accepted, over the drafter's."""
    made = empty_figure(theme, "drafter's p", "base model's p, share accepted")
    bins = info.found.bins
    # A shape, not a line of data: there is nothing measured in it.
    made.add_shape(
        type="line", x0=0, y0=0, x1=1, y1=1, layer="below",
        line={"color": COLOURS[theme]["soft"], "dash": "dot", "width": 1.5},
    )  # fmt: skip
    sizes = [7 + 15 * (one.nodes / max(other.nodes for other in bins)) ** 0.5 for one in bins]
    made.add_scatter(
        x=[one.draft for one in bins],
        y=[one.base for one in bins],
        customdata=[one.nodes for one in bins],
        mode="lines+markers",
        marker={"color": COLOURS[theme]["root"], "size": sizes},
        line={"color": COLOURS[theme]["root"], "width": 2},
        name="base model's p, mean",
        hovertemplate="drafter %{x:.1%}, base model %{y:.1%}<br>%{customdata} drafted tokens",
    )
    made.add_scatter(
        x=[one.draft for one in bins],
        y=finite([one.accepted_share for one in bins]),
        customdata=[(one.accepted, one.looked) for one in bins],
        mode="lines+markers",
        marker={"color": COLOURS[theme]["accepted"], "size": 8, "symbol": "diamond"},
        line={"color": COLOURS[theme]["accepted"], "width": 2, "dash": "dash"},
        name="accepted, of those reached",
        hovertemplate="drafter %{x:.1%}, accepted %{y:.1%}<br>%{customdata[0]} of %{customdata[1]} tokens reached",
    )
    made.update_xaxes(range=[-0.02, 1.04], tickformat=".0%")
    made.update_yaxes(range=[-0.02, 1.04], tickformat=".0%")
    return made


def misses_figure(info: MissesInfo, theme: Theme = "light") -> Any:
    """Share of guesses missed by kind of token on the left, misses by rank on the right."""
    made = empty_figure(theme, "kind of token", "missed")
    axis = {"gridcolor": COLOURS[theme]["rule"], "zerolinecolor": COLOURS[theme]["rule"]}
    most = max((one.missed for one in info.found.ranks), default=0)
    made.update_layout(
        xaxis={"domain": [0, 0.54], "type": "category", "automargin": True},
        xaxis2={"domain": [0.66, 1], "anchor": "y2", "type": "category", "automargin": True, "tickangle": 0,
                "tickfont": {"size": 11}, "title": {"text": "rank of its favourite"}, **axis},
        yaxis={"range": [0, 1], "tickformat": ".0%"},
        yaxis2={"anchor": "x2", "rangemode": "tozero", "title": {"text": "misses"}, **axis,
                **({"dtick": 1} if most < WHOLE_TICKS else {})},
    )  # fmt: skip
    made.add_bar(
        x=[one.kind for one in info.found.kinds],
        y=[one.share for one in info.found.kinds],
        customdata=[(one.missed, one.guessed) for one in info.found.kinds],
        marker_color=COLOURS[theme]["rejected"],
        name="missed, of the picks guessed at",
        hovertemplate="%{x}: %{y:.1%}<br>%{customdata[0]} of %{customdata[1]} picks missed<extra></extra>",
    )
    made.add_bar(
        x=[rank_name(one) for one in info.found.ranks],
        y=[one.missed for one in info.found.ranks],
        xaxis="x2",
        yaxis="y2",
        marker_color=COLOURS[theme]["verify"],
        name="misses by rank",
        hovertemplate=f"rank %{{x}}: %{{y}} of {info.found.missed} misses<extra></extra>",
    )
    return made
