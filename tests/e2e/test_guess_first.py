"""Guess first: the verdict stays hidden until the guess; the score stays in the browser; words explain themselves."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.e2e.conftest import view

OpenPage = Callable[..., Any]
HIDDEN = "() => document.querySelector('.rp-guess').dataset.mark === 'open'"


def guessing(open_page: OpenPage, **context: Any) -> Any:
    page = open_page(**context)
    view(page, "steps")
    page.click("[data-act=guess]")
    page.wait_for_function(HIDDEN)
    return page


def test_nothing_is_told_before_the_guess(open_page: OpenPage) -> None:
    page = guessing(open_page)
    told = page.evaluate(
        "() => { const view = document.querySelector('#rp-view-steps'); return {"
        " verdicts: [...view.querySelectorAll('.is-accepted, .is-rejected, .is-unreached, .is-picked')]"
        ".filter((part) => !part.closest('.rp-legend')).length,"
        " open: view.querySelectorAll('.rp-node.is-open').length,"
        " words: view.querySelector('.rp-verdict').textContent,"
        " names: [...view.querySelectorAll('[aria-label]')].map((part) => part.ariaLabel).join(' '),"
        " map: getComputedStyle(document.querySelector('.rp-map-box')).visibility }; }"
    )
    assert told["open"] > 1 and told["verdicts"] == 0 and told["words"] == "" and told["map"] == "hidden"
    assert "accepted" not in told["names"].lower() and "base model" not in told["names"].lower()
    page.get_by_role("button", name="Tree as a table").click()
    assert "Accepted" not in page.inner_text(".rp-tablebox") and "Not told yet" in page.inner_text(".rp-tablebox")


def test_a_guess_tells_and_counts_and_stays_in_the_browser(open_page: OpenPage) -> None:
    page = guessing(open_page)
    sent: list[str] = []
    page.on("request", lambda request: sent.append(f"{request.url} {request.post_data or ''}"))
    survives = page.evaluate("ReDrafter.store.step.path.at(-1)")
    assert survives > 0 and page.locator("[data-act=guess-node]").is_disabled()
    page.locator(f".rp-steps .rp-node[data-node='{survives}']").click()
    page.click("[data-act=guess-node]")
    page.wait_for_selector(".rp-guess[data-mark=exact]")
    page.wait_for_selector(f".rp-steps .rp-node.is-accepted[data-node='{survives}']")
    assert page.inner_text(".rp-guesswords").startswith("Right: ") and "accepted" in page.inner_text(".rp-verdict")
    assert page.inner_text(".rp-tally") == "Score: 1 of 1 exact, 0 partly"
    page.click("[data-act=guess-next]")
    page.wait_for_function(HIDDEN)
    page.click("[data-act=guess-none]")
    page.wait_for_function("() => document.querySelector('.rp-guess').dataset.mark !== 'open'")
    kept = json.loads(page.evaluate("localStorage.getItem('redrafter-guesses')"))
    assert sum(kept.values()) == 2 and kept["exact"] >= 1
    assert not any("guess" in part for part in sent)
    page.reload()
    page.wait_for_selector(".rp-app[data-state=done]")
    view(page, "steps")
    page.click("[data-act=guess]")
    assert page.inner_text(".rp-tally").startswith(f"Score: {kept['exact']} of 2 exact")
    page.click("[data-act=guess-again]")
    assert page.inner_text(".rp-tally").startswith("No guess yet")


def test_a_guess_by_keyboard(open_page: OpenPage) -> None:
    page = guessing(open_page)
    page.focus(".rp-steps .rp-node[tabindex='0']")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    page.wait_for_function("() => !document.querySelector('[data-act=guess-node]').disabled")
    page.focus("[data-act=guess-node]")
    page.keyboard.press("Enter")
    page.wait_for_function("() => document.activeElement.dataset.act === 'guess-next'")
    page.click("[data-act=guess]")
    assert page.locator(".rp-guess").is_hidden()


def test_words_explain_themselves_in_place(open_page: OpenPage) -> None:
    page = open_page()
    view(page, "steps")
    word = page.locator(".rp-steps .rp-verdict .rp-word").first
    word.focus()
    page.keyboard.press("Enter")
    page.wait_for_function("() => document.querySelector('.rp-wordtip')?.textContent.length > 20")
    box = page.evaluate(
        "() => { const { left, right, top, bottom } = document.querySelector('.rp-wordtip').getBoundingClientRect();"
        " return left >= 0 && right <= innerWidth && top >= 0 && bottom <= innerHeight; }"
    )
    assert box and word.get_attribute("aria-expanded") == "true"
    page.keyboard.press("Escape")
    assert page.locator(".rp-wordtip").is_hidden()


def test_words_explain_themselves_in_learn_and_on_the_tour(open_page: OpenPage) -> None:
    page = open_page()
    view(page, "learn")
    assert page.locator(".rp-intro .rp-word").count() >= 3 and page.locator(".rp-glossary .rp-word").count() > 20
    assert page.locator(".rp-intro p").text_content().endswith("and the page tells you where.")
    held = page.locator(".rp-glossary .rp-held").all_text_contents()
    assert held and all(text[-1] in "s.,;:)" for text in held), "what follows a word stays on its line"
    page.click("[data-act=tour]")
    word = page.locator(".rp-tourcard .rp-word").first
    word.hover()
    page.wait_for_function("() => document.querySelector('.rp-wordtip')?.checkVisibility()")
    on_top = """() => {
      const tip = document.querySelector('.rp-wordtip');
      const { left, top, width, height } = tip.getBoundingClientRect();
      tip.style.pointerEvents = 'auto';
      const found = document.elementFromPoint(left + width / 2, top + height / 2);
      tip.style.pointerEvents = '';
      return found === tip && left >= 0 && top >= 0 && left + width <= innerWidth && top + height <= innerHeight;
    }"""
    assert page.evaluate(on_top), "the meaning lies over the card"
    page.mouse.move(5, 5)
    word.focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Escape")
    assert page.locator(".rp-wordtip").is_hidden() and page.locator(".rp-tourcard").is_visible()
    page.keyboard.press("Escape")
    assert page.locator(".rp-tourcard").is_hidden()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1440, 390])
def test_axe_finds_nothing_while_guessing(open_page: OpenPage, scheme: str, width: int) -> None:
    from axe_playwright_python.sync_playwright import Axe

    page = guessing(open_page, color_scheme=scheme)
    page.set_viewport_size({"width": width, "height": 900})
    page.evaluate("dark => document.body.classList.toggle('dark', dark)", scheme == "dark")
    for act in ("guess", "guess-none"):
        if act == "guess-none":
            page.click("[data-act=guess-none]")
        page.locator(".rp-steps .rp-word").first.click()
        found = Axe().run(page, context=".rp-app").response["violations"]
        told = [f"{item['id']}: {[node['html'][:120] for node in item['nodes'][:3]]}" for item in found]
        assert not told, f"{act}: {told}"
