"""Texts to be asked about: composed ones and those out of a corpus; the tables they and all requests are made of."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest

from playground.config import PlaygroundError
from playground.distill.corpus.corpus import Corpus
from playground.distill.corpus.manner import in_person, mistyped, spoiled
from playground.distill.corpus.own_passages import FEWEST_PASSAGES, first_words, passages_of
from playground.distill.corpus.passages import Passage, about, compose_passage, word_bounds
from playground.distill.corpus.requests import compose_follow_up, compose_request
from playground.distill.corpus.slots import SLOT, Filler, lower_first, table, word_lists

TABLES = ("words", "facts", "requests", "passages", "tasks", "snippets", "follow_ups", "manner")
PUT_IN = {"this", "doc", "doc_u", "ask", "ask_l", "task", "passage", "clang", "fence", "r", "r_l", "q"}


def filler(seed: object) -> Filler:
    return Filler(Random(str(seed)))


def strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from strings(inner)


@pytest.mark.parametrize("name", TABLES)
def test_every_slot_can_be_filled(name: str) -> None:
    for text in strings(table(name)):
        for slot in SLOT.finditer(text):
            base, digit, change, low, high = slot.groups()
            if low is not None:
                assert int(low) <= int(high), text
            else:
                known = base in word_lists() or base in {"y", "first"}
                assert known or base + digit + (change or "") in PUT_IN, (slot[0], text)


def test_no_slot_is_left_open() -> None:
    left = re.compile(r"\{\w+(:\d+-\d+)?\}")
    for i in range(1500):
        one = filler(i)
        asked = compose_request(one)
        said = (asked.text, compose_follow_up(asked.kind, one), about(compose_passage(filler(-i), 200), filler(-i)))
        assert not [text for text in said if left.search(text)]


def test_a_remembered_slot_means_the_same_and_lists_do_not_repeat() -> None:
    one = filler(1)
    assert one.fill("{city1} {n1:1-900} {name}") == one.fill("{city1} {n1:1-900} {name}")
    days = one.fill("{day} " * 7).split()
    assert len(set(days)) >= 6
    text = one.fill("{topic1}|{topic1_u}|{topic1_l}").split("|")
    assert text[1] == text[0][0].upper() + text[0][1:] and text[2] == lower_first(text[0])


def test_what_begins_with_a_small_letter() -> None:
    assert [lower_first(text) for text in ("Why", "I am", "I'd", "DNA is", "A cat")] == [
        *("why", "I am", "I'd", "DNA is", "a cat")
    ]


@pytest.mark.parametrize("most", [60, 150, 300])
def test_passages_are_as_long_as_they_should_be(most: int) -> None:
    low, high = word_bounds()
    found = [compose_passage(filler(f"{most}/{i}"), most).text for i in range(800)]
    lengths = [len(text.split()) for text in found]
    assert min(lengths) >= low and max(lengths) <= high
    assert np.mean([length <= most for length in lengths]) > 0.9
    assert len(set(found)) == len(found)


def test_every_genre_is_written() -> None:
    called = {compose_passage(filler(i), 200).called for i in range(1200)}
    assert called == {tuple(genre["called"]) for genre in table("passages")["genres"]}


def test_genres_are_well_formed() -> None:
    for genre in table("passages")["genres"]:
        assert len(genre["ask"]) >= 3 and len(genre["called"]) >= 2
        for part in genre["parts"]:
            ((when, say),) = part.items()
            assert when in {"always", "maybe", "repeat"}
            assert len(say) >= (2 if when != "repeat" else 1), genre["name"]


def test_a_passage_is_given_whole_before_or_after_the_task() -> None:
    passage = Passage("The ferry was late. Nobody minded.", ("report",), ("Who minded?",))
    first, last, corrected = 0, 0, 0
    for i in range(400):
        text = about(passage, filler(i))
        where = text.find(passage.text)
        corrected += where < 0
        first += 0 <= where < 12
        last += where > 12
    assert first > 100 and last > 100 and 5 < corrected < 80


def test_tables_are_not_asked_for_their_mood() -> None:
    passage = Passage("name,age\nAda,36\nAlan,41", ("table",), ("Who is older?",), tuple(table("tasks")["data"]))
    said = " ".join(about(passage, filler(i)) for i in range(300))
    assert "mood" not in said and "Continue" not in said and "Who is older?" in said


def test_composed_from_the_seed_alone() -> None:
    def said(seed: int) -> str:
        one = filler(seed)
        return about(compose_passage(one, 150), one)

    assert said(3) == said(3) and said(3) != said(4)


def test_people_put_it_differently() -> None:
    said = [in_person("Explain black holes.", "explain", filler(i)) for i in range(400)]
    assert len(set(said)) > 40
    assert sum(text == "Explain black holes." for text in said) > 120
    assert any(text.startswith(("Can you explain", "Could you explain")) and text.endswith("?") for text in said)
    assert any(text == "explain black holes" or text == "explain black holes." for text in said)
    assert all(get_close_matches("black", text.lower().split(), cutoff=0.8) for text in said)


def test_mistakes_are_made_and_few() -> None:
    text = "The children have seen their teacher, but there was nobody else in the classroom that morning. " * 4
    words = text.split()
    for i in range(50):
        wrong = spoiled(text, Random(i)).split()
        different = sum(a != b for a, b in zip(words, wrong, strict=True))
        assert 1 <= different <= len(words) // 8
    assert {mistyped("winter", Random(i)) for i in range(60)} >= {"witner", "wnter", "winnter"}
    assert spoiled("Oh no", Random(0)) == "Oh no"


@dataclass(frozen=True)
class Letters:
    """A tokenizer whose tokens are characters."""

    end: int = 0

    def ids(self, text: str) -> list[int]:
        return [ord(letter) for letter in text] + [self.end]

    def text(self, ids: Any) -> str:
        return "".join(chr(token) for token in ids if token != self.end)


def corpus_of(answers: list[str]) -> Corpus:
    """One row for each answer, behind a user's turn."""
    rows = [[7, 7, 7, *Letters().ids(answer)] for answer in answers]
    spoken = [[False] * 3 + [True] * (len(row) - 3) for row in rows]
    starts = np.cumsum([0, *map(len, rows)])
    ids = np.array([token for row in rows for token in row], np.int32)
    flags = np.array([flag for row in spoken for flag in row])
    number = np.repeat(np.arange(len(rows), dtype=np.int32), [len(row) for row in rows])
    return Corpus(ids, flags, flags, number, starts, {}, "hash")


