"""Every view, linked and readable: hover, focus, keyboard, light and dark, hostile tokens, no barrier axe can find."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.e2e.conftest import run_prompt, view

OpenPage = Callable[..., Any]
VIEWS = ["live", "steps", "mask", "race", "shapes", "traces", "learn"]


def test_a_beam_lights_its_path_and_a_node_its_beams(open_page: OpenPage) -> None:
    page = open_page()
    view(page, "steps")
    page.hover(".rp-beams tbody tr >> nth=1")
    page.wait_for_selector(".rp-steps .rp-tree.is-lighting")
    length = page.locator(".rp-beams tbody tr >> nth=1").locator("td.rp-beamcell").count()
    assert page.locator(".rp-steps .rp-node.is-lit").count() == length + 1

    page.locator(".rp-steps .rp-node").nth(1).hover()
    page.wait_for_selector(".rp-beams tr.is-lit")
    label = page.locator(".rp-steps .rp-node").nth(1).locator(".rp-label").text_content()
    assert page.inner_text(".rp-steps .rp-cardtoken") == label
    assert page.inner_text(".rp-steps .rp-reason").split()[0] in {"Accepted:", "Rejected:", "Never"}


@pytest.mark.parametrize("width", [1440, 1024])
def test_nothing_scrolls_sideways(open_page: OpenPage, width: int) -> None:
    page = open_page()
    page.set_viewport_size({"width": width, "height": 900})
    run_prompt(page, tokens=12)
    for name in ("live", "steps", "mask"):
        view(page, name)
        wide = page.evaluate(
            "name => [...document.querySelectorAll(`#rp-view-${name} :is(.rp-treebox, .rp-beamsbox, .rp-maskbox)`)]"
            ".filter((box) => box.scrollWidth > box.clientWidth + 1).map((box) => box.className)",
            name,
        )
        assert not wide, f"{name} at {width} px: {wide} scroll sideways"


def test_the_tree_walks_by_keyboard(open_page: OpenPage) -> None:
    page = open_page()
    view(page, "steps")
    page.focus(".rp-steps .rp-node[tabindex='0']")
    page.wait_for_function("() => document.querySelector('.rp-steps .rp-cardhead').textContent.includes('Root')")
    page.keyboard.press("ArrowRight")
    page.wait_for_function("() => document.activeElement.dataset.node === '1'")
    page.keyboard.press("ArrowLeft")
    assert page.evaluate("document.activeElement.dataset.node") == "0"
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    page.wait_for_selector(".rp-steps .rp-node.is-chosen[data-node='1']")


def test_the_tree_has_a_table_alternative(open_page: OpenPage) -> None:
    page = open_page()
    view(page, "steps")
    nodes = int(page.get_attribute(".rp-steps .rp-tree", "data-nodes"))
    page.get_by_role("button", name="Tree as a table").click()
    assert page.locator(".rp-tablebox tbody tr").count() == nodes
    assert page.locator(".rp-steps .rp-treebox").is_hidden()


def test_the_mask_says_who_sees_whom(open_page: OpenPage) -> None:
    page = open_page()
    view(page, "mask")
    canvas = page.locator(".rp-maskcanvas")
    assert int(canvas.get_attribute("data-nodes")) > 3
    canvas.focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    page.wait_for_function("() => document.querySelector('.rp-maskwords').innerText.startsWith('Node 1 sees')")
    assert page.locator(".rp-maskpage .rp-node.is-lit").count() == 2


def test_the_race_replays(open_page: OpenPage) -> None:
    page = open_page()
    view(page, "race")
    whole = int(page.get_attribute("[data-lane=plain]", "data-tokens"))
    page.locator("[aria-label='Time of the replay']").fill("300")
    page.wait_for_function(
        "whole => Number(document.querySelector('[data-lane=plain]').dataset.tokens) < whole", arg=whole
    )
    fast, slow = (int(page.get_attribute(f"[data-lane={lane}]", "data-tokens")) for lane in ("redrafter", "plain"))
    assert fast > slow > 0
    page.get_by_role("button", name="Replay").click()
    page.wait_for_function(
        "whole => Number(document.querySelector('[data-lane=plain]').dataset.tokens) === whole", arg=whole
    )


def test_a_sweep_fills_the_map_and_a_cell_sets_the_sliders(open_page: OpenPage) -> None:
    page = open_page()
    page.get_by_role("spinbutton", name="New tokens").fill("10")
    view(page, "shapes")
    for name, keep in (("Widths", {"1", "4"}), ("Lengths", {"2", "3"})):
        for box in page.get_by_role("group", name=name).get_by_role("checkbox").all():
            box.set_checked(box.get_attribute("value") in keep, force=True)
    page.click("[data-act=sweep]")
    page.wait_for_selector(".rp-shapes[data-sweep=done][data-done='12']")
    assert page.locator(".rp-heat").count() == 4 and page.locator(".rp-heat.is-best").count() <= 1
    assert page.locator(".rp-heat small").count() == 4  # least to most of three races
    assert page.locator(".rp-heat.is-below, .rp-heat.is-even, .rp-heat.is-above").count() == 4
    assert "median of 3 runs" in page.inner_text(".rp-shapes .rp-verdict")
    page.get_by_role("button", name="Tree nodes").click()
    page.click(".rp-heat[data-width='4'][data-length='3']")
    page.wait_for_function(
        "() => document.querySelector('#rp-width input[type=number]').value === '4'"
        " && document.querySelector('#rp-length input[type=number]').value === '3'"
    )


def test_the_tour_points_at_real_widgets(open_page: OpenPage) -> None:
    page = open_page()
    view(page, "learn")
    page.click("[data-act=tour]")
    stops = 0
    while page.locator(".rp-tourcard").is_visible():
        stops += 1
        page.wait_for_function(
            "() => { const box = document.querySelector('.rp-ring').getBoundingClientRect();"
            " return box.width > 40 && box.height > 14; }"
        )
        page.click("[data-act=tour-next]")
    assert 9 <= stops <= 12
    page.get_by_label("Find a word").fill("mask")
    assert 1 <= page.locator(".rp-glossary dt").count() < 6


def test_keys(open_page: OpenPage) -> None:
    page = open_page()
    before = page.get_attribute(".rp-app", "data-run")
    page.get_by_label("Prompt", exact=True).fill("By keyboard")
    page.keyboard.press("Control+Enter")
    page.wait_for_function("key => document.querySelector('.rp-app').dataset.run !== key", arg=before)
    page.wait_for_selector(".rp-app[data-state=done]")
    page.locator(".rp-live .rp-panelhead h2").first.click()
    page.keyboard.press("2")
    page.wait_for_selector(".rp-app[data-shown=steps]")
    page.keyboard.press("?")
    assert page.locator(".rp-help[aria-label=Keyboard]").is_visible()
    page.keyboard.press("Escape")
    assert page.locator(".rp-help[aria-label=Keyboard]").is_hidden()


def test_settings_live_in_the_address_but_prompts_do_not(open_page: OpenPage) -> None:
    page = open_page("#w=5&l=3&n=77&view=race")
    page.wait_for_selector(".rp-app[data-shown=race]")
    page.wait_for_function("() => document.querySelector('#rp-width input[type=number]').value === '5'")
    page.get_by_label("Prompt", exact=True).fill("my secret prompt")
    page.get_by_role("spinbutton", name="Beam length").fill("4")
    page.get_by_role("spinbutton", name="Beam length").press("Tab")
    page.wait_for_function("() => location.hash.includes('l=4')")
    assert "w=5" in page.url and "n=77" in page.url and "secret" not in page.url


def test_copy_as_command_line(open_page: OpenPage) -> None:
    page = open_page()
    page.get_by_label("Prompt", exact=True).fill("it's $HOME")
    page.get_by_role("button", name="Command line").click()
    page.click("#rp-copy")
    page.wait_for_function("() => document.querySelector('#rp-command-text textarea').value.length > 0")
    command = page.input_value("#rp-command-text textarea")
    assert command.startswith("python -m playground race 'it'\"'\"'s $HOME' --max-new-tokens 128")


def test_hostile_tokens_are_drawn_as_text(open_page: OpenPage) -> None:
    page = open_page()
    text = page.locator(".rp-textbox").text_content()
    for token in ("${1}", "<img src=x onerror=alert(1)>", "<s>", "</script>", "{{value}}", "&amp;"):
        assert token in text, f"{token} is not on the page as text"
    assert page.locator(".rp-app img, .rp-app script, .rp-app s").count() == 0
    steps = int(page.get_attribute(".rp-app", "data-steps"))
    labels: set[str] = set()
    for step in range(0, steps, 3):
        page.evaluate("step => ReDrafter.store.goTo(step)", step)
        page.wait_for_selector(f".rp-live .rp-tree[data-step='{step}']")
        labels.update(page.locator(".rp-live .rp-label").all_text_contents())
    for shown in ("⟨U+202E⟩", "⟨U+200D⟩", "⟨E2⟩", "␀", "שלום"):
        assert shown in labels, f"{shown} is in no label"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_in_our_subtree(open_page: OpenPage, scheme: str) -> None:
    from axe_playwright_python.sync_playwright import Axe

    page = open_page(color_scheme=scheme, reduced_motion="reduce")
    dark = page.evaluate("document.body.classList.contains('dark')")
    assert dark is (scheme == "dark")
    run_prompt(page, tokens=12)
    for name in VIEWS:
        view(page, name)
        found = Axe().run(page, context=".rp-app").response["violations"]
        told = [
            (item["id"], item["nodes"][0]["html"][:160], item["nodes"][0]["failureSummary"][:200]) for item in found
        ]
        assert not found, f"{name}: {told}"


def test_the_theme_button_and_a_narrow_window(open_page: OpenPage) -> None:
    page = open_page(color_scheme="light")
    page.click("[data-act=theme]")
    assert page.evaluate("document.body.classList.contains('dark')")
    page.set_viewport_size({"width": 390, "height": 800})
    for name in VIEWS:
        view(page, name)
        overflow = page.evaluate("document.documentElement.scrollWidth - innerWidth")
        assert overflow <= 1, f"{name} is {overflow} px wider than a narrow window"
