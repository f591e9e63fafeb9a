"""Functions the page's script may call for exports and charts, outside the queue: answers at once, errors as sentences.

A run may still grow meanwhile, so what is exported is the run as it stands at that moment. Knows the store, no widget.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import replace
from typing import Any, get_args

from playground.config import PlaygroundError
from playground.export import FORMATS, Wish, export
from playground.trace import Trace
from playground.ui.answers import answer, given
from playground.ui.store import TraceStore
from playground.views.compare import compare_info
from playground.views.page import (
    ChartPicture,
    ComparePicture,
    Exported,
    Failure,
    HonestyPicture,
    PlotCode,
    SidesPicture,
)
from playground.views.plot_style import Theme
from playground.views.plots import Chart, chart, compare_figure, honesty_chart
from playground.views.shape_plots import heat_figure, surface_figure
from playground.views.sides import sides_picture
from playground.views.sweep import SurfaceInfo, surface_of, surface_table

ONE_STEP = frozenset({"svg"})  # formats that show the step at hand; the others take the whole run
MOST_RUNS = 100  # in one chart: as many as the store keeps


def export_calls(store: TraceStore) -> list[Callable[..., Any]]:
    """The calls, by the names the script knows them by."""

    def export_run(arguments: Any) -> Exported | Failure:
        try:
            key, name, step, table, detail = given(arguments, str, str, int, str, str)
            wish = Wish(step=step if name in ONE_STEP else None, table=table, detail=detail)
            return _exported(_standing(store.get(key)), name, wish)
        except PlaygroundError as error:
            return {"error": str(error)}

    def draw_chart(arguments: Any) -> ChartPicture | Failure:
        try:
            key, name, theme = given(arguments, str, str, str)
            return _picture(chart(_standing(store.get(key)), name, _theme(theme)))
        except PlaygroundError as error:
            return {"error": str(error)}

    def draw_honesty(arguments: Any) -> HonestyPicture | Failure:
        try:
            keys, name, theme = given(arguments, list, str, str)
            made = honesty_chart([_standing(store.get(key)) for key in _keys(keys)], name, _theme(theme))
        except PlaygroundError as error:
            return {"error": str(error)}
        return {**_picture(made), "words": list(made.words)}

    def draw_surface(arguments: Any) -> ChartPicture | Failure:
        try:
            widths, lengths, values, measure, kind, theme = given(arguments, list, list, list, str, str, str)
            draw = {"map": heat_figure, "space": surface_figure}.get(kind)
            if draw is None:
                raise PlaygroundError(f"Kind is {kind!r}, but must be map or space.")
            info = _surface(widths, lengths, measure, values)
            key = info.measures[0].measure
            return _picture(Chart("Beam shapes", draw(info, key, _theme(theme)), surface_table(info, key)))
        except PlaygroundError as error:
            return {"error": str(error)}

    def draw_comparison(arguments: Any) -> ComparePicture | Failure:
        try:
            left, right, theme = given(arguments, str, str, str)
            info = compare_info(_standing(store.get(left)), _standing(store.get(right)))
            made = _picture(Chart("Two runs", compare_figure(info, _theme(theme)), info.table))
        except PlaygroundError as error:
            return {"error": str(error)}
        return {**made, "words": list(info.words)}

    def side_by_side(arguments: Any) -> SidesPicture | Failure:
        def make() -> SidesPicture:
            left, right = given(arguments, str, str)
            return sides_picture(_standing(store.get(left)), _standing(store.get(right)))

        return answer(make)

    def plot_code(_: Any) -> PlotCode:
        from plotly.offline import get_plotlyjs

        return {"code": get_plotlyjs()}

    return [export_run, draw_chart, draw_honesty, draw_surface, draw_comparison, side_by_side, plot_code]


def _exported(trace: Trace, name: str, wish: Wish) -> Exported:
    body = export(trace, name, wish)
    part = f"-step-{wish.step + 1}" if wish.step is not None else f"-{wish.table}" if name in ("csv", "parquet") else ""
    run = "".join(char for char in trace.header.run_id[:12] if char.isalnum())
    return {
        "name": f"redrafter-{run}{part}{FORMATS[name].suffix}",
        "mediaType": FORMATS[name].media_type,
        "base64": base64.b64encode(body).decode(),
    }


def _picture(made: Chart) -> ChartPicture:
    columns, rows = list(made.table.columns), [list(row) for row in made.table.rows]
    return {"title": made.title, "figure": made.figure.to_json(), "columns": columns, "rows": rows}


def _keys(keys: list[Any]) -> list[str]:
    """Keys of runs, each once, in order."""
    if not 1 <= len(keys) <= MOST_RUNS:
        raise PlaygroundError(f"The page's script sent {len(keys)} runs, but a chart takes 1 to {MOST_RUNS}.")
    given(keys, *[str] * len(keys))
    return list(dict.fromkeys(keys))


def _theme(name: str) -> Theme:
    if name not in get_args(Theme):
        raise PlaygroundError(f"Theme is {name[:20]!r}, but must be light or dark.")
    return "dark" if name == "dark" else "light"


def _surface(widths: Any, lengths: Any, measure: str, values: Any) -> SurfaceInfo:
    """A heat map as the page shows it and sends it back; the server keeps no sweep."""
    from pydantic import TypeAdapter, ValidationError

    sizes, cells = TypeAdapter(tuple[int, ...]), TypeAdapter(tuple[tuple[float | None, ...], ...])
    try:
        found = cells.validate_python(values)
        return surface_of(sizes.validate_python(widths), sizes.validate_python(lengths), measure, found)
    except ValidationError as error:
        raise PlaygroundError("The page's script sent no heat map. Measure the shapes again.") from error


def _standing(trace: Trace) -> Trace:
    """The run as it stands; what comes later is not in it."""
    return replace(trace, prompts=list(trace.prompts), steps=list(trace.steps), plain=list(trace.plain))
