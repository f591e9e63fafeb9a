"""Wide trees tell their story at a glance: folded, fitted, the accepted path in view; and can be opened and moved."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.e2e.conftest import box_of, show_example, view
from tests.e2e.test_first_minute import sized, sizes

OpenPage = Callable[..., Any]
PATH_IN_VIEW = """name => {
  const tree = document.querySelector(`#rp-view-${name} .rp-tree`);
  const box = tree.getBoundingClientRect();
  const path = [...tree.querySelectorAll('.rp-node:is(.is-root, .is-accepted, .is-picked)')];
  return path.length >= 2 && path.every((node) => {
    const at = node.querySelector('.rp-pill').getBoundingClientRect();
    return at.left >= box.left - 1 && at.right <= box.right + 1 && at.top >= box.top - 1 && at.bottom <= box.bottom + 1;
  });
}"""


@pytest.mark.parametrize("example", ["Widest", "Long beams"])
@sizes
def test_a_wide_tree_folds_and_shows_its_path(open_page: OpenPage, size: tuple[int, int], example: str) -> None:
    page = sized(open_page, size)
    show_example(page, example)
    for step in ("first", "last"):
        page.click(f"[data-act={step}]")
        for name in ("live", "steps", "mask"):
            view(page, name)
            page.wait_for_function(PATH_IN_VIEW, arg=name, timeout=5000)
            tree = page.locator(f"#rp-view-{name} .rp-tree")
            shown = tree.locator(".rp-node:not(.is-fold)").count()
            pick = tree.locator(".rp-node.is-picked").count()
            folded = int(tree.get_attribute("data-folded"))
            assert shown - pick + folded == int(tree.get_attribute("data-nodes"))
            assert shown <= 48 and tree.locator(".rp-share").count() > 2
        view(page, "live")


def test_folds_open_by_click_and_by_key(open_page: OpenPage) -> None:
    page = open_page()
    show_example(page, "Widest")
    tree = page.locator(".rp-live .rp-tree")
    folded = int(tree.get_attribute("data-folded"))
    assert folded > 100 and page.locator(".rp-live .is-fold .rp-label").first.text_content().startswith("+")
    page.locator(".rp-live .rp-node.is-fold").first.click()
    page.wait_for_function(
        "was => Number(document.querySelector('.rp-live .rp-tree').dataset.folded) < was", arg=folded
    )
    page.click(".rp-live [data-act=fold]")
    page.wait_for_selector(".rp-live .rp-tree[data-folded='0']")
    assert page.locator(".rp-live .rp-node").count() > 150
    page.click(".rp-live [data-act=fold]")
    page.wait_for_function(
        "was => Number(document.querySelector('.rp-live .rp-tree').dataset.folded) >= was", arg=folded
    )


def test_the_tree_zooms_and_moves(open_page: OpenPage) -> None:
    page = open_page()
    tree = page.locator(".rp-live .rp-tree")
    fitted = tree.get_attribute("viewBox")
    scale = float(tree.get_attribute("data-scale"))
    box = box_of(page, ".rp-live .rp-tree")
    middle = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(*middle)
    page.keyboard.down("Control")
    page.mouse.wheel(0, -600)
    page.keyboard.up("Control")
    page.wait_for_function(
        "was => Number(document.querySelector('.rp-live .rp-tree').dataset.scale) > was * 1.5", arg=scale
    )
    assert page.locator(".rp-live .rp-panhint").is_visible()
    before = tree.get_attribute("viewBox")
    page.mouse.down()
    page.mouse.move(middle[0] - 120, middle[1] - 40, steps=4)
    page.mouse.up()
    assert tree.get_attribute("viewBox") != before and not page.locator(".rp-node.is-chosen").count()
    page.get_by_role("button", name="Fit the tree").first.click()
    assert tree.get_attribute("viewBox") == fitted
    page.focus(".rp-live .rp-node[tabindex='0']")
    page.keyboard.press("+")
    assert float(tree.get_attribute("data-scale")) > scale
    page.keyboard.press("0")
    assert tree.get_attribute("viewBox") == fitted


def test_many_beams_are_shown_in_part(open_page: OpenPage) -> None:
    page = open_page()
    show_example(page, "Widest")
    view(page, "steps")
    assert 8 <= page.locator(".rp-beams tbody tr").count() <= 9
    page.click("[data-act=beams]")
    assert page.locator(".rp-beams tbody tr").count() == 64
