"""Texts that are given with a request: notices, e-mails, minutes, recipes, reports, tables, all of invented facts.

A genre is a list of parts: those that are always said, those that may be, and lines that are repeated. Names, dates
and numbers come from word lists, and what a genre is asked hangs on them. Knows nothing of models.
"""

from __future__ import annotations

import itertools
import random
import re
from dataclasses import dataclass

from playground.distill.corpus.manner import in_person, spoiled
from playground.distill.corpus.slots import Filler, lower_first, table

_FEWEST_LINES, _MOST_LINES = 3, 16  # of a repeated part
_LAST_SENTENCE = 20  # words it may have beyond what was wanted
_ENDS = '.!?"'
_NUMBERED = re.compile(r"\s*\d+\.")
_GENERAL_QUESTIONS = 0.15  # share of the questions that suit any text


@dataclass(frozen=True)
class Passage:
    """A text to be asked about."""

    text: str
    called: tuple[str, ...]  # what kind of text it may be called
    ask: tuple[str, ...]  # templates of questions that suit it
    tasks: tuple[str, ...] | None = None  # what may be asked for; None: anything


def word_bounds() -> tuple[int, int]:
    """The fewest and the most words of a passage."""
    low, high = table("passages")["words"]
    return int(low), int(high)


def compose_passage(filler: Filler, most_words: int) -> Passage:
    """A passage of any genre, shorter than `most_words` wherever the genre allows it."""
    low, high = word_bounds()
    genre = filler.draw.choice(table("passages")["genres"])
    wanted = filler.draw.randint(low, max(low, min(high, most_words) - _LAST_SENTENCE))
    parts = genre["parts"]
    said = {i: filler.one_of(part["always"]) for i, part in enumerate(parts) if "always" in part}
    _repeat(parts, said, wanted, filler)
    _add(parts, said, wanted, filler)
    lines = [said[i] for i in sorted(said)]
    tasks = tuple(table("tasks")["data"]) if genre.get("data") else None
    return Passage(_joined(lines).strip(), tuple(genre["called"]), tuple(genre["ask"]), tasks)


def _repeat(parts: list[dict[str, list[str]]], said: dict[int, str], wanted: int, filler: Filler) -> None:
    """Lines of the repeated parts, one of each in turn, until there are words enough."""
    repeated = [i for i, part in enumerate(parts) if "repeat" in part]
    for turn in range(_MOST_LINES if repeated else 0):
        for i in repeated:
            said[i] = said.get(i, "") + filler.one_of(parts[i]["repeat"])
        if turn + 1 >= _FEWEST_LINES and _words(said) >= wanted:
            return


def _add(parts: list[dict[str, list[str]]], said: dict[int, str], wanted: int, filler: Filler) -> None:
    """Parts that may be said, in any order, then a second sentence of each, until there are words enough."""
    optional = [i for i, part in enumerate(parts) if "maybe" in part]
    chosen: dict[int, str] = {}
    for turn in range(2):
        for i in filler.draw.sample(optional, len(optional)):
            if _words(said) >= wanted:
                return
            left = [sentence for sentence in parts[i]["maybe"] if sentence != chosen.get(i)]
            template = filler.draw.choice(left)
            if turn == 0:
                chosen[i], said[i] = template, filler.fill(template)
            elif not _NUMBERED.match(template):
                said[i] = _joined([said[i], filler.fill(template)])


def _words(said: dict[int, str]) -> int:
    return sum(len(text.split()) for text in said.values())


def _joined(lines: list[str]) -> str:
    """One text; headings and salutations stand on a line of their own."""
    text = ""
    for line in lines:
        text += line if line.startswith("\n") or not text else f"{_gap(text)}{line}"
    return text


def _gap(text: str) -> str:
    return " " if text[-1] in _ENDS else "\n"


def about(passage: Passage, filler: Filler) -> str:
    """A request that gives the passage and asks for something: before it or after it, with marks around it or not."""
    tasks, draw = table("tasks"), filler.draw
    names = passage.tasks or tuple(tasks["tasks"])
    name = draw.choices(names, [tasks["tasks"][name]["weight"] for name in names])[0]
    where = draw.choice(("before", "after"))
    called = draw.choice(passage.called)
    this = _put(draw.choice(tasks[f"these_{where}"]), {"doc": called})
    wording = _put(draw.choice(tasks["tasks"][name]["say"]), {"this": this})
    wording = in_person(filler.fill(_asked(wording, passage, draw)), "passage", filler)
    text = spoiled(passage.text, draw) if name == "correct" else passage.text
    doc = called[0].upper() + called[1:]
    return _put(draw.choice(tasks[where]), {"task": wording, "passage": text, "doc": called, "doc_u": doc})


def _asked(wording: str, passage: Passage, draw: random.Random) -> str:
    """The wording with a question of its own for each {ask}."""
    general = not passage.ask or draw.random() < _GENERAL_QUESTIONS
    questions = tuple(table("tasks")["ask"]) if general else passage.ask
    order = itertools.cycle(draw.sample(questions, len(questions)))
    return re.sub(r"\{ask(_l)?\}", lambda slot: lower_first(next(order)) if slot[1] else next(order), wording)


def _put(template: str, words: dict[str, str]) -> str:
    """The template with these words in their places; other braces stay as they are."""
    return re.sub(r"\{(\w+)\}", lambda slot: words.get(slot[1], slot[0]), template)
