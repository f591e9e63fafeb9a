"""The page's Export menu and its charts: every format saved and read back, every chart hovered, saved and tabled."""

from __future__ import annotations

import csv
import io
import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from playwright.sync_api import TimeoutError as PlaywrightTimeout

from playground.export import FORMATS, Wish, export, read_trace
from playground.views.plots import CHARTS
from tests.e2e.conftest import Site, start_run, view

OpenPage = Callable[..., Any]


# What the bar above a chart may offer.
OFFERED = {"Zoom", "Pan", "Zoom in", "Zoom out", "Autoscale", "Reset axes", "Save as SVG", "Save as PNG"}
OFFERED |= {
    "Orbital rotation",
    "Turntable rotation",
    "Reset camera to default",
    "Reset camera to last save",
}  # in space


def saved(page: Any, selector: str, folder: Path) -> Path:
    """The file that a click saves."""
    with page.expect_download(timeout=60_000) as download:
        page.click(selector)
    path = folder / download.value.suggested_filename
    download.value.save_as(path)
    return path


@pytest.mark.parametrize("name", [name for name in FORMATS if name != "parquet"])
def test_every_format_is_what_the_terminal_writes(open_page: OpenPage, site: Site, tmp_path: Path, name: str) -> None:
    page = open_page()
    page.click("[data-act=export]")
    trace = site.store.get("example-0")
    index = int(page.get_attribute(".rp-app", "data-step"))
    path = saved(page, f"[data-export='{name}']", tmp_path)
    assert path.name.endswith(FORMATS[name].suffix)
    assert path.read_bytes() == export(trace, name, Wish(step=index if name == "svg" else None))


def test_the_step_and_the_table_are_those_chosen(open_page: OpenPage, tmp_path: Path) -> None:
    page = open_page()
    page.evaluate("ReDrafter.store.goTo(2)")
    page.click("[data-act=export]")
    picture = ElementTree.parse(saved(page, "[data-export=svg]", tmp_path)).getroot()
    assert picture[0].text == "Prefix tree of step 3"
    page.get_by_label("Table of CSV and Parquet").select_option("nodes")
    rows = list(csv.DictReader(io.StringIO(saved(page, "[data-export=csv]", tmp_path).read_text(encoding="utf-8"))))
    assert "status" in rows[0] and "draft_log_probability" in rows[0]


def test_png_is_a_picture_of_the_tree(open_page: OpenPage, tmp_path: Path) -> None:
    from PIL import Image

    page = open_page()
    page.click("[data-act=export]")
    svg = ElementTree.parse(saved(page, "[data-export=svg]", tmp_path)).getroot()
    with Image.open(saved(page, "[data-export=png]", tmp_path)) as picture:
        assert picture.format == "PNG" and picture.width == pytest.approx(3 * float(svg.attrib["width"]), abs=3)
        assert len(picture.convert("RGB").getcolors(1_000_000) or ()) > 50  # not blank


