"""What the composed requests share with prompt sets, word for word: `python -m benchmarks.overlap FILE...`.

A corpus opened by sentences of a benchmark would teach the test. Each FILE of JSON lines (all turns of every question)
is compared with the word tables behind the composed requests, with the user's turns of --rows composed rows, and with
the other files: a run of six words in a row that two of them share is printed. Exits with 1 when there is one.

With --passages the texts that `distill --passages` takes out of a corpus are looked at too; --base names the model
whose tokens it holds.
"""

from __future__ import annotations

import argparse
import itertools
import json
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from playground.bench.prompts import read_questions
from playground.distill.corpus.corpus import load_corpus
from playground.distill.corpus.openings import Openings
from playground.distill.corpus.own_passages import passages_of
from playground.distill.corpus.slots import SLOT
from playground.sources.catalogue import resolve_base
from playground.sources.tokenizer import Tokenizer

RUN = 6
"""Words in a row that count as taken over."""

TABLES = Path(__file__).resolve().parents[1] / "playground" / "distill" / "corpus" / "tables"
_WORD = re.compile(r"[^\W_]+")
_PLACE = re.compile(r"\{\w+\}")  # where a passage, a task or the like is put in

Words = tuple[str, ...]


def runs_of(texts: Iterable[str], length: int = RUN) -> dict[Words, str]:
    """Every run of so many words in a row, lower-case and without punctuation, with a text it stands in."""
    found: dict[Words, str] = {}
    for text in texts:
        words = _WORD.findall(text.lower())
        for start in range(len(words) - length + 1):
            found.setdefault(tuple(words[start : start + length]), text)
    return found


def shared(some: dict[Words, str], others: dict[Words, str]) -> list[tuple[str, str, str]]:
    """Runs that both hold, each with the two texts."""
    return sorted((" ".join(run), some[run], others[run]) for run in some.keys() & others.keys())


def table_texts() -> Iterator[str]:
    """All strings of the word tables, cut where a slot is."""

    def strings(value: object) -> Iterator[str]:
        if isinstance(value, str):
            yield value
        elif isinstance(value, dict):
            for inner in value.values():
                yield from strings(inner)
        elif isinstance(value, list):
            for inner in value:
                yield from strings(inner)

    for file in sorted(TABLES.glob("*.json")):
        for text in strings(json.loads(file.read_text(encoding="utf-8"))):
            yield from _PLACE.split(SLOT.sub("{slot}", text))


def composed_texts(rows: int, seed: int = 0, row_tokens: int = 1024) -> Iterator[str]:
    """The user's turns of composed rows; four letters count as a token."""
    said: list[str] = []

    def encode(text: str) -> Sequence[int]:
        said.append(text)
        return range(len(text) // 4)

    Openings(encode=encode).of(range(rows), seed, row_tokens // 2)
    yield from said


def own_passages(folder: Path, base: str | None) -> tuple[str, ...]:
    """Texts out of a corpus of this base model."""
    tokenizer = Tokenizer.load(resolve_base(base, lambda done, text: None).path)
    return passages_of(load_corpus(folder), lambda ids: tokenizer.decode(ids, skip_special=True), folder)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE", help="prompt sets, JSON lines")
    parser.add_argument("--rows", type=int, default=20_000, help="composed rows to look at (20000)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--passages", type=Path, metavar="DIR", help="a corpus whose answers are given as texts")
    parser.add_argument("--base", metavar="DIR_OR_ID", help="the model that wrote them (the default pair's)")
    chosen = parser.parse_args()
    passages = own_passages(chosen.passages, chosen.base) if chosen.passages else ()
    said = itertools.chain(table_texts(), composed_texts(chosen.rows, chosen.seed), passages)
    sources = {"requests": runs_of(said)}
    for file in chosen.files:
        sources[str(file)] = runs_of(turn for question in read_questions(file) for turn in question.turns)
    found = 0
    for (name, some), (other, others) in itertools.combinations(sources.items(), 2):
        for run, text, other_text in shared(some, others):
            found += 1
            print(f'"{run}"\n  {name}: {text[:200]!r}\n  {other}: {other_text[:200]!r}')
    print(
        json.dumps({"run": RUN, "rows": chosen.rows, "runs": {k: len(v) for k, v in sources.items()}, "shared": found})
    )
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
