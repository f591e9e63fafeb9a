"""A step in motion: its phases, its end, its play through a run; none of it where motion is not wanted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.e2e.conftest import Site, start_run

OpenPage = Callable[..., Any]
LEFT_BEHIND = ".rp-ghosts, .rp-sweep, .rp-flyer, .is-pending, .is-unseen, .is-coming"

PICTURE = """() => [...document.querySelectorAll('.rp-live .rp-tree g[class], .rp-live .rp-tree path')].map((part) =>
  [[...part.classList].sort().join(' '), part.getAttribute('transform'), getComputedStyle(part).opacity].join(' | '))"""


def seek(page: Any, moment: int) -> None:
    page.locator("[aria-label='Moment within the step']").fill(str(moment))


def test_a_step_passes_its_phases_and_leaves_nothing_behind(open_page: OpenPage) -> None:
    page = open_page()
    still = page.evaluate(PICTURE)
    accepted = page.locator(".rp-live .rp-node.is-accepted").count()
    for moment, phase in ((100, "draft"), (400, "merge"), (580, "verify"), (750, "accept"), (930, "commit")):
        seek(page, moment)
        assert page.get_attribute(".rp-live .rp-tree", "data-phase") == phase == page.inner_text(".rp-phase")
    assert page.locator(".rp-flyer").count() == accepted + 1
    seek(page, 300)
    assert page.locator(".rp-ghosts .rp-node").count() > 0
    assert page.locator(".rp-nodes .rp-node.is-accepted:not(.is-pending)").count() == 0, "the verdict is not in yet"
    seek(page, 1000)
    assert page.locator(LEFT_BEHIND).count() == 0
    assert page.evaluate(PICTURE) == still
    page.click("[data-act=film]")
    page.wait_for_selector(".rp-live .rp-tree[data-phase=merge]")
    page.click("[data-act=next]")
    page.wait_for_function("left => !document.querySelector(left)", arg=LEFT_BEHIND)


def test_play_films_every_step_and_the_text_grows(open_page: OpenPage) -> None:
    page = open_page()
    whole = page.locator(".rp-textbox .rp-token").count()
    page.click("[data-act=first]")
    page.get_by_label("Speed of play").select_option("8")
    page.click("[data-act=play]")
    page.wait_for_selector(".rp-app[data-step='2'] .rp-live .rp-tree[data-phase]")
    shown = page.locator(".rp-textbox .rp-token").count()
    assert 3 <= shown < whole
    page.click("[data-act=play]")
    page.wait_for_function("whole => document.querySelectorAll('.rp-textbox .rp-token').length === whole", arg=whole)
    assert page.locator(LEFT_BEHIND).count() == 0


def test_no_motion_where_it_is_not_wanted(open_page: OpenPage) -> None:
    page = open_page(reduced_motion="reduce")
    assert page.locator(".rp-film").is_hidden()
    page.click("[data-act=first]")
    page.get_by_label("Speed of play").select_option("8")
    page.click("[data-act=play]")
    page.wait_for_selector(".rp-live .rp-tree[data-step='2']")
    assert page.locator(LEFT_BEHIND).count() == 0


def test_no_motion_while_the_engine_works(open_page: OpenPage, site: Site) -> None:
    page = open_page()
    site.session.seconds = 0.05
    start_run(page)
    assert page.locator(".rp-film").is_hidden()
    site.session.seconds = 0.0
    page.wait_for_selector(".rp-app[data-state=done] .rp-film:not([hidden])")
