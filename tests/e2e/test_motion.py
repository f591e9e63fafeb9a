"""A step in motion: its phases, its end, its play through a run; none of it where motion is not wanted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.e2e.conftest import Site, show_example, start_run

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
    page.click("[data-act=play]")
    page.wait_for_selector(".rp-app[data-step='2'] .rp-live .rp-tree[data-phase]")
    shown = page.locator(".rp-textbox .rp-token").count()
    assert 3 <= shown < whole
    page.click("[data-act=play]")
    page.wait_for_function("whole => document.querySelectorAll('.rp-textbox .rp-token').length === whole", arg=whole)
    assert page.locator(LEFT_BEHIND).count() == 0


def test_at_full_speed_motion_becomes_the_live_view(open_page: OpenPage) -> None:
    """Whole pictures at the pace of the run's own clock, as often as while a run is written; the text grows along."""
    page = open_page()
    show_example(page, "Long beams")
    speed = page.get_by_label("Speed of play")
    page.click("[data-act=first]")
    page.click("[data-act=play]")
    page.wait_for_selector(".rp-app:is([data-step='0'], [data-step='1']) .rp-live .rp-tree[data-phase]")
    clock = page.evaluate("ReDrafter.store.run.replay.redrafter.at(-1)[0]")
    page.evaluate(
        """() => {
          const app = document.querySelector('.rp-app');
          window.seen = [];
          new MutationObserver(() => seen.push({
            step: Number(app.dataset.step), at: performance.now(),
            moves: Boolean(document.querySelector('[data-phase]')),
            tokens: document.querySelectorAll('.rp-textbox .rp-token').length,
          })).observe(app, { attributes: true, attributeFilter: ['data-drawn'] });
        }"""
    )
    speed.select_option(label="live")
    page.wait_for_selector(".rp-app .rp-film[hidden]", state="attached")
    page.wait_for_selector("[data-act=play][aria-label=Play]")
    steps = int(page.get_attribute(".rp-app", "data-steps"))
    assert int(page.get_attribute(".rp-app", "data-step")) == steps - 1
    page.wait_for_selector(".rp-film:not([hidden])")
    seen = page.evaluate("seen")
    whole = [item for item in seen if not item["moves"]]
    assert len({item["step"] for item in whole}) >= 4, "steps are seen on the way"
    assert [item["step"] for item in whole] == sorted(item["step"] for item in whole)
    assert whole[0]["tokens"] < whole[-1]["tokens"]
    assert whole[-1]["at"] - whole[0]["at"] >= 0.5 * clock, "not faster than the engine was"
    assert page.locator(LEFT_BEHIND).count() == 0


def test_at_full_speed_a_run_that_is_written_is_followed(open_page: OpenPage, site: Site) -> None:
    page = open_page()
    site.session.seconds = 0.05
    page.get_by_label("Speed of play").select_option(label="live")
    start_run(page, tokens=120)
    page.click("[data-act=first]")
    page.wait_for_selector(".rp-app[data-state=running][data-step='0']")
    page.click("[data-act=play]")
    page.wait_for_function(
        "() => { const { state, step, steps } = document.querySelector('.rp-app').dataset;"
        " return state === 'running' && Number(step) === Number(steps) - 1; }"
    )
    site.session.seconds = 0.0


def test_no_motion_where_it_is_not_wanted(open_page: OpenPage) -> None:
    page = open_page(reduced_motion="reduce")
    assert page.locator(".rp-film").is_hidden()
    page.click("[data-act=first]")
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
