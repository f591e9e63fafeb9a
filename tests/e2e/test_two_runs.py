"""Two runs side by side, and a run made again by one click: what agrees, texts aligned where they part, both trees."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from playground.figures.compare import compare_runs
from playground.trace import Trace
from tests.e2e.conftest import Site, run_prompt, set_slider, show_example, view

OpenPage = Callable[..., Any]
CLAIMS = ["base model", "drafter", "prompt", "text", "picks", "trees"]


def claims(page: Any) -> dict[str, str]:
    """What each claim says: true, false or null."""
    script = "all => all.map((one) => [one.dataset.claim, one.dataset.agrees])"
    return dict(page.eval_on_selector_all(".rp-claims li", script))


def run_again(page: Any) -> None:
    """Run the trace shown again and wait until both stand side by side."""
    view(page, "traces")
    before = page.get_attribute(".rp-two", "data-pair")
    page.click(".rp-runs tr.is-current [data-act=again]")
    page.wait_for_function(
        "before => { const { pair } = document.querySelector('.rp-two').dataset; return pair && pair !== before; }",
        arg=before,
        timeout=60_000,
    )


@pytest.mark.parametrize("temperature", [0, 0.9], ids=["greedy", "sampled"])
def test_a_run_made_again_by_one_click_agrees(open_page: OpenPage, temperature: float) -> None:
    page = open_page()
    if temperature:
        page.get_by_role("button", name="Sampling").click()
        set_slider(page, "Temperature", temperature)
    run_prompt(page, tokens=20)
    first = page.get_attribute(".rp-app", "data-run")
    run_again(page)
    assert claims(page) == dict.fromkeys(CLAIMS, "true")
    assert "everything that was recorded came out the same" in page.inner_text(".rp-two .rp-verdict")
    assert "Made under the same conditions" in page.inner_text(".rp-two .rp-verdict")
    left, right = str(page.get_attribute(".rp-two", "data-pair")).split()
    assert left == first and right == page.get_attribute(".rp-app", "data-run") != left
    timed = page.locator(".rp-two tr:has-text('redrafter tokens per second')")
    assert "depends on the machine and the moment" in timed.inner_text()


def test_a_loaded_trace_is_run_again(open_page: OpenPage, tmp_path: Path) -> None:
    page = open_page()
    run_prompt(page, tokens=16)
    view(page, "traces")
    with page.expect_download() as download:
        page.click(".rp-runs tr.is-current [data-act=download]")
    download.value.save_as(tmp_path / "run.jsonl")
    other = open_page()
    view(other, "traces")
    other.set_input_files("#rp-tracefile", str(tmp_path / "run.jsonl"))
    other.wait_for_selector(".rp-runs tr.is-current .rp-origin:has-text('loaded')")
    run_again(other)
    assert claims(other) == dict.fromkeys(CLAIMS, "true")


def test_the_click_says_what_the_terminal_says(open_page: OpenPage, site: Site) -> None:
    """The same claims, from the two traces the server keeps."""
    from playground.figures.agreement import agreement

    page = open_page()
    run_prompt(page, tokens=16)
    run_again(page)
    left, right = (site.store.get(key) for key in str(page.get_attribute(".rp-two", "data-pair")).split())
    told = page.eval_on_selector_all(".rp-claims li span", "all => all.map((one) => one.textContent)")
    assert told == [claim.words for claim in agreement(left, right).claims]


def test_another_models_trace_is_refused_in_words(open_page: OpenPage) -> None:
    page = open_page()
    view(page, "traces")
    page.click(".rp-runs tr.is-current [data-act=again]")
    page.wait_for_function("() => document.querySelector('.rp-notice').innerText.includes('another model')")
    assert "Load the trace's pair under Models" in page.inner_text(".rp-notice")
    page.wait_for_function("() => document.querySelector('.rp-two').innerText.includes('was not run again')")


def test_texts_stand_aligned_where_they_part(open_page: OpenPage, site: Site) -> None:
    page = open_page()
    parted(page)
    found = two(site)
    assert found.first_difference is not None
    tops, marked, before = page.evaluate(
        """() => {
        const boxes = [...document.querySelectorAll('.rp-sidetext')];
        const marks = boxes.slice(2).map((box) => box.firstElementChild.classList.contains('is-different'));
        return [boxes.map((box) => box.getBoundingClientRect().top), marks, boxes.map((box) => box.childElementCount)];
        }"""
    )
    assert tops[0] == tops[1] and tops[2] == tops[3] and marked == [True, True]
    assert before[:2] == [found.first_difference] * 2
    assert [before[0] + before[2], before[1] + before[3]] == list(found.lengths)


def test_steps_follow_the_place_in_the_text(open_page: OpenPage, site: Site) -> None:
    page = open_page()
    parted(page)
    left, right = (site.store.get(key) for key in ("example-0", "example-5"))
    for place in (0, 7, 19, len(left.redrafter_tokens) - 1):
        page.evaluate(
            "place => { const range = document.querySelector('.rp-two input[type=range]'); range.value = place;"
            " range.dispatchEvent(new Event('input')); }",
            place,
        )
        steps = [writer(left, place), writer(right, place)]
        page.wait_for_function(
            "steps => [...document.querySelectorAll('.rp-two .rp-tree')].every((tree, at) =>"
            " Number(tree.dataset.step) === steps[at])",
            arg=steps,
        )
        assert page.inner_text(".rp-meeting").startswith(
            f"New token {place + 1}: written by step {steps[0] + 1} of the first run and step {steps[1] + 1}"
        )
    page.click(".rp-two [aria-label='Step before, of the first run']")
    page.wait_for_function(
        "before => Number(document.querySelector('.rp-two').dataset.left) === before - 1", arg=steps[0]
    )


def test_a_token_brings_both_trees(open_page: OpenPage, site: Site) -> None:
    page = open_page()
    parted(page)
    place = int(two(site).first_difference) + 9
    step = writer(site.store.get("example-5"), place)
    page.evaluate("() => document.querySelectorAll('.rp-sidetext')[3].children[9].click()")
    page.wait_for_function("step => Number(document.querySelector('.rp-two').dataset.right) === step", arg=step)
    first = int(page.get_attribute(".rp-two", "data-place"))
    assert writer(site.store.get("example-5"), first) == step and writer(site.store.get("example-5"), first - 1) < step
    assert int(page.get_attribute(".rp-two", "data-left")) == writer(site.store.get("example-0"), first)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_between_two_runs(open_page: OpenPage, scheme: str) -> None:
    from axe_playwright_python.sync_playwright import Axe

    page = open_page(color_scheme=scheme)
    page.evaluate("dark => document.body.classList.toggle('dark', dark)", scheme == "dark")
    run_prompt(page, tokens=12)
    run_again(page)
    found = Axe().run(page, context=".rp-two").response["violations"]
    assert not found, [f"{item['id']}: {[node['html'][:120] for node in item['nodes'][:3]]}" for item in found]


def parted(page: Any) -> None:
    """Two examples that do not write the same text, side by side."""
    show_example(page, "Differs")
    view(page, "traces")
    page.get_by_label("First run", exact=True).select_option("example-0")
    page.get_by_label("Second run", exact=True).select_option("example-5")
    page.wait_for_selector(".rp-two[data-pair='example-0 example-5']")


def two(site: Site) -> Any:
    return compare_runs(site.store.get("example-0"), site.store.get("example-5"))


def writer(trace: Trace, place: int) -> int:
    """The step that wrote a new token; the first token came with the prompt."""
    written = 1
    for step in trace.steps:
        written += len(step.emitted)
        if place < written:
            return step.index
    return trace.steps[-1].index


def test_names_reach_the_lists_and_a_deleted_run_ends_its_comparison(open_page: OpenPage) -> None:
    page = open_page()
    run_prompt(page, tokens=12)
    key = page.get_attribute(".rp-app", "data-run")
    view(page, "traces")
    page.click(".rp-runs tr:not(.is-current) [data-act=compare]")
    page.wait_for_selector(".rp-twobody:not([hidden])")
    page.click(f".rp-runs tr[data-key='{key}'] [data-act=rename]")
    page.get_by_label("Name of this run").fill("Mine")
    page.keyboard.press("Enter")
    page.wait_for_function(
        """() => [...document.querySelectorAll('select[aria-label="First run"] option')]
          .some(({ text, selected }) => selected && text.includes('Mine'))"""
    )
    page.click(f".rp-runs tr[data-key='{key}'] [data-act=remove]")
    page.wait_for_selector(".rp-twobody", state="hidden")
    assert "Make or open a second run" in page.inner_text(".rp-two .rp-verdict")
