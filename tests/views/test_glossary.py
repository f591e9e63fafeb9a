"""The glossary: every word once, and the tour's words are ones that it explains."""

from __future__ import annotations

import re

from playground.views.glossary import GLOSSARY
from playground.views.tour import TOUR


def bare(word: str) -> str:
    return re.sub(r"\s*\(.*\)$", "", word).lower()


def test_every_word_stands_once() -> None:
    words = [bare(term.word) for term in GLOSSARY]
    assert len(words) == len(set(words))


def test_most_stops_of_the_tour_use_words_of_the_glossary() -> None:
    words = re.compile("|".join(rf"\b{re.escape(bare(term.word))}s?\b" for term in GLOSSARY), re.IGNORECASE)
    assert sum(bool(words.search(stop.words)) for stop in TOUR) >= len(TOUR) - 2


def test_the_tour_explains_what_the_tree_is_made_of() -> None:
    told = " ".join(stop.words for stop in TOUR)
    for word in ("best-first tree", "copy tail", "node budget"):
        assert word in told
