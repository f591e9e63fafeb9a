"""Passages out of a corpus: whole sentences of answers a model wrote earlier, neither loops nor code.

Knows rows of tokens and a way to read them as text; nothing of the model that wrote them.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from playground.config import PlaygroundError
from playground.distill.corpus.corpus import Corpus
from playground.distill.corpus.passages import word_bounds

FEWEST_PASSAGES = 500
"""A passage is not given again before all others were, so none comes twice within so many rows."""

_SENTENCE_END = re.compile(  # not behind the number of a list's line
    r"(?<!\n\d\.)(?<!\n\d\d\.)(?<!^\d\.)(?:(?<=[.!?])|(?<=[.!?][\"')]))(?=\s+[A-Z0-9\"'*-])"
)
_OPENING_PHRASE = re.compile(r"(Sure|Certainly|Of course|Here (is|are)|Here's|I'm|I am|As an AI|Yes|No|Thank|That's)\b")


def passages_of(corpus: Corpus, text_of: Callable[[Sequence[int]], str], where: Path) -> tuple[str, ...]:
    """The passages of all answers, each text once, in the corpus's order.

    Args:
        text_of: reads token ids as text, without control tokens.
        where: the corpus's place, for errors.

    Raises:
        PlaygroundError: there are too few.
    """
    found: dict[str, None] = {}
    for start, stop in _answers(corpus):
        for passage in _passages(text_of(corpus.ids[start:stop].tolist()), random.Random(start)):
            found.setdefault(passage)
    if len(found) < FEWEST_PASSAGES:
        raise PlaygroundError(
            f"The corpus at {where} holds {len(found)} passages of whole sentences, but {FEWEST_PASSAGES} are needed. "
            f"Write more rows there with `distill`, or leave out --passages."
        )
    return tuple(found)


def _answers(corpus: Corpus) -> Iterator[tuple[int, int]]:
    """From where each answer goes to its end, or to where it begins to loop, in tokens."""
    looped = corpus.looped()
    spoken = np.concatenate(([False], corpus.assistant, [False]))
    edges = np.flatnonzero(spoken[1:] != spoken[:-1])  # begin, end, begin, end, ...
    for start, stop in edges.reshape(-1, 2):
        cuts = corpus.starts[(corpus.starts > start) & (corpus.starts < stop)]  # a row may end within an answer
        for a, b in zip((start, *cuts), (*cuts, stop), strict=True):
            loops = np.flatnonzero(looped[a:b])
            yield int(a), int(a + loops[0]) if len(loops) else int(b)


def _passages(answer: str, draw: random.Random) -> Iterator[str]:
    """The answer's sentences, some at a time, one after the other."""
    if "```" in answer or "\N{REPLACEMENT CHARACTER}" in answer:
        return
    sentences = _sentences(answer.strip())
    if not sentences[-1].endswith((".", "!", "?")):  # cut off
        sentences = sentences[:-1]
    if sentences and _OPENING_PHRASE.match(sentences[0]):
        sentences = sentences[1:]
    low, high = word_bounds()
    while sentences:
        text = _first(sentences, draw.randint(low, high))
        if len(text.split()) >= low:
            yield text
        sentences = sentences[max(1, len(_sentences(text)) if text else 1) :]


def _sentences(text: str) -> list[str]:
    """The text cut behind its sentences, the white space before each sentence kept."""
    return _SENTENCE_END.split(text)


def _first(sentences: list[str], most: int) -> str:
    kept, words = "", 0
    for sentence in sentences:
        words += len(sentence.split())
        if words > most:
            break
        kept += sentence
    return kept.strip()


def first_words(text: str, most: int) -> str:
    """The text's first sentences, of no more words than this together; none where the first one is longer."""
    return _first(_sentences(text), most)
