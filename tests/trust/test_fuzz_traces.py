"""Traces by mutation: each is refused with a sentence or loads, and what loads is drawn, exported and finite."""

from __future__ import annotations

import json
import random
import time
from typing import Any

from playground.export import TraceError, encode, parse_trace, write_trace
from playground.figures.sentence import run_sentence
from playground.trace import Trace
from playground.views.picture import step_picture, trace_picture
from tests.trust.conftest import Note
from tests.trust.mutate import broken, mutated
from tests.views.synthetic import make_trace

SECONDS = 10.0


def sources() -> list[list[str]]:
    made = [
        make_trace(width=4, length=3, new_tokens=14, seed=1),
        make_trace(width=1, length=1, new_tokens=5, seed=2),
        make_trace(width=8, length=5, new_tokens=24, seed=3),
    ]
    return [[encode(record) for record in trace.records()] for trace in made]


def case(dice: random.Random, lines: list[str]) -> str:
    """One changed trace: values in a record, records as a whole, or bytes."""
    lines = list(lines)
    for _ in range(dice.choice((1, 1, 1, 3))):
        at, what = dice.randrange(len(lines)), dice.randrange(8)
        if what < 5 and not is_json(lines[at]):
            continue  # broken before
        if what < 5:
            lines[at] = json.dumps(mutated(dice, json.loads(lines[at])), ensure_ascii=False)
        elif what == 5:
            del lines[at]
        elif what == 6:
            lines.insert(dice.randrange(len(lines)), lines[at])
        else:
            lines[at] = broken(dice, lines[at].encode()).decode("utf-8", "surrogateescape")
        if not lines:
            break
    return "".join(line + "\n" for line in lines)


def is_json(line: str) -> bool:
    try:
        json.loads(line)
    except ValueError:
        return False
    return True


def drawn(trace: Trace) -> None:
    """Everything that is made of a trace, as JSON that a browser takes."""
    pictures: list[Any] = [trace_picture(trace)]
    pictures += [step_picture(step, sampled=trace.sampled) for step in trace.steps]
    json.dumps(pictures, allow_nan=False)
    if trace.footer is not None:
        run_sentence(trace.footer.summary, trace.parity, trace.footer.finish_reason)


def test_every_trace_is_refused_or_drawn(scale: int, tmp_path: Any, record_property: Note) -> None:
    dice, known = random.Random(15), sources()
    loaded, longest = 0, 0.0
    for number in range(300 * scale):
        text = case(dice, dice.choice(known))
        begun = time.monotonic()
        try:
            trace = parse_trace("run.jsonl", text)
        except TraceError as error:
            assert len(str(error)) < 1000, f"case {number}"
        else:
            loaded += 1
            drawn(trace)
            write_trace(trace, tmp_path / "again.jsonl")
        longest = max(longest, took := time.monotonic() - begun)
        assert took < SECONDS, f"case {number} took long"
    record_property("traces tried", f"{300 * scale:,}")
    record_property("of these loaded and drawn", f"{loaded:,}")
    record_property("longest, seconds", f"{longest:.2f}")
    assert 0 < loaded < 300 * scale  # neither does everything pass, nor is everything refused
