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
from playground.ui.store import TraceStore
from playground.views.page import ChartPicture, Exported, Failure, PlotCode
from playground.views.plots import Theme, chart

ONE_STEP = frozenset({"svg"})  # formats that show the step at hand; the others take the whole run


def export_calls(store: TraceStore) -> list[Callable[..., Any]]:
    """The calls, by the names the script knows them by."""

    def export_run(arguments: Any) -> Exported | Failure:
        try:
            key, name, step, table = _given(arguments, str, str, int, str)
            wish = Wish(step=step if name in ONE_STEP else None, table=table)
            return _exported(_standing(store.get(key)), name, wish)
        except PlaygroundError as error:
            return {"error": str(error)}

    def draw_chart(arguments: Any) -> ChartPicture | Failure:
        try:
            key, name, theme = _given(arguments, str, str, str)
            if theme not in get_args(Theme):
                raise PlaygroundError(f"Theme is {theme!r}, but must be light or dark.")
            made = chart(_standing(store.get(key)), name, theme)
        except PlaygroundError as error:
            return {"error": str(error)}
        columns, rows = list(made.table.columns), [list(row) for row in made.table.rows]
        return {"title": made.title, "figure": made.figure.to_json(), "columns": columns, "rows": rows}

    def plot_code(_: Any) -> PlotCode:
        from plotly.offline import get_plotlyjs

        return {"code": get_plotlyjs()}

    return [export_run, draw_chart, plot_code]


def _exported(trace: Trace, name: str, wish: Wish) -> Exported:
    body = export(trace, name, wish)
    part = f"-step-{wish.step + 1}" if wish.step is not None else f"-{wish.table}" if name in ("csv", "parquet") else ""
    run = "".join(char for char in trace.header.run_id[:12] if char.isalnum())
    return {
        "name": f"redrafter-{run}{part}{FORMATS[name].suffix}",
        "mediaType": FORMATS[name].media_type,
        "base64": base64.b64encode(body).decode(),
    }


def _standing(trace: Trace) -> Trace:
    """The run as it stands; what comes later is not in it."""
    return replace(trace, prompts=list(trace.prompts), steps=list(trace.steps), plain=list(trace.plain))


def _given(arguments: Any, *kinds: type) -> list[Any]:
    """What the script sent, of the kinds it sends.

    Raises:
        PlaygroundError: something else, which our script does not send.
    """
    if not isinstance(arguments, list) or list(map(type, arguments)) != list(kinds):
        raise PlaygroundError("The page's script sent something else than it should. Reload the page.")
    return arguments