def test_what_cannot_be_written_is_said(open_page: OpenPage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    page = open_page()
    page.click("[data-act=export]")
    page.click("[data-export=parquet]")
    page.wait_for_function("() => document.querySelector('.rp-tool[open]').innerText.includes('Parquet needs pyarrow')")


def test_charts_load_their_library_when_opened_and_not_before(open_page: OpenPage) -> None:
    page = open_page()
    assert page.evaluate("typeof window.Plotly") == "undefined"
    page.click("[data-act=charts]")
    page.wait_for_selector(".rp-plot[data-drawn='1']", timeout=60_000)
    assert page.evaluate("window.Plotly.version")
    page.keyboard.press("3")
    assert page.get_attribute(".rp-app", "data-shown") == "live", "the page's keys stay out of the dialog"


@pytest.mark.parametrize("name", CHARTS)
def test_every_chart_hovers_saves_and_has_its_table(open_page: OpenPage, tmp_path: Path, name: str) -> None:
    page = open_page()
    page.click("[data-act=charts]")
    page.wait_for_selector(".rp-plot[data-drawn='1']", timeout=60_000)
    page.click(f"[data-chart={name}]")
    page.wait_for_selector(f".rp-plot[data-chart={name}]")
    page.wait_for_function(  # again and again: a chart that is drawn anew forgets what it said
        "() => { const box = document.querySelector('.rp-plot'); const at = box._fullData.findIndex((part) =>"
        " part.hoverinfo !== 'skip'); Plotly.Fx.hover(box, [{ curveNumber: at, pointNumber: 0 }]);"
        " return box.querySelector('.hoverlayer').textContent.length > 5; }",
        polling=500,
    )
    picture = ElementTree.parse(saved(page, "[data-save=svg]", tmp_path)).getroot()
    assert picture.tag.endswith("svg")
    assert saved(page, "[data-save=png]", tmp_path).read_bytes().startswith(b"\x89PNG")
    assert_the_mode_bar_saves(page, tmp_path)
    told = page.inner_text(".rp-plotsource")
    assert told.startswith(("Computed from the trace: ", "From the trace, measured")), "every chart says what it shows"
    page.click("summary:has-text('As a table')")
    assert page.locator(".rp-plottable tbody tr").count() > 0
    assert page.locator(".rp-plot a[href*='plotly'], .rp-plot [data-title*='Chart Studio']").count() == 0


def read_off_by_pointer(page: Any, where: str = ".rp-plot") -> str:
    """What a chart says under the pointer, which crosses it row by row until something is said."""
    area = page.evaluate(
        "where => { const box = document.querySelector(where), plot = box.querySelector('.nsewdrag, canvas');"
        " const { x, y, width, height } = plot.getBoundingClientRect(); return { x, y, width, height }; }",
        where,
    )
    for down in (0.5, 0.35, 0.65, 0.2, 0.8, 0.05, 0.95):
        for across in (0.5, 0.3, 0.7, 0.4, 0.6, 0.1, 0.9, 0.02, 0.98):
            page.mouse.move(area["x"] + across * area["width"], area["y"] + down * area["height"], steps=3)
            try:
                told = page.wait_for_function(
                    "where => [...document.querySelectorAll(`${where} .hovertext`)].map((o) => o.textContent).join()",
                    arg=where,
                    timeout=400,
                )
            except PlaywrightTimeout:
                continue
            return str(told.json_value())
    raise AssertionError(f"nothing is said anywhere on {where}")


@pytest.mark.parametrize("name", CHARTS)
def test_every_chart_is_read_off_by_the_pointer(open_page: OpenPage, name: str) -> None:
    page = open_page()
    page.click("[data-act=charts]")
    page.wait_for_selector(".rp-plot[data-drawn='1']", timeout=60_000)
    page.click(f"[data-chart={name}]")
    page.wait_for_selector(f".rp-plot[data-chart={name}]")
    assert re.search(r"\d", read_off_by_pointer(page)), "the exact numbers"


def assert_the_mode_bar_saves(page: Any, folder: Path, where: str = ".rp-plot") -> None:
    """Both formats from plotly's own bar, which shows itself to the pointer."""
    page.hover(where)
    picture = ElementTree.parse(saved(page, f"{where} [data-title='Save as SVG']", folder)).getroot()
    assert picture.tag.endswith("svg")
    assert saved(page, f"{where} [data-title='Save as PNG']", folder).read_bytes().startswith(b"\x89PNG")
    titles = set(page.eval_on_selector_all(f"{where} .modebar-btn", "all => all.map((one) => one.dataset.title)"))
    assert titles <= OFFERED, "no uploads, and nothing saved twice"


@pytest.mark.parametrize("name", ["rates", "positions"])
def test_the_small_charts_hand_over_when_the_run_is_over(open_page: OpenPage, tmp_path: Path, name: str) -> None:
    page = open_page()
    box = f".rp-live .rp-{name}"
    assert page.locator(f"{box}[data-plotly]").count() == 0 and page.evaluate("typeof window.Plotly") == "undefined"
    own = page.locator(f"{box} > *").first.get_attribute("class")
    page.hover(box)
    page.wait_for_selector(f"{box}[data-plotly={name}] .main-svg", timeout=60_000)
    page.evaluate(
        "box => Plotly.Fx.hover(document.querySelector(`${box} .rp-smallplot`), [{ curveNumber: 0, pointNumber: 0 }])",
        box,
    )
    page.wait_for_function(
        "box => / by then|of \\d/.test(document.querySelector(`${box} .hoverlayer`).textContent)",
        arg=box,
    )
    assert_the_mode_bar_saves(page, tmp_path, box)
    page.click("[data-act=theme]")
    page.wait_for_function(
        "box => document.querySelector(`${box} .rp-smallplot`).layout.paper_bgcolor ==="
        " (document.body.classList.contains('dark') ? '#151d27' : '#ffffff')",
        arg=box,
    )
    start_run(page, tokens=120)
    page.wait_for_selector(f"{box} > .{str(own).split()[0]}", state="attached")
    page.wait_for_selector(f"{box}[data-plotly={name}] .main-svg", timeout=60_000)
    assert page.get_attribute(".rp-app", "data-state") == "done", "while it moves, the page draws"


def test_charts_follow_a_run_and_the_theme(open_page: OpenPage, site: Site) -> None:
    page = open_page()
    site.session.seconds = 0.05
    start_run(page, tokens=120)
    page.evaluate("document.body.classList.add('dark')")
    page.click("[data-act=charts]")
    page.wait_for_function("() => Number(document.querySelector('.rp-plot').dataset.drawn) >= 3", timeout=60_000)
    assert page.evaluate("document.querySelector('.rp-plot').layout.paper_bgcolor") == "#151d27"
    page.keyboard.press("Escape")
    site.session.seconds = 0.01
    page.wait_for_selector(".rp-app[data-state=done]", timeout=60_000)


def test_two_runs_are_compared(open_page: OpenPage, tmp_path: Path) -> None:
    page = open_page()
    page.click("[data-act=charts]")
    page.wait_for_selector(".rp-plot[data-drawn='1']", timeout=60_000)
    assert page.locator("[data-chart=compare]").is_hidden(), "there is one run only"
    page.keyboard.press("Escape")
    view(page, "traces")
    page.click("[data-example=example-1]")
    page.wait_for_selector(".rp-app[data-shape='48x6']")
    page.click("[data-act=charts]")
    page.click("[data-chart=compare]")
    page.wait_for_selector(".rp-plot[data-chart=compare]", timeout=60_000)
    page.evaluate("Plotly.Fx.hover(document.querySelector('.rp-plot'), [{ curveNumber: 0, pointNumber: 0 }])")
    page.wait_for_function("() => document.querySelector('.rp-plot .hoverlayer').textContent.includes('tokens/s')")
    assert_the_mode_bar_saves(page, tmp_path)
    said = page.inner_text(".rp-tool .rp-comparison")
    assert "settings.beam_width: 48 | 8" in said and "The texts differ from new token" in said
    page.click("summary:has-text('As a table')")
    assert page.locator(".rp-plottable tr:has-text('num_spec_steps')").count() == 1


def test_honesty_is_drawn_over_one_run_or_all_of_the_pair(open_page: OpenPage) -> None:
    page = open_page()
    page.click("[data-act=charts]")
    page.wait_for_selector(".rp-plot[data-drawn='1']", timeout=60_000)
    page.click("[data-chart=honesty]")
    page.wait_for_selector(".rp-plot[data-chart=honesty]", timeout=60_000)
    assert page.locator("[data-act=all-runs]").is_hidden(), "there is one run only"
    page.keyboard.press("Escape")
    view(page, "traces")
    page.click("[data-example=example-1]")
    page.wait_for_selector(".rp-app[data-shape='48x6']")
    page.click("[data-act=charts]")
    page.wait_for_function("() => document.querySelector('.rp-comparison').textContent.includes('of 1 run ')")
    page.check("[data-act=all-runs] input")
    page.wait_for_function("() => document.querySelector('.rp-comparison').textContent.includes('of 2 runs ')")
    page.click("[data-chart=misses]")
    page.wait_for_selector(".rp-plot[data-chart=misses]")
    assert page.inner_text(".rp-comparison").startswith("In 2 runs the drafter guessed at ")
    page.click("summary:has-text('As a table')")
    assert page.locator(".rp-plottable tr:has-text('kind of the pick')").count() > 1
    page.click("[data-chart=rates]")
    page.wait_for_selector(".rp-plot[data-chart=rates]")
    assert page.locator("[data-act=all-runs]").is_hidden()


def test_measured_shapes_are_charts_too(open_page: OpenPage, tmp_path: Path) -> None:
    page = open_page()
    page.click("[data-act=charts]")
    page.wait_for_selector(".rp-plot[data-drawn='1']", timeout=60_000)
    assert page.locator("[data-chart=map]").is_hidden()
    page.keyboard.press("Escape")
    page.get_by_role("spinbutton", name="New tokens").fill("10")
    view(page, "shapes")
    for name, keep in (("Widths", {"1", "4"}), ("Lengths", {"2", "3"})):
        for box in page.get_by_role("group", name=name).get_by_role("checkbox").all():
            box.set_checked(box.get_attribute("value") in keep, force=True)
    page.click("[data-act=sweep]")
    page.wait_for_selector(".rp-shapes[data-sweep=done][data-done='12']", timeout=60_000)
    page.click("[data-act=charts]")
    for kind, part in (("map", "heatmap"), ("space", "surface")):
        page.click(f"[data-chart={kind}]")
        page.wait_for_selector(f".rp-plot[data-chart={kind}]", timeout=60_000)
        assert page.evaluate("document.querySelector('.rp-plot').data[0].type") == part
        if part == "heatmap":
            page.evaluate("Plotly.Fx.hover(document.querySelector('.rp-plot'), { xval: 1, yval: 0 })")
            page.wait_for_function(
                "() => document.querySelector('.rp-plot .hoverlayer').textContent.includes('width 1, length 3')"
            )
        else:
            assert re.search(r"width [14], length [23]", read_off_by_pointer(page))
        assert_the_mode_bar_saves(page, tmp_path)
    page.get_by_label("Measure of the beam shapes").select_option("nodes")
    page.wait_for_function("() => document.querySelector('.rp-plottable th').textContent.startsWith('Tree nodes')")
    z = page.evaluate("document.querySelector('.rp-plot').data[0].z.map((row) => [...row])")
    assert len(z) == 2 and all(value > 1 for row in z for value in row)
    assert page.locator(".rp-plottable tbody tr").count() == 2


def test_the_page_offers_every_chart_and_format() -> None:
    scripts = Path(__file__).resolve().parents[2] / "assets" / "js"
    plots, menu = ((scripts / name).read_text(encoding="utf-8") for name in ("plots.js", "export.js"))
    assert all(json.dumps([name, title]) in plots for name, (title, *_) in CHARTS.items())
    assert all(f'["{name}", ' in menu for name in FORMATS)


def test_a_saved_trace_loads_again(open_page: OpenPage, tmp_path: Path) -> None:
    page = open_page()
    page.click("[data-act=export]")
    assert read_trace(saved(page, "[data-export='jsonl.gz']", tmp_path)).complete


def test_the_detail_of_the_trace_is_the_one_chosen(open_page: OpenPage, tmp_path: Path) -> None:
    page = open_page()
    page.click("[data-act=export]")
    page.get_by_label("Detail of the trace").select_option("light")
    found = read_trace(saved(page, "[data-export='jsonl']", tmp_path))
    assert found.complete and found.header.detail == "light" and not found.steps[0].beams.tokens


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_in_the_dialogs(open_page: OpenPage, scheme: str) -> None:
    from axe_playwright_python.sync_playwright import Axe

    page = open_page(color_scheme=scheme)
    page.evaluate("dark => document.body.classList.toggle('dark', dark)", scheme == "dark")
    for act, ready in (("export", ".rp-tool[open]"), ("charts", ".rp-plot[data-drawn='1']")):
        page.click(f"[data-act={act}]")
        page.wait_for_selector(ready, timeout=60_000)
        found = Axe().run(page, context=".rp-tool[open]").response["violations"]
        told = [f"{item['id']}: {[node['html'][:120] for node in item['nodes'][:3]]}" for item in found]
        assert not told, f"{act}: {told}"
        page.keyboard.press("Escape")
