"""Room is used, nothing is cut: rail, caption, tabs, short trees, a lone root's mask, the empty map, a growing list."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.e2e.conftest import Site, serving, show_example, start_run, view
from tests.e2e.test_first_minute import SIZES, VIEWS, sized, sizes

OpenPage = Callable[..., Any]
DESKTOPS = SIZES[:3]
desktops = pytest.mark.parametrize("size", DESKTOPS, ids=lambda size: f"{size[0]}x{size[1]}")


@desktops
def test_the_folded_rail_needs_no_scrolling(open_page: OpenPage, size: tuple[int, int]) -> None:
    page = sized(open_page, size)
    page.wait_for_function(
        "() => { const rail = document.querySelector('#rp-rail'); return rail.scrollHeight <= rail.clientHeight; }"
    )
    page.wait_for_function("() => document.querySelector('#rp-command').getBoundingClientRect().bottom <= innerHeight")


@sizes
def test_tabs_stand_in_one_row(open_page: OpenPage, size: tuple[int, int]) -> None:
    page = sized(open_page, size)
    boxes = page.evaluate(
        "() => [...document.querySelectorAll('.rp-tabs button')].map((tab) => tab.getBoundingClientRect().toJSON())"
    )
    assert len(boxes) == len(VIEWS) and len({round(box["top"]) for box in boxes}) == 1
    assert all(box["left"] >= 0 and box["right"] <= size[0] for box in boxes), boxes


@sizes
def test_the_words_of_the_break_even_line_stay_in_their_panel(open_page: OpenPage, size: tuple[int, int]) -> None:
    page = sized(open_page, size)
    for example in ("Made up", "Lost"):
        if example != "Made up":
            show_example(page, example)
        page.wait_for_function(
            """() => {
              const words = document.querySelector('.rp-even span').getBoundingClientRect();
              const bars = document.querySelector('.rp-balance').getBoundingClientRect();
              return words.width > 0 && words.right <= bars.right + 1 && words.left >= bars.left - 1;
            }"""
        )


@desktops
def test_the_caption_is_one_line(open_page: OpenPage, size: tuple[int, int]) -> None:
    page = sized(open_page, size)
    height = page.evaluate("document.querySelector('.rp-caption').clientHeight")
    assert 10 < height < 28
    assert page.get_attribute(".rp-caption", "title") == page.locator(".rp-caption").text_content()


@sizes
def test_no_empty_stretch_under_a_tree(open_page: OpenPage, size: tuple[int, int]) -> None:
    page = sized(open_page, size)
    for name in ("steps", "mask"):
        view(page, name)
        page.wait_for_function(
            """name => {
              const foot = document.querySelector(`#rp-view-${name} .rp-treefoot`).getBoundingClientRect();
              const panel = document.querySelector(`#rp-view-${name} .rp-treepanel`).getBoundingClientRect();
              return foot.height > 0 && panel.bottom - foot.bottom < 24;
            }""",
            arg=name,
        )


def test_short_trees_leave_their_room_to_the_text(browser: Any, site: Site) -> None:
    from playground.ui.store import TraceStore
    from tests.views.synthetic import make_trace

    store = TraceStore()
    store.add_example("Short", make_trace(width=1, length=3, new_tokens=120, seed=4, hostile=False))
    store.add_example("Tall", make_trace(width=24, length=4, new_tokens=120, seed=4, hostile=False))
    with serving(lambda *_: site.session, store) as url:
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        page.goto(url)
        page.wait_for_selector(".rp-app[data-state=done]")
        room = """() => {
          const part = (name) => document.querySelector(`.rp-live ${name}`).getBoundingClientRect();
          const lit = document.querySelector('.rp-live .is-now').getBoundingClientRect();
          const text = part('.rp-textbox');
          return { text: text.height, tree: part('.rp-tree').height, end: part('.rp-treefoot').bottom,
                   seen: lit.top >= text.top - 2 && lit.bottom <= text.bottom + 2 };
        }"""
        page.wait_for_function(f"() => ({room})().text > 150")  # six lines or more
        short = page.evaluate(room)
        assert short["seen"] and short["tree"] < 140 and 840 < short["end"] <= 900, short
        view(page, "traces")
        page.get_by_role("button", name="Tall", exact=True).click()
        view(page, "live")
        page.wait_for_function(f"before => ({room})().tree > before", arg=short["tree"])
        tall = page.evaluate(room)
        assert tall["text"] < short["text"] and tall["end"] <= 900 and tall["seen"], tall
        page.close()


def test_a_phone_shows_tokens_with_their_chances_large_enough_to_read(open_page: OpenPage) -> None:
    page = sized(open_page, (390, 844))
    for example in ("Made up", "Widest"):
        if example != "Made up":
            show_example(page, example)
        for name in ("live", "steps", "mask"):
            view(page, name)
            page.wait_for_function(f"() => document.querySelector('#rp-view-{name} .rp-tree')?.dataset.scale")
            tree = page.locator(f"#rp-view-{name} .rp-tree")
            assert tree.get_attribute("data-size") == "slim"
            assert float(tree.get_attribute("data-scale")) >= 0.6, f"{example}, {name}"
            assert tree.locator(".rp-share.is-under").count() >= 2


def test_the_mask_of_a_lone_root_keeps_its_words(open_page: OpenPage) -> None:
    page = open_page()
    view(page, "mask")
    page.evaluate(
        """() => {
          const { store } = ReDrafter;
          const { step } = store;
          const first = ([name, column]) => [name, column.slice(0, 1)];
          const alone = Object.fromEntries(Object.entries(step.nodes).map(first));
          store.run.cache.set(store.index, { ...step, nodes: alone, mask: [[0]], beams: [], path: [0], pick: null });
          store.emit('step');
        }"""
    )
    page.wait_for_selector(".rp-maskcanvas[data-nodes='1']")
    words = page.evaluate(
        """() => {
          const context = document.createElement('canvas').getContext('2d');
          context.font = '11px system-ui, sans-serif';
          return context.measureText('tree nodes').width;
        }"""
    )
    cell = 44  # pixels, the largest
    canvas = page.evaluate("document.querySelector('.rp-maskcanvas').clientWidth")
    assert words > cell
    assert canvas >= 66 + 44 + 2 + words  # the labels, the cached text, the gap


def test_an_example_opens_at_a_step_that_tells_something(open_page: OpenPage) -> None:
    page = open_page()
    show_example(page, "Wide")
    strip = page.evaluate("ReDrafter.store.run.strip")
    step = int(page.get_attribute(".rp-app", "data-step"))
    telling = [at for at, (accepted, drafted, _) in enumerate(strip) if accepted and drafted >= 3]
    assert step == (telling[-1] if telling and telling[-1] >= len(strip) - 8 else len(strip) - 1)


def test_the_map_of_shapes_is_drawn_before_it_is_measured(open_page: OpenPage) -> None:
    page = open_page()
    view(page, "shapes")
    cells = page.locator(".rp-map .rp-cellempty")
    assert cells.count() == 16
    page.get_by_role("group", name="Widths").locator("input[value='16']").set_checked(True, force=True)
    page.wait_for_function("() => document.querySelectorAll('.rp-map .rp-cellempty').length === 20")
    assert "median speed-up of 3 races" in page.inner_text(".rp-map caption")


def test_the_list_of_runs_grows_without_taking_the_focus(open_page: OpenPage, site: Site) -> None:
    page = open_page()
    site.session.seconds = 0.05
    view(page, "traces")
    key = start_run(page, tokens=120)
    steps = "key => Number(document.querySelector(`tr[data-key='${key}'] [data-figure=steps]`)?.textContent)"
    page.wait_for_function(f"key => ({steps})(key) > 0", arg=key)
    focused = "document.activeElement.closest('tr')?.dataset.key + ' ' + document.activeElement.dataset.act"
    for act in ("rename", "show"):
        button = page.locator(f"tr[data-key='example-0'] [data-act={act}]")
        button.focus()
        element = button.element_handle()
        before = page.evaluate(steps, key)
        page.wait_for_function(f"([key, before]) => ({steps})(key) > before", arg=[key, before])
        assert page.evaluate(focused) == f"example-0 {act}"
        assert element.evaluate("button => button.isConnected"), "the very button stays"
    own = page.locator(f"tr[data-key='{key}'] [data-act=download]")
    own.focus()
    site.session.seconds = 0.0
    page.wait_for_selector(".rp-app[data-state=done]")
    page.wait_for_selector(f"tr[data-key='{key}'] [data-act=again]")
    assert page.evaluate(focused) == f"{key} download"


@sizes
def test_the_small_charts_keep_their_letters_and_nothing_overlaps(open_page: OpenPage, size: tuple[int, int]) -> None:
    page = sized(open_page, size)
    page.wait_for_function(
        """() => {
          const chart = document.querySelector('.rp-rates .rp-chart');
          if (!chart) return false;
          const scale = chart.getBoundingClientRect().width / chart.viewBox.baseVal.width;
          const boxes = [...chart.querySelectorAll('.rp-axis')].map((text) => text.getBoundingClientRect());
          const [under, end] = boxes.slice(-2);
          const apart = under.right <= end.left || end.right <= under.left;
          return scale > 0.95 && scale < 1.2 && apart;
        }"""
    )
