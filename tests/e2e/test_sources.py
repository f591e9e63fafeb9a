"""Every number on the page says where it comes from: in the hover, at the focus, and the same in the saved file."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from playground.views.sources import screen_sources
from tests.e2e.conftest import Site, run_prompt, view

OpenPage = Callable[..., Any]
VIEWS = ["live", "steps", "mask", "race", "shapes", "traces"]
# What holds digits and is no figure: texts of people and models, names, controls and headings.
NO_FIGURES = (
    ".rp-text, .rp-chat, bdi.rp-mono, .rp-tablebox bdi, .rp-label, .rp-cardtoken, .rp-runs th[scope=row],"
    " .rp-sides h3, .rp-sides h3 *, h1, h2, label, select, option, .rp-drop, .rp-beams thead, .rp-beams th,"
    " .rp-map th, .rp-map caption, dialog, .rp-rawfacts, [data-act=fold], [data-act=beams], [data-act=map-all],"
    " .rp-pill, .rp-tabs, .rp-row > .rp-chip, .rp-notice, .rp-barname, .rp-source, .rp-shapes .rp-row .rp-quiet"
)
WITHOUT_SOURCE = """([root, none]) => {
    const found = [];
    const walk = document.createTreeWalker(document.querySelector(root), NodeFilter.SHOW_TEXT);
    while (walk.nextNode()) {
        const { parentElement: at, data } = walk.currentNode;
        if (!/[0-9]/.test(data) || !at.checkVisibility() || at.closest(none)) continue;
        const where = `${data} in ${at.tagName}.${at.className.baseVal ?? at.className}`;
        if (!ReDrafter.sourceOf(ReDrafter.store, at)) found.push(where);
    }
    return found;
}"""


@pytest.mark.parametrize("name", VIEWS)
def test_every_number_of_a_view_has_a_source(open_page: OpenPage, name: str) -> None:
    page = open_page()
    run_prompt(page, tokens=20)
    view(page, name)
    if name == "traces":
        page.get_by_label("First run", exact=True).select_option(index=1)
        page.get_by_label("Second run", exact=True).select_option(index=2)
        page.wait_for_selector(".rp-two[data-pair]")
    page.wait_for_function("name => ReDrafter.store.view === name && ReDrafter.store.step", arg=name)
    assert page.evaluate(WITHOUT_SOURCE, [".rp-app", NO_FIGURES]) == []


@pytest.mark.parametrize("act", ["charts", "export"])
def test_every_number_of_a_dialog_has_a_source(open_page: OpenPage, act: str) -> None:
    page = open_page()
    page.click(f"[data-act={act}]")
    page.wait_for_selector(".rp-plot[data-drawn='1']" if act == "charts" else ".rp-exports", timeout=60_000)
    page.evaluate("() => document.querySelectorAll('dialog[open] details').forEach((one) => (one.open = true))")
    own = NO_FIGURES.replace(" dialog,", " .rp-plot,")
    assert page.evaluate(WITHOUT_SOURCE, ["dialog[open]", own]) == []


def test_every_stop_of_the_tab_key_tells(open_page: OpenPage) -> None:
    """Walk all of them in every view, with the focus as the keyboard gives it."""
    page = open_page()
    seen = 0
    for name in VIEWS:
        view(page, name)
        page.keyboard.press("Tab")
        page.wait_for_function(
            "() => [...document.querySelectorAll('.rp-app [data-figure]')].every((one) =>"
            " one.tabIndex === 0 || !one.checkVisibility() || one.closest('tbody, button'))"
        )
        told = page.evaluate(
            """() => [...document.querySelectorAll('.rp-app [data-figure]')].filter((one) =>
            one.tabIndex === 0 && one.checkVisibility() && one.textContent).map((one) => {
                one.focus();
                const tip = document.querySelector('.rp-source');
                return [one.dataset.figure, tip.hidden ? '' : tip.textContent, one.getAttribute('aria-describedby')];
            })"""
        )
        assert all(words and by == "rp-source" for _, words, by in told), told
        seen += len(told)
    assert seen > 20


def test_the_pointer_rests_and_is_told(open_page: OpenPage, site: Site) -> None:
    page = open_page()
    page.hover("[data-figure=perstep]")
    page.wait_for_selector(".rp-source:visible")
    words = page.inner_text(".rp-source")
    assert words.startswith("Computed from the trace: emitted / steps = ")
    above, below = (int(part) for part in words.rpartition("= ")[2].split(" / "))
    assert page.inner_text("[data-figure=perstep]") == f"{above / below:.2f}"
    page.keyboard.press("Escape")
    page.wait_for_selector(".rp-source", state="hidden")
    page.hover("[data-figure=memory]")
    page.wait_for_function(
        "() => document.querySelector('.rp-source').textContent.startsWith('From the trace, measured')"
    )
    run_prompt(page, tokens=12)
    page.mouse.move(1, 1)
    page.hover("[data-figure=memory]")
    page.wait_for_function("() => document.querySelector('.rp-source').textContent.startsWith('Measured here: ')")


def test_every_name_of_the_script_is_known(site: Site) -> None:
    import re
    from pathlib import Path

    scripts = Path(__file__).resolve().parents[2] / "assets" / "js"
    code = (scripts / "sources.js").read_text(encoding="utf-8")
    names = set(re.findall(r'^    \["[^"]*", "([a-z-]+)"\],$', code, re.MULTILINE))
    for path in scripts.glob("*.js"):
        names |= set(re.findall(r'"data-figure": "([a-z-]+)"', path.read_text(encoding="utf-8")))
    from playground.figures.totals import RunTotals

    trace = site.store.get("example-0")
    assert len(names) > 20 and names <= screen_sources(trace, RunTotals.of(trace)).keys()
