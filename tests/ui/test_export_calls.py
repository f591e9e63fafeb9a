"""What the page's script may ask for exports and charts: answers, and sentences for everything else."""

from __future__ import annotations

import base64
import json
import math
from typing import Any

import pytest

from playground.export import export, offline
from playground.ui import assets
from playground.ui.export_calls import export_calls
from playground.ui.store import TraceStore
from tests.views.synthetic import make_trace


@pytest.fixture
def calls() -> dict[str, Any]:
    store = TraceStore()
    store.add_example("Made up", make_trace(new_tokens=20))
    return {call.__name__: call for call in export_calls(store)}


def test_an_export_carries_its_name_and_bytes(calls: dict[str, Any]) -> None:
    made = calls["export_run"](["example-0", "csv", 1, "nodes", "full"])
    assert made["name"] == "redrafter-synthetic8-nodes.csv" and made["mediaType"] == "text/csv"
    picture = calls["export_run"](["example-0", "svg", 1, "steps", "full"])
    assert picture["name"].endswith("-step-2.svg")
    whole = base64.b64decode(calls["export_run"](["example-0", "graphml", 1, "steps", "full"])["base64"])
    assert whole == export(make_trace(new_tokens=20), "graphml")


@pytest.mark.parametrize(
    ("call", "sent", "message"),
    [
        ("export_run", ["example-0", "pdf", 0, "steps", "full"], "Format is 'pdf'"),
        ("export_run", ["example-0", "svg", 999, "steps", "full"], "Step is 999"),
        ("export_run", ["example-0", "csv", 0, "rows", "full"], "Table is 'rows'"),
        ("export_run", ["example-0", "jsonl", 0, "steps", "fine"], "Detail is 'fine', but must be one of: full, light"),
        ("export_run", ["gone", "csv", 0, "steps", "full"], "That run is gone"),
        ("export_run", ["example-0", "csv", True, "steps", "full"], "an unexpected message"),
        ("export_run", None, "an unexpected message"),
        ("draw_chart", ["example-0", "pie", "light"], "Chart is 'pie'"),
        ("draw_chart", ["example-0", "rates", "pink"], "Theme is 'pink'"),
        ("draw_honesty", [["example-0"], "rates", "light"], "over several runs it must be one of: honesty, misses"),
        ("draw_honesty", [["example-0", "gone"], "honesty", "light"], "That run is gone"),
        ("draw_honesty", [[], "honesty", "light"], "sent 0 runs, but a chart takes 1 to 100"),
        ("draw_honesty", [[3], "honesty", "light"], "an unexpected message"),
        ("draw_surface", [[1], [2], [[3.0]], "rate", "cube", "light"], "Kind is 'cube'"),
        ("draw_surface", [[1], [2], [["x"]], "rate", "map", "light"], "sent no heat map"),
        ("side_by_side", ["example-0", "gone"], "That run is gone"),
        ("side_by_side", ["example-0"], "an unexpected message"),
        ("draw_surface", [[1] * 99, [2], [[3.0]] * 99, "rate", "map", "light"], "99 widths"),
        ("draw_surface", [[1], [2], [[3.0]], "heat", "map", "light"], "Measure is 'heat'"),
    ],
)
def test_anything_else_is_one_sentence(call: str, sent: Any, message: str, calls: dict[str, Any]) -> None:
    assert message in calls[call](sent)["error"]


def test_charts_come_with_their_table(calls: dict[str, Any]) -> None:
    made = calls["draw_chart"](["example-0", "positions", "dark"])
    assert json.loads(made["figure"])["data"] and len(made["rows"][0]) == len(made["columns"])
    drawn = calls["draw_surface"]([[1], [2, 3], [[3.0, math.nan]], "nodes", "map", "light"])
    assert json.loads(drawn["figure"])["data"][0]["z"] == [[3.0, None]] and drawn["columns"][0] == "Tree nodes by width"
    assert "Plotly" in calls["plot_code"](None)["code"]


def test_honesty_counts_every_run_once(calls: dict[str, Any]) -> None:
    alone = calls["draw_honesty"]([["example-0"], "misses", "light"])
    assert alone == calls["draw_honesty"]([["example-0", "example-0"], "misses", "light"])
    assert alone["words"][0].startswith("In 1 run the drafter guessed at ")
    told = calls["draw_honesty"]([["example-0"], "honesty", "dark"])
    assert "Over " in told["words"][0] and len(told["rows"][0]) == len(told["columns"]) == 6


def test_the_file_draws_with_the_pages_scripts_in_the_pages_order() -> None:
    *drawn, own = offline.SCRIPTS
    assert own == "offline" and [name for name in assets.SCRIPTS if name in drawn] == drawn
