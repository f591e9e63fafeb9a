"""The exported HTML file in a real Chromium, from file:// and with the network blocked: it scrubs and shows its run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from playground.export import export, read_trace
from playground.trace import Trace
from playground.views.step import step_info
from playground.views.text import RunText
from tests.views.synthetic import make_trace

EXAMPLES = sorted((Path(__file__).resolve().parents[2] / "assets" / "traces").glob("*.jsonl"))
LIMIT = 600_000  # bytes of a file beside its trace

OpenFile = Callable[[Trace], Any]


@pytest.fixture
def open_file(browser: Any, tmp_path: Path) -> Iterator[OpenFile]:
    """Opens a run's file without a network; at the end it must have asked for nothing and complained of nothing."""
    said: list[str] = []
    contexts = []

    def open_one(trace: Trace) -> Any:
        path = tmp_path / "run.html"
        path.write_bytes(export(trace, "html"))
        context = browser.new_context(viewport={"width": 1300, "height": 1000}, offline=True)
        contexts.append(context)
        page = context.new_page()
        page.on("request", lambda request: request.url.startswith(("file:", "blob:")) or said.append(request.url))
        page.on("console", lambda message: message.type == "error" and said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.goto(path.as_uri())
        page.wait_for_selector(".rp-app[data-state=done]")
        return page

    yield open_one
    for context in contexts:
        context.close()
    assert not said


def test_it_shows_the_traces_text_counts_and_trees(open_file: OpenFile) -> None:
    trace = make_trace(new_tokens=40, seed=4)
    page = open_file(trace)
    assert page.get_attribute(".rp-app", "data-steps") == str(len(trace.steps))
    text = RunText().catch_up(trace).redrafter.text
    assert page.locator(".rp-textbox").text_content() == text and "<img src=x" in text
    assert page.locator("img, .rp-app script, .rp-app s").count() == 0
    page.keyboard.press("Home")
    for step in trace.steps[:4]:
        page.wait_for_selector(f".rp-live .rp-tree[data-step='{step.index}']")
        assert page.get_attribute(".rp-live .rp-tree", "data-nodes") == str(step.tree.nodes)
        assert page.inner_text(".rp-live .rp-verdict") == step_info(step).verdict
        page.keyboard.press("ArrowRight")
    rate = trace.footer.summary.redrafter_tokens_per_second if trace.footer else 0.0
    assert f"{rate:.1f}" in page.inner_text("[data-figure=redrafter]")


def test_its_numbers_say_where_they_come_from(open_file: OpenFile) -> None:
    trace = make_trace(new_tokens=40, seed=4)
    page = open_file(trace)
    page.hover("[data-figure=perstep]")
    page.wait_for_selector(".rp-source:visible")
    steps = trace.steps
    words = f"emitted / steps = {sum(len(step.emitted) for step in steps)} / {len(steps)}"
    assert page.inner_text(".rp-source") == f"Computed from the trace: {words}"


def test_a_light_trace_draws_without_its_beams(open_file: OpenFile) -> None:
    from playground.trace import in_detail

    page = open_file(in_detail(make_trace(new_tokens=40, seed=4), "light"))
    page.click("[data-view=steps]")
    page.wait_for_selector(".rp-steps .rp-tree[data-nodes]")
    assert page.inner_text(".rp-beamsbox") == "This step's record holds no beams."
    assert "were not recorded" in page.inner_text(".rp-saving")


def test_it_scrubs_and_every_view_draws(open_file: OpenFile) -> None:
    trace = read_trace(EXAMPLES[0])
    page = open_file(trace)
    page.locator("[aria-label=Step]").fill("7")
    page.wait_for_selector(".rp-tree[data-step='7']")
    page.click("[data-view=steps]")
    assert page.locator(".rp-beams tbody tr").count() == trace.header.settings.beam_width
    page.click("[data-view=mask]")
    assert page.get_attribute(".rp-maskcanvas", "data-nodes") == str(trace.steps[7].tree.nodes)
    page.click("[data-view=race]")
    assert page.get_attribute("[data-lane=plain]", "data-tokens") == str(len(trace.plain))
    page.locator("[aria-label='Time of the replay']").fill("300")
    assert int(page.get_attribute("[data-lane=plain]", "data-tokens")) < len(trace.plain)
    page.click("[data-act=theme]")
    assert page.locator("body.dark").count() == 1


def test_it_gives_its_trace_back(open_file: OpenFile, tmp_path: Path) -> None:
    trace = make_trace(new_tokens=20, seed=2)
    page = open_file(trace)
    with page.expect_download() as download:
        page.click("[data-act=save-trace]")
    download.value.save_as(tmp_path / "back.jsonl")
    assert read_trace(tmp_path / "back.jsonl") == trace


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_it_is_small(path: Path) -> None:
    assert len(export(read_trace(path), "html")) < LIMIT + path.stat().st_size


def test_the_text_stands_there_for_readers_without_scripts() -> None:
    text = export(make_trace(new_tokens=40, seed=4), "html").decode()
    shown = text.split("<pre>")[1].split("</pre>")[0]
    assert "&lt;img src=x onerror=alert(1)&gt;" in shown and "<" not in shown
    assert "<script>alert" not in text and text.count("</script>") == 3
