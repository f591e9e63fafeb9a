"""Colours and the empty figure that every Plotly chart begins with, light and dark. Knows no chart."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal

from plotly import graph_objects as go

Theme = Literal["light", "dark"]
Colours = dict[str, str]

COLOURS: dict[Theme, Colours] = {
    "light": {
        "ink": "#18212f", "soft": "#566275", "rule": "#e1e6ec", "panel": "#ffffff", "redrafter": "#0f766e",
        "plain": "#64748b", "root": "#4f46e5", "accepted": "#0f766e", "rejected": "#c2274b", "unreached": "#9aa5b4",
        "draft": "#6366f1", "tree": "#94a3b8", "verify": "#0f8a80", "accept": "#d98e1f", "commit": "#c2527a",
    },
    "dark": {
        "ink": "#e5ebf2", "soft": "#9dabbd", "rule": "#263241", "panel": "#151d27", "redrafter": "#34d3b8",
        "plain": "#94a3b8", "root": "#a5b4fc", "accepted": "#34d3b8", "rejected": "#fb8da0", "unreached": "#5d6b7d",
        "draft": "#818cf8", "tree": "#64748b", "verify": "#2aa99b", "accept": "#e0a13d", "commit": "#d9709a",
    },
}  # fmt: skip
FONT = "system-ui, -apple-system, Segoe UI, Roboto, sans-serif"


def empty_figure(theme: Theme, x: str, y: str) -> Any:
    """A figure with axes and nothing in it."""
    colours = COLOURS[theme]
    axis = {"gridcolor": colours["rule"], "zerolinecolor": colours["rule"], "linecolor": colours["rule"]}
    return go.Figure(
        layout={
            "template": "none",
            "paper_bgcolor": colours["panel"],
            "plot_bgcolor": colours["panel"],
            "font": {"family": FONT, "size": 13, "color": colours["ink"]},
            "xaxis": {"title": {"text": x}, **axis},
            "yaxis": {"title": {"text": y}, **axis},
            "legend": {"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
            "margin": {"l": 64, "r": 24, "t": 44, "b": 56},
            "hoverlabel": {"font": {"family": FONT}},
        }
    )


def finite(values: Sequence[float | None]) -> list[float | None]:
    """Gaps where there is no number."""
    return [value if value is not None and math.isfinite(value) else None for value in values]
