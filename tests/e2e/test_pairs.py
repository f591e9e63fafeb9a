"""Pairs: none, without a drafter, without room in memory, and replaced by another page."""

from __future__ import annotations

import re
import shlex
import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from playground.cli import parser
from playground.config import BeamShape, EngineOptions
from playground.footprint import Footprint
from playground.sources.catalogue import resolve_base
from tests.e2e.conftest import Site, run_prompt, serving, view

OpenPage = Callable[..., Any]
CPU = EngineOptions(device="cpu", dtype="float32")


def test_without_a_drafter_the_example_shows_and_says_how_to_train_one(browser: Any, tiny_base: Path) -> None:
    from playground.session import Session

    with serving(lambda *_: Session.open(str(tiny_base), None, CPU)) as url:
        page = browser.new_page(viewport={"width": 1440, "height": 1000})
        page.goto(url)
        page.wait_for_selector(".rp-pair[data-pair=ready]")
        lack = page.locator(".rp-lack")
        lack.wait_for(state="visible")
        assert "No drafter for" in lack.inner_text() and "recorded example" in lack.inner_text()
        chosen = parser().parse_args(shlex.split(lack.locator(".rp-mono").inner_text())[3:])
        assert resolve_base(chosen.base).path == tiny_base.resolve()  # the hint, pasted, finds this very folder
        assert "no drafter" in page.inner_text(".rp-pairname")
        page.click(".rp-pairdetails summary")
        assert "No drafter" in page.inner_text(".rp-cards") and str(tiny_base) in page.inner_text(".rp-cards")
        assert "pays best here" not in page.inner_text(".rp-cards"), "there is no drafter to measure a shape with"

        assert page.locator(".rp-live .rp-node").count() > 1  # the demo trace, and its views work
        view(page, "steps")
        page.wait_for_selector(".rp-beams tbody tr")
        page.click("#rp-run")
        page.wait_for_selector(".rp-notice.is-error")
        told = page.inner_text(".rp-notice")
        assert f"python -m playground train --base {tiny_base.resolve()}" in told
        assert "Name one under Models" in told and "--drafter" not in told
        assert page.get_attribute(".rp-app", "data-run").startswith("example-")
        page.close()


def test_no_room_in_memory_names_the_largest_tree_that_fits(
    open_page: OpenPage, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = open_page()
    page.get_by_label("Prompt", exact=True).fill("Hello there")
    pair = site.session.pair
    with monkeypatch.context() as patch:
        footprint = Footprint.of(pair.base)
        patch.setattr("playground.session.free_bytes", lambda _: footprint.run(BeamShape(8, 5, nodes=12), 200, 2))
        page.click("#rp-run")
        page.wait_for_selector(".rp-notice.is-error")
        told = page.inner_text(".rp-notice")
    assert "no room in memory for a tree of 64 nodes over" in told
    assert re.search(r"free\. A tree of \d+ nodes would fit", told)
    run_prompt(page, "There is room again", tokens=10)


def test_a_page_is_not_told_of_its_own_pair_as_of_anothers(
    browser: Any, tiny_base: Path, tiny_drafter: Path, tmp_path: Path
) -> None:
    """Also where an answer from before its load comes after it, as on a busy machine."""
    from playground.session import Session

    other, go_on, held = shutil.copytree(tiny_drafter, tmp_path / "other-drafter"), threading.Event(), list[Any]()

    def opener(base: str | None, drafter: str | None, options: EngineOptions, progress: Any) -> Any:
        assert not drafter or go_on.wait(60)
        return Session.open(str(tiny_base), drafter or str(tiny_drafter), CPU, progress)

    def hold_the_first_look(route: Any) -> None:
        if held or "pair_status" not in (route.request.post_data or ""):
            route.continue_()
        else:
            held.append(route)
            held.append(route.fetch())

    with serving(opener) as url:
        page = browser.new_page()
        page.goto(url)
        page.wait_for_selector(".rp-pair[data-pair=ready]")
        page.route("**/component_server/**", hold_the_first_look)
        page.evaluate("() => document.dispatchEvent(new Event('visibilitychange'))")
        while len(held) < 2:
            page.wait_for_timeout(20)
        page.get_by_role("button", name="Models").click()
        page.get_by_role("textbox", name="Drafter").fill(str(other))
        page.click("#rp-load")
        page.wait_for_selector(".rp-pair[data-pair=loading]")
        held[0].fulfill(response=held[1])
        page.wait_for_timeout(200)
        go_on.set()
        page.wait_for_function("() => document.querySelector('.rp-pairname').innerText.includes('other-drafter')")
        assert "Another page" not in page.locator(".rp-notice").all_inner_texts()[0]
        page.close()


def test_another_page_hears_of_a_new_pair_and_runs_on_it(
    browser: Any, tiny_base: Path, tiny_drafter: Path, tmp_path: Path
) -> None:
    from playground.session import Session

    other = shutil.copytree(tiny_drafter, tmp_path / "other-drafter")

    def opener(base: str | None, drafter: str | None, options: EngineOptions, progress: Any) -> Any:
        return Session.open(base or str(tiny_base), drafter or str(tiny_drafter), CPU, progress)

    with serving(opener) as url:
        first, second = browser.new_page(), browser.new_page()
        for page in (first, second):
            page.goto(url)
            page.wait_for_selector(".rp-pair[data-pair=ready]")
        first.get_by_role("button", name="Models").click()
        first.get_by_role("textbox", name="Drafter").fill(str(other))
        first.click("#rp-load")

        second.wait_for_function("() => document.querySelector('.rp-pairname').innerText.includes('other-drafter')")
        assert "Another page loaded" in second.inner_text(".rp-notice")
        assert "other-drafter" in second.text_content(".rp-cards")
        run_prompt(second, "Which pair is this?", tokens=8)
        assert second.evaluate("ReDrafter.store.run.head.drafter") == "other-drafter"

        first.wait_for_function("() => document.querySelector('.rp-pairname').innerText.includes('other-drafter')")
        assert first.locator(".rp-notice").is_hidden(), "the page that asked needs no telling"
        first.close()
        second.close()


def test_a_trace_from_a_file_goes_when_its_page_closes(browser: Any, site: Site, tmp_path: Path) -> None:
    from playground.export import write_trace
    from tests.views.synthetic import make_trace

    path = tmp_path / "mine.jsonl"
    write_trace(make_trace(new_tokens=12, seed=9), path)
    page = browser.new_page()
    page.goto(site.url)
    page.wait_for_selector(".rp-app[data-state=done]")
    view(page, "traces")
    before = page.get_attribute(".rp-app", "data-run")
    page.set_input_files("#rp-tracefile", str(path))
    page.wait_for_function("key => document.querySelector('.rp-app').dataset.run !== key", arg=before)
    key = page.get_attribute(".rp-app", "data-run")
    site.wait(lambda: site.store.owner(key) not in ("", None))
    page.close()
    site.wait(lambda: site.store.owner(key) is None)
