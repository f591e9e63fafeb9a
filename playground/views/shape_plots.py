"""A surface over beam shapes as Plotly figures: a heat map, or a surface in space. Pure; knows infos and colours."""

from __future__ import annotations

from typing import Any

from playground.config import PlaygroundError
from playground.views.page import Measure
from playground.views.plot_style import COLOURS, Theme, empty_figure, finite
from playground.views.sweep import MeasureInfo, SurfaceInfo


def heat_figure(info: SurfaceInfo, measure: Measure, theme: Theme = "light") -> Any:
    """One measure over beam shapes as a heat map; cells not measured yet stay empty."""
    found = _measure(info, measure)
    made = empty_figure(theme, "beam length", "beam width")
    made.add_heatmap(**_surface(info, found, theme), texttemplate="%{z:.3g}", xgap=3, ygap=3, **_middle(found))
    made.update_xaxes(type="category", showgrid=False)
    made.update_yaxes(type="category", showgrid=False)
    return made


def surface_figure(info: SurfaceInfo, measure: Measure, theme: Theme = "light") -> Any:
    """The same as a surface in space."""
    found = _measure(info, measure)
    made = empty_figure(theme, "", "")
    made.add_surface(**_surface(info, found, theme), cmid=_middle(found).get("zmid"))
    axis = {"gridcolor": COLOURS[theme]["rule"], "color": COLOURS[theme]["soft"]}
    made.update_layout(
        scene={
            "xaxis": {"title": {"text": "beam length"}, **axis},
            "yaxis": {"title": {"text": "beam width"}, "type": "log", **axis},
            "zaxis": {"title": {"text": found.name}, **axis},
        }
    )
    return made


def _middle(found: MeasureInfo) -> dict[str, float]:
    """A speed-up has a neutral value: colours part at break-even."""
    return {"zmid": 1.0} if found.measure == "speedup" else {}


def _colours(found: MeasureInfo, theme: Theme) -> Any:
    if found.measure == "speedup":
        colours = COLOURS[theme]
        return [[0.0, colours["accept"]], [0.5, colours["panel"]], [1.0, colours["redrafter"]]]
    return "Teal" if found.higher_is_better else "Teal_r"


def _surface(info: SurfaceInfo, found: MeasureInfo, theme: Theme) -> dict[str, Any]:
    unit = f" {found.unit}" if found.unit else ""
    return {
        "x": list(info.lengths),
        "y": list(info.widths),
        "z": [finite(row) for row in found.values],
        "colorscale": _colours(found, theme),
        "colorbar": {"title": {"text": f"{found.name}{unit}"}},
        "hovertemplate": f"width %{{y}}, length %{{x}}<br>{found.name} %{{z:.4g}}{unit}<extra></extra>",
    }


def _measure(info: SurfaceInfo, measure: Measure) -> MeasureInfo:
    found = next((one for one in info.measures if one.measure == measure), None)
    if found is None:
        names = ", ".join(one.measure for one in info.measures)
        raise PlaygroundError(f"Measure is {measure!r}, but must be one of: {names}.")
    return found