def story(number: int) -> str:
    """Thirty sentences of four words, the first with the number; no loops, since no eight letters come twice."""
    draw = Random(number)
    words = ["".join(draw.sample("abcdefghijklmnopqrstuvwxyz", 8)) for _ in range(120)]
    words[0] += f"-{number}"
    return " ".join(" ".join(words[i : i + 4]).capitalize() + "." for i in range(0, 120, 4))


def test_passages_out_of_a_corpus(tmp_path: Path) -> None:
    answers = [story(i) for i in range(FEWEST_PASSAGES)]
    found = passages_of(corpus_of(answers), Letters().text, tmp_path)
    low, high = word_bounds()
    assert len(found) >= FEWEST_PASSAGES == len(answers)
    assert all(low <= len(text.split()) <= high and text.endswith(".") for text in found)
    assert all(any(text in answer for answer in answers) for text in found)
    assert found == passages_of(corpus_of(answers), Letters().text, tmp_path)


def test_neither_code_nor_loops_nor_phrases(tmp_path: Path) -> None:
    good = [story(i) for i in range(FEWEST_PASSAGES)]
    loop = story(9000) + " Round and round it goes." * 40
    code = story(9001) + " ```print(1)``` Done."
    cut = story(9002) + " This sentence is not finished beca"
    polite = "Sure, I can help with that. " + story(9003)
    text = "\n".join(passages_of(corpus_of([*good, loop, code, cut, polite]), Letters().text, tmp_path))
    assert "9000" in text and "round it goes. Round and" not in text
    assert "9001" not in text and "9002" in text and "not finished" not in text
    assert "9003" in text and "Sure, I can" not in text


def test_too_few_passages_are_counted(tmp_path: Path) -> None:
    with pytest.raises(PlaygroundError, match=r"holds [12] passages of whole sentences, but 500 are needed"):
        passages_of(corpus_of(["short. " * 3, story(1)]), Letters().text, tmp_path)


def test_first_words_end_with_a_sentence() -> None:
    text = "One two three. Four five.\n1. Six seven. Eight."
    assert first_words(text, 4) == "One two three."
    assert first_words(text, 5) == "One two three. Four five."
    assert first_words(text, 8) == "One two three. Four five.\n1. Six seven."
    assert first_words(text, 2) == ""
