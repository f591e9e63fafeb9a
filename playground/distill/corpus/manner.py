"""How people say what they ask: politely or not, with a hint how long the answer should be, in haste, with typos.

Knows requests and texts as strings; nothing of what they ask.
"""

from __future__ import annotations

import random
import re

from playground.distill.corpus.slots import Filler, lower_first, table

_HINT, _STEPS, _WRAP, _BEFORE, _AFTER = 0.15, 0.25, 0.2, 0.1, 0.07  # shares of the requests
_SMALL, _OPEN_ENDED, _TYPOS = 0.07, 0.06, 0.04
_MISTAKES = 0.06  # of the words of a text that is to be corrected
_LONG_WORD = re.compile(r"\b[a-z]{5,}\b")
_CONFUSED = {"its": "it's", "it's": "its", "their": "there", "there": "their", "than": "then", "too": "to", "a": "an"}
_CONFUSED |= {"is": "are", "are": "is", "has": "have", "have": "has", "was": "were", "were": "was", "an": "a"}


def in_person(request: str, kind: str, filler: Filler) -> str:
    """The request as one of many people would put it."""
    manner, draw = table("manner"), filler.draw
    if kind in manner["hinted"] and draw.random() < _HINT:
        request = f"{request} {filler.one_of(manner['hints'])}"
    elif kind in manner["stepped"] and draw.random() < _STEPS:
        request = f"{request} {filler.one_of(manner['steps'])}"
    elif _is_one_order(request) and draw.random() < _WRAP:
        wrap: str = draw.choice(manner["wrap"])
        small = lower_first(request)
        return _in_haste(wrap.format(r=request, r_l=small, q=small.removesuffix(".")), draw)
    elif draw.random() < _BEFORE:
        request = _after(filler.one_of(manner["before"]), request)
    elif draw.random() < _AFTER:
        request = f"{request} {filler.one_of(manner['after'])}"
    return _in_haste(request, draw)


def _is_one_order(request: str) -> bool:
    """A single sentence such as 'Explain ...'."""
    single = request.endswith(".") and not re.search(r"[.?!:] |\n", request)
    return single and request.split(" ", 1)[0] in table("manner")["imperatives"]


def _after(greeting: str, request: str) -> str:
    manner, first = table("manner"), request.split(" ", 1)[0]
    small = greeting[-1] not in ".!" and (first in manner["imperatives"] or first in manner["openers"])
    return f"{greeting} {lower_first(request) if small else request}"


def _in_haste(request: str, draw: random.Random) -> str:
    """Now and then without capitals, without the last dot, or with a typo."""
    if "\n" in request or '"' in request:
        return request
    if draw.random() < _SMALL:
        request = request.lower()
    if draw.random() < _OPEN_ENDED:
        request = request.rstrip(".")
    if draw.random() < _TYPOS:
        request = _LONG_WORD.sub(lambda word: mistyped(word[0], draw), request, count=draw.randint(1, 2))
    return request


def mistyped(word: str, draw: random.Random) -> str:
    """The word with two letters swapped, or one lost or doubled; its first letter stays."""
    place = draw.randint(1, len(word) - 2)
    before, after = word[:place], word[place:]
    return draw.choice((before + after[1] + after[0] + after[2:], before + after[1:], before + after[0] + after))


def spoiled(text: str, draw: random.Random) -> str:
    """The text with mistakes in it, at least one: typos and words that are often confused."""
    words = re.split(r"(\s+)", text)
    places = [i for i, word in enumerate(words) if word in _CONFUSED or _LONG_WORD.fullmatch(word)]
    draw.shuffle(places)
    for place in places[: max(1, int(len(words) / 2 * _MISTAKES))]:
        word = words[place]
        words[place] = _CONFUSED[word] if word in _CONFUSED else mistyped(word, draw)
    return "".join(words)
