"""What a visitor meets first, at the four window sizes: nothing unreachable, the equation, the text, honest colours."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from playground.config import EngineOptions
from tests.e2e.conftest import Site, box_of, run_prompt, serving, set_slider, show_example, start_run, view

OpenPage = Callable[..., Any]
SIZES = [(1440, 900), (1280, 800), (1024, 768), (390, 844)]
VIEWS = ["live", "steps", "mask", "race", "shapes", "traces", "learn"]
PARTS = ["sampling", "chat", "models", "command"]

sizes = pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")


def sized(open_page: OpenPage, size: tuple[int, int], **context: Any) -> Any:
    page = open_page(**context)
    page.set_viewport_size({"width": size[0], "height": size[1]})
    return page


def unfold_rail(page: Any) -> None:
    """Everything the rail can show."""
    fold = page.locator(".rp-settingsfold")
    if fold.is_visible():
        fold.click()
    for part in PARTS:
        page.locator(f"#rp-{part} button").first.click()


@sizes
def test_the_whole_rail_can_be_reached(open_page: OpenPage, size: tuple[int, int]) -> None:
    page = sized(open_page, size)
    unfold_rail(page)
    for widget in ("#rp-load", "#rp-copy", "#rp-run", "#rp-command-text textarea", "#rp-width input[type=number]"):
        page.locator(widget).scroll_into_view_if_needed()
        box = box_of(page, widget)
        assert box["x"] >= 0 and box["x"] + box["width"] <= size[0], f"{widget} stands at {box} in {size}"
        assert box["y"] >= 0 and box["y"] + box["height"] <= size[1], f"{widget} stands at {box} in {size}"
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 1


@sizes
def test_nothing_is_wider_than_the_window(open_page: OpenPage, size: tuple[int, int]) -> None:
    page = sized(open_page, size)
    for example in ("Widest", "Long beams"):
        show_example(page, example)
        for name in VIEWS:
            view(page, name)
            page.wait_for_timeout(60)
            over = page.evaluate(
                """() => {
                  const scrolls = (box) => box.closest('.rp-scroll, .rp-mapbox, .rp-beamsbox, .rp-tablebox, svg');
                  return [...document.querySelectorAll('.rp-app *')]
                    .filter((box) => box.checkVisibility() && !scrolls(box) && !box.closest('.rp-hidden'))
                    .filter((box) => box.getBoundingClientRect().right > innerWidth + 1)
                    .map((box) => box.className || box.tagName);
                }"""
            )
            assert not over, f"{name} at {size}: {over}"


@sizes
def test_the_mask_fits_its_panel(open_page: OpenPage, size: tuple[int, int]) -> None:
    page = sized(open_page, size)
    for example in ("Made up", "Widest"):
        if example != "Made up":
            show_example(page, example)
        view(page, "mask")
        page.wait_for_timeout(100)
        canvas, panel = (box_of(page, f"#rp-view-mask {part}") for part in (".rp-maskcanvas", ".rp-maskbox"))
        assert canvas["x"] + canvas["width"] <= panel["x"] + panel["width"] + 1
        assert canvas["width"] > 0.55 * min(panel["width"], size[1] - 200), f"{example}: the mask is small at {size}"


def test_a_run_is_seen_without_scrolling(open_page: OpenPage, site: Site) -> None:
    """At 1440 x 900: equation, text and tree, while it is written and after."""
    page = sized(open_page, (1440, 900))
    site.session.seconds = 0.03
    start_run(page, tokens=100)
    while page.get_attribute(".rp-app", "data-state") != "done":
        newest = page.evaluate(
            """() => {
              const token = [...document.querySelectorAll('.rp-textbox .rp-token')].at(-1).getBoundingClientRect();
              const box = document.querySelector('.rp-textbox').getBoundingClientRect();
              return [token.bottom - box.bottom, box.bottom, box.top - token.bottom, scrollY];
            }"""
        )
        assert newest[0] < 8 and newest[1] <= 900 and newest[2] < 8 and newest[3] == 0, newest
        page.wait_for_timeout(80)
    for part in (".rp-hero", ".rp-scrubber", ".rp-textbox", ".rp-live .rp-tree", ".rp-live .rp-treefoot"):
        box = box_of(page, part)
        assert box["y"] >= 0 and box["y"] + box["height"] <= 900, f"{part} ends at {box['y'] + box['height']}"


def test_the_equation_adds_up_and_a_win_looks_like_one(open_page: OpenPage) -> None:
    page = open_page()
    tokens, cost, speedup = (
        float(page.inner_text(f"[data-figure={name}]").rstrip("×")) for name in ("perstep", "cost", "speedup")
    )
    assert speedup == pytest.approx(tokens / cost, abs=0.02)
    assert page.get_attribute(".rp-hero", "data-verdict") == "win"
    line, gained = (box_of(page, part) for part in (".rp-even span", ".rp-part.is-gained"))
    assert line["x"] + line["width"] / 2 == pytest.approx(gained["x"], abs=4)
    assert page.locator(".rp-even").is_visible() and page.locator("[data-act=advice]").is_hidden()


def test_a_loss_looks_like_a_loss_and_one_click_tries_what_would_win(open_page: OpenPage) -> None:
    page = open_page()
    show_example(page, "Lost")
    assert page.get_attribute(".rp-hero", "data-verdict") == "loss"
    assert "lost time here" in page.inner_text("[data-figure=sentence]")
    colours = [
        page.evaluate("part => getComputedStyle(document.querySelector(part)).color", part)
        for part in (".rp-term.is-result b", ".rp-hero .rp-tag")
    ]
    assert colours == ["rgb(164, 83, 10)"] * 2  # amber, not the accent
    assert page.locator(".rp-part.is-short").is_visible() and not page.locator(".rp-part.is-gained").count()
    words = page.inner_text("[data-act=advice]")
    width, length = (int(part) for part in words.removeprefix("Try ").split(":")[0].split(" × "))
    before = page.get_attribute(".rp-app", "data-run")
    page.click("[data-act=advice]")
    page.wait_for_function("key => document.querySelector('.rp-app').dataset.run !== key", arg=before)
    page.wait_for_selector(f".rp-app[data-state=done][data-shape='{width}x{length}']")
    assert page.input_value("#rp-prompt textarea").startswith("Why is the sky blue?")


def test_a_loss_that_no_smaller_tree_would_turn_leads_to_the_measured_shape(open_page: OpenPage) -> None:
    """Known from the calibration, where the run itself tells of no shape that would win."""
    page = open_page()
    best = page.evaluate("() => { const { width, length } = ReDrafter.store.status.pair; return [width, length]; }")
    set_slider(page, "Beam width", best[0] + 1)
    set_slider(page, "Beam length", best[1])
    run_prompt(page, tokens=14)
    lose = """() => {
      const { run } = ReDrafter.store;
      const lost = { verdict: 'loss', settled: true, advice: null, words: 'lost' };
      run.figures = { ...run.figures, equation: { ...run.figures.equation, ...lost } };
      ReDrafter.store.emit('run');
    }"""
    page.evaluate(lose)
    shape = f"{best[0]} × {best[1]}, auto nodes"
    page.wait_for_function(
        "shape => document.querySelector('[data-act=advice]').checkVisibility()"
        " && document.querySelector('[data-act=advice]').innerText.startsWith(`Try ${shape}: measured`)",
        arg=shape,
    )
    before = page.get_attribute(".rp-app", "data-run")
    page.click("[data-act=advice]")
    page.wait_for_function("key => document.querySelector('.rp-app').dataset.run !== key", arg=before)
    page.wait_for_selector(f".rp-app[data-state=done][data-shape='{best[0]}x{best[1]}']")
    page.evaluate(lose)
    page.wait_for_selector(".rp-hero[data-verdict=loss]")
    assert page.locator("[data-act=advice]").is_hidden(), "that shape is what was run"


def test_one_click_runs_a_differing_run_again_exactly(browser: Any, site: Site, tmp_path: Path) -> None:
    from playground.export import write_trace
    from tests.views.synthetic import differing, make_trace

    made = differing(make_trace(new_tokens=60, seed=4, hostile=False), 20)
    info = site.session.info
    other, mine = tmp_path / "other.jsonl", tmp_path / "mine.jsonl"
    for file, base, drafter in ((other, made.header.base, made.header.drafter), (mine, info.base, info.drafter)):
        with file.open("w") as stream:
            write_trace(replace(made, header=replace(made.header, base=base, drafter=drafter)), stream)
    asked: list[EngineOptions] = []

    def opener(_base: str | None, _drafter: str | None, options: EngineOptions, _progress: Any) -> Any:
        asked.append(options)
        return site.session

    site.session.seconds = 0.0
    with serving(opener) as url:
        page = browser.new_page()
        page.goto(url)
        page.wait_for_selector(".rp-app[data-state=done]")
        page.wait_for_selector(".rp-pair[data-pair=ready]")
        assert page.locator("[data-act=exactly]").is_hidden(), "both lanes agree"
        for file, offered in ((other, False), (mine, True)):
            before = page.get_attribute(".rp-app", "data-run")
            view(page, "traces")
            page.set_input_files("#rp-tracefile", str(file))
            page.wait_for_function("key => document.querySelector('.rp-app').dataset.run !== key", arg=before)
            view(page, "live")
            assert page.locator("[data-act=exactly]").is_visible() == offered, "offered for this pair's own runs"
        before = page.get_attribute(".rp-app", "data-run")
        page.click("[data-act=exactly]")
        page.wait_for_function("key => document.querySelector('.rp-app').dataset.run !== key", arg=before)
        page.wait_for_selector(".rp-app[data-state=done]")
        assert len(asked) == 2 and asked[1].dtype == "float32"
        page.wait_for_function(
            "() => document.querySelector('[data-figure=parity]').innerText.startsWith('✓ Identical')"
        )
        assert page.locator("[data-act=exactly]").is_hidden()
        page.close()


def test_the_first_steps_are_muted(open_page: OpenPage, site: Site) -> None:
    page = open_page()
    site.session.seconds = 0.08
    start_run(page, tokens=60)
    page.wait_for_selector(".rp-hero.is-unsettled[data-verdict=none]")
    site.session.seconds = 0.0
    page.wait_for_selector(".rp-app[data-state=done] .rp-hero:not(.is-unsettled)")


def test_settings_that_changed_since_the_run_are_told(open_page: OpenPage) -> None:
    page = open_page()
    note = page.locator(".rp-railnote")
    run_prompt(page, tokens=14)
    assert note.is_hidden()
    width, length = str(page.get_attribute(".rp-app", "data-shape")).split("x")
    set_slider(page, "Beam width", 3)
    set_slider(page, "Beam length", 2)
    told = f"beam length {length} → 2"
    page.wait_for_function("told => document.querySelector('.rp-railnote').innerText.includes(told)", arg=told)
    assert f"beam width {width} → 3" in note.inner_text()
    page.get_by_label("Prompt", exact=True).fill("Something else")
    page.wait_for_function("() => document.querySelector('.rp-railnote').innerText.includes('prompt')")
    page.click("[data-act=take-back]")
    page.wait_for_function("width => document.querySelector('#rp-width input[type=number]').value === width", arg=width)
    page.wait_for_function("() => document.querySelector('.rp-railnote').hidden")
    assert page.input_value("#rp-prompt textarea") == "Hello there"


def test_a_difference_is_marked_in_both_texts_and_said_once(open_page: OpenPage) -> None:
    page = open_page()
    show_example(page, "Differs")
    assert page.locator(".rp-textbox .rp-token.is-different").count() == 1
    view(page, "race")
    assert page.locator(".rp-lane .rp-token.is-different").count() == 2
    said = page.locator(".rp-app").inner_text()
    assert said.count("differ from token 21 on") == 1 and said.count("0.11") == 1
    for lane in ("redrafter", "plain"):
        track, fill = (box_of(page, f".rp-lane.is-{lane} {part}") for part in (".rp-lanetrack", ".rp-lanefill"))
        assert fill["width"] == pytest.approx(track["width"], abs=1)


def test_the_map_leads_to_steps_and_zooms(open_page: OpenPage) -> None:
    page = open_page()
    show_example(page, "Long beams")
    steps = int(page.get_attribute(".rp-app", "data-steps"))
    assert int(page.get_attribute(".rp-map-svg", "data-columns")) == steps
    box = box_of(page, ".rp-map-svg")
    spot = lambda share: (box["x"] + box["width"] * share, box["y"] + 20)  # noqa: E731
    page.mouse.click(*spot(0.5))
    page.wait_for_function(
        "([low, high]) => { const at = Number(document.querySelector('.rp-app').dataset.step);"
        " return at > low && at < high; }",
        arg=[steps * 0.45, steps * 0.55],
    )
    page.mouse.move(*spot(0.2))
    page.mouse.down()
    page.mouse.move(*spot(0.3), steps=4)
    page.mouse.up()
    page.wait_for_function(
        "whole => Number(document.querySelector('.rp-map-svg').dataset.columns) < whole / 5", arg=steps
    )
    page.click("[data-act=map-all]")
    page.wait_for_function(
        "whole => Number(document.querySelector('.rp-map-svg').dataset.columns) === whole", arg=steps
    )
    token = page.locator(".rp-textbox .rp-token.is-accepted").nth(3)
    wanted = token.get_attribute("data-step")
    token.click()
    page.wait_for_selector(f".rp-app[data-step='{wanted}']")
    assert "is-now" in (token.get_attribute("class") or "")


def test_columns_stand_over_the_thumb(open_page: OpenPage) -> None:
    page = open_page()
    steps = int(page.get_attribute(".rp-app", "data-steps"))
    off = (
        "([step, last]) => { const box = name => document.querySelector(name)?.getBoundingClientRect();"
        " const column = box('.rp-nowcolumn'), track = box('.rp-track .rp-range');"
        " if (!column?.width || !track?.width) return null;"
        " return column.x + column.width / 2 - (track.x + 8 + (track.width - 16) * step / last); }"
    )
    for step in (0, steps - 1):
        page.evaluate("step => ReDrafter.store.goTo(step)", step)
        page.wait_for_selector(f".rp-app[data-step='{step}']")
        # Both are drawn anew with the view: measured in one go, once both stand there.
        page.wait_for_function(f"at => ({off})(at) !== null", arg=[step, steps - 1])
        assert page.evaluate(off, [step, steps - 1]) == pytest.approx(0, abs=1.5)


def test_small_things(open_page: OpenPage) -> None:
    page = open_page()
    assert page.locator("h1").count() == 1
    page.locator("#rp-command button").first.click()
    page.wait_for_function(
        "() => document.querySelector('#rp-command-text textarea')?.value.startsWith('python -m playground race ')"
    )
    shown = box_of(page, ".rp-logo")
    page.click(".rp-pairdetails summary")
    assert box_of(page, ".rp-logo") == shown
    page.click(".rp-pairdetails summary")
    assert page.locator(".rp-rawfacts:not([open])").count() >= 1
    view(page, "learn")
    page.click("[data-act=tour]")
    page.wait_for_selector(".rp-tourcard:not([hidden])")
    step = page.get_attribute(".rp-app", "data-step")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    page.wait_for_function("() => document.querySelector('.rp-tourfoot').innerText.startsWith('3 of')")
    page.keyboard.press("ArrowLeft")
    page.wait_for_function("() => document.querySelector('.rp-tourfoot').innerText.startsWith('2 of')")
    assert page.get_attribute(".rp-app", "data-step") == step


def test_on_a_phone_run_and_output_come_first(open_page: OpenPage) -> None:
    page = sized(open_page, (390, 844))
    run, hero = (box_of(page, part) for part in ("#rp-run", ".rp-hero"))
    assert run["y"] + run["height"] < 844 and hero["y"] < 844
    assert page.locator("#rp-width").is_hidden()
    page.click(".rp-settingsfold")
    assert page.locator("#rp-width").is_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@sizes
def test_axe_finds_nothing_on_the_whole_page(open_page: OpenPage, size: tuple[int, int], scheme: str) -> None:
    from axe_playwright_python.sync_playwright import Axe

    page = sized(open_page, size, color_scheme=scheme, reduced_motion="reduce")
    unfold_rail(page)
    for name in VIEWS:
        view(page, name)
        found = Axe().run(page).response["violations"]
        told = [(item["id"], item["nodes"][0]["html"][:160]) for item in found]
        assert not found, f"{name} at {size}, {scheme}: {told}"
