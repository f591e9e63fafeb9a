"""The page as people start it: the default pair, converted into a fresh cache, and the bundled examples."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from playground.config import EngineOptions
from playground.export import read_trace
from tests.e2e.conftest import start_run, view
from tests.ports import free_port

EXAMPLES = sorted((Path(__file__).resolve().parents[2] / "assets" / "traces").glob("*.jsonl"))


@pytest.fixture(scope="module")
def page(browser: Any, own_cache: Path) -> Iterator[Any]:
    from playground.session import Session
    from playground.ui import SessionHost
    from playground.ui.serving import serve

    served = serve(SessionHost(Session.open, None, None, EngineOptions()), port=free_port(), block=False)
    page = browser.new_page(viewport={"width": 1440, "height": 1000})
    page.goto(served.url)
    yield page
    page.close()
    served.close()


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_bundled_examples_are_whole_traces(path: Path) -> None:
    trace = read_trace(path)
    assert trace.complete and trace.header.base.name == "SmolLM2-135M-Instruct" and max(s.accepted for s in trace.steps)


def test_an_example_is_there_before_the_model(page: Any) -> None:
    page.wait_for_selector(".rp-app[data-state=done][data-run=example-0] .rp-live .rp-node.is-accepted")
    view(page, "traces")
    assert page.locator("[data-example]").count() == len(EXAMPLES) >= 3
    view(page, "live")


def test_the_default_pair_does_the_main_job(page: Any) -> None:
    page.wait_for_selector(".rp-pair[data-pair=ready]", timeout=300_000)
    assert page.inner_text(".rp-pairname").startswith("SmolLM2-135M-Instruct with its drafter · ")
    assert page.evaluate("document.querySelector('.rp-pairname').getClientRects().length") == 1  # one line
    start_run(page, "Count from one to ten in words.", tokens=24)
    page.wait_for_selector(".rp-app[data-state=done]", timeout=240_000)
    assert page.locator(".rp-textbox .rp-token.is-accepted").count() > 0
    assert "tok/s" in page.inner_text("[data-figure=redrafter]") and "×" in page.inner_text("[data-figure=speedup]")
    assert page.inner_text("[data-figure=parity]")
