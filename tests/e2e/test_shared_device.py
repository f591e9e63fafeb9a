"""Several tabs and one device: a fair line, nothing shared, nothing left running; pairs that load or fail to."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from tests.e2e.conftest import BROWSER, Site, run_prompt, serving, start_run

OpenPage = Callable[..., Any]


def test_two_tabs_take_turns_and_see_only_their_own(open_page: OpenPage, site: Site) -> None:
    first, second = open_page(), open_page()
    site.session.seconds = 0.04
    key = start_run(first, "Tab one", tokens=60)
    second.get_by_label("Prompt", exact=True).fill("Tab two")
    second.get_by_role("spinbutton", name="New tokens").fill("10")
    second.click("#rp-run")
    second.wait_for_selector(".rp-waiting:not([hidden])")
    assert "1 run before yours" in second.inner_text(".rp-waiting")
    site.session.seconds = 0.01
    second.wait_for_function("() => document.querySelector('.rp-chat').innerText.includes('Tab two')")
    second.wait_for_selector(".rp-app[data-state=done]")
    first.wait_for_selector(".rp-app[data-state=done]")
    assert first.get_attribute(".rp-app", "data-run") == key
    assert "Tab one" in first.inner_text(".rp-chat") and "Tab two" not in first.inner_text(".rp-chat")
    assert second.evaluate("ReDrafter.store.runs.length") == 2  # the example and its own


def test_a_closed_tab_ends_its_run(open_page: OpenPage, site: Site) -> None:
    page, other = open_page(), open_page()
    site.session.seconds = 0.2
    site.session.closed.clear()
    start_run(page, tokens=150)
    page.close()
    assert site.session.closed.wait(10.0), "the run went on after its tab was closed"
    site.session.seconds = 0.01
    run_prompt(other, "The device is free again", tokens=10)


def test_a_pair_that_cannot_be_loaded_leaves_the_old_one(open_page: OpenPage, tmp_path: Path) -> None:
    page = open_page()
    page.get_by_role("button", name="Models").click()
    page.get_by_role("textbox", name="Base model").fill(str(tmp_path / "nowhere"))
    page.click("#rp-load")
    page.wait_for_selector(".rp-notice.is-error")
    assert "nowhere" in page.inner_text(".rp-notice")
    run_prompt(page, "The old pair still runs", tokens=10)


def test_the_page_is_there_while_the_model_loads(browser: Any, tmp_path: Path) -> None:
    from playground.config import PlaygroundError

    assert Path(BROWSER).exists()
    go = threading.Event()

    def opener(base: Any, drafter: Any, options: Any, progress: Callable[[Any], None]) -> Any:
        progress(SimpleNamespace(stage="convert", done=0.4, message="Converting the weights"))
        go.wait(60)
        raise PlaygroundError("The weights are 3 bytes long, but should be 300. Download them again.")

    begun = time.monotonic()
    with serving(opener) as url:
        page = browser.new_page()
        page.goto(url)
        page.wait_for_selector(".rp-app[data-state=done] .rp-live .rp-node")
        assert time.monotonic() - begun < 30
        page.wait_for_function("() => document.querySelector('.rp-pair').innerText.includes('40%')")
        page.click("#rp-run")
        page.wait_for_function("() => document.querySelector('.rp-notice').innerText.includes('still loading')")
        go.set()
        page.wait_for_function("() => document.querySelector('.rp-notice').innerText.includes('3 bytes long')")
        page.close()


def test_a_crash_in_a_run_is_told_and_survived(open_page: OpenPage, site: Site, monkeypatch: Any) -> None:
    page = open_page()
    page.get_by_label("Prompt", exact=True).fill("Hello there")

    def broken(request: Any, stop: Any, place: Any) -> Any:
        raise RuntimeError("the device fell over")

    with monkeypatch.context() as patch:
        patch.setattr(site.session, "run", broken)
        page.click("#rp-run")
        page.wait_for_function("() => document.querySelector('.rp-notice').innerText.includes('device fell over')")
    run_prompt(page, "And works again", tokens=10)
