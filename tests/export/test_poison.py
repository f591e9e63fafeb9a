"""Traces made to hurt: each is a sentence with its line, soon, and what loads draws small pictures."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from playground.cli import main
from playground.export import TraceError, encode, parse_trace
from playground.export.limits import (
    MAX_DEPTH,
    MAX_HEADER_BYTES,
    MAX_LINE_BYTES,
    MAX_NODES,
    MAX_RECORDS,
    MAX_SENT_BYTES,
    MAX_TOKEN_BYTES,
)
from playground.ui.store import TraceStore
from playground.views.picture import step_picture
from tests.views.synthetic import make_trace

Change = Callable[[list[dict[str, Any]]], None]


def lines(width: int = 4, length: int = 3) -> list[dict[str, Any]]:
    trace = make_trace(width=width, length=length, new_tokens=12)
    return [json.loads(encode(record)) for record in trace.records()]


def text_of(items: list[dict[str, Any]]) -> str:
    return "".join(json.dumps(item, ensure_ascii=False) + "\n" for item in items)


def first_step(items: list[dict[str, Any]]) -> dict[str, Any]:
    return next(item for item in items if item["type"] == "step")


def tree(parent: list[int], depth: list[int]) -> Change:
    """A step whose tree has these nodes besides what its path names."""

    def change(items: list[dict[str, Any]]) -> None:
        step = first_step(items)
        root = step["tree"]["token"][0]
        step["tree"] = {"token": [root] * len(parent), "parent": parent, "depth": depth, "node_of": []}
        step["beams"] = {"tokens": [], "log_probabilities": [], "scores": []}
        step["log_probability"], step["rank"] = [0.0] * len(parent), [0] * len(parent)
        step["path"], step["picks"] = [0], step["picks"][:1]
        step["emitted"] = [step["picks"][0]["token"]]
        step["token_bytes"] = {str(root): "61", str(step["emitted"][0]): "62"}
        del items[items.index(step) + 1 :]

    return change


def set_keys(kind: str, **keys: Any) -> Change:
    def change(items: list[dict[str, Any]]) -> None:
        next(item for item in items if item["type"] == kind).update(keys)

    return change


def set_settings(**keys: Any) -> Change:
    return lambda items: items[0]["settings"].update(keys)


def wide_beams(items: list[dict[str, Any]]) -> None:
    step = first_step(items)
    step["beams"] = {"tokens": [[-1]] * 65, "log_probabilities": [[0.0]] * 65, "scores": [0.0] * 65}
    step["tree"]["node_of"] = [[-1]] * 65


def two_prompts(items: list[dict[str, Any]]) -> None:
    items.insert(1, dict(items[1]))


POISON: dict[str, tuple[Change, str]] = {
    "a beam length of 2^62": (set_settings(beam_length=2**62), r"line 1: settings\.beam_length is 4611686018427387904"),
    "a beam length of -5": (set_settings(beam_length=-5), r"line 1: settings\.beam_length is -5"),
    "a beam length of 2,000,000": (set_settings(beam_length=2_000_000), r"line 1: settings\.beam_length is 2000000"),
    "a version of 5,000 digits": (set_keys("header", schema_version="9" * 5000 + ".1"), "line 1: schema_version"),
    "a chain 5,000 deep": (tree([-1, *range(4999)], [*range(5000)]), r"line \d+: a tree of 5,000 nodes"),
    "a chain deeper than beams": (tree([-1, *range(17)], [*range(18)]), r"line \d+: a tree 17 deep, but beams are up"),
    "a tree deeper than asked for": (tree([-1, *range(9)], [*range(10)]), "a tree is 9 deep, but the settings allow"),
    "a node of 30,000 children": (tree([-1] + [0] * 30_000, [0] + [1] * 30_000), r"line \d+: a tree of 30,001 nodes"),
    "65 beams": (wide_beams, r"line \d+: beams of 65 x 1"),
    "a name of 5,000 letters": (set_keys("header", device="d" * 5000), "line 1: a name of 5,000 characters"),
    "a token of 5,000 bytes": (set_keys("prompt", token_bytes={"5": "61" * 5000}), r"line 2: a token of 5,000 bytes"),
    "300 versions": (set_keys("header", versions={str(n): "" for n in range(300)}), "line 1: 300 versions"),
    "a sentence of a megabyte": (set_keys("footer", sentence="x" * 10**6), r"line \d+: a sentence of 1,000,000"),
    "two prompts of a lane": (two_prompts, "a lane has more than one prompt record"),
    "a type of a megabyte": (set_keys("step", type=["x" * 10**6]), r"line \d+: its type is \['x{50}"),
}  # fmt: skip


@pytest.mark.parametrize("name", POISON)
def test_poison_is_a_sentence_with_its_line(name: str) -> None:
    change, told = POISON[name]
    items = lines()
    change(items)
    begun = time.monotonic()
    with pytest.raises(TraceError, match=told) as caught:
        parse_trace("run.jsonl", text_of(items))
    assert time.monotonic() - begun < 5 and len(str(caught.value)) < 400


def test_a_tree_as_large_as_beams_make_it_is_drawn_small() -> None:
    """The widest and longest there is loads, and its picture is a small multiple of its line."""
    parent = [-1] + [0 if place == 0 else 16 * beam + place for beam in range(64) for place in range(16)]
    depth = [0] + [place + 1 for _ in range(64) for place in range(16)]
    items = lines(length=16)
    assert (len(parent), max(depth)) == (MAX_NODES, MAX_DEPTH)
    tree(parent, depth)(items)
    found = parse_trace("run.jsonl", text_of(items))
    assert len(json.dumps(step_picture(found.steps[0], sampled=False))) < 2**20


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("\ud800", r"is not Unicode text: half a character stands at 0"),
        ("[" * 30_000, "line 1: it is not JSON"),
        ("9" * 5000, "line 1: it is not JSON"),
        ("[]," * 6_000_000, "line 1: it is longer than 8,388,608 bytes"),
        ("x" * (MAX_HEADER_BYTES + 1), "line 1: it is longer than"),
        ('{"a":' * 3000 + "1" + "}" * 3000, "line 1: it is not JSON"),
    ],
)
def test_text_that_is_no_trace_at_all(text: str, told: str) -> None:
    begun = time.monotonic()
    with pytest.raises(TraceError, match=told):
        parse_trace("run.jsonl", text)
    assert time.monotonic() - begun < 5


def test_long_lines_many_lines_and_large_files_are_refused() -> None:
    head = text_of(lines()[:1])
    with pytest.raises(TraceError, match=f"line 2: it is longer than {MAX_LINE_BYTES:,} bytes"):
        parse_trace("run.jsonl", head + '{"type":"step","x":"' + "x" * MAX_LINE_BYTES + '"}\n')
    with pytest.raises(TraceError, match=f"a trace has up to {MAX_RECORDS:,} records"):
        parse_trace("run.jsonl", head + '{"type":"x"}\n' * (MAX_RECORDS + 1))
    filler = '{"type":"x","x":"' + "x" * (MAX_LINE_BYTES - 100) + '"}\n'
    with pytest.raises(TraceError, match=f"line {MAX_SENT_BYTES // MAX_LINE_BYTES + 2}: the file is larger than"):
        parse_trace("run.jsonl", head + filler * (MAX_SENT_BYTES // MAX_LINE_BYTES + 2))


@pytest.mark.parametrize("name", ["a\0b", "../../../etc/passwd", "n" * 5000, "", "..", "/", "a\nb\x1b[31m", "\ud800"])
def test_names_are_shown_and_nothing_else(name: str) -> None:
    with pytest.raises(TraceError) as caught:
        parse_trace(name, "no trace")
    told = str(caught.value)
    assert told.isprintable() and len(told) < 200 and "/etc" not in told


@pytest.mark.parametrize("name", ["\0", "n" * 5000, ".", "none"])
def test_the_terminal_says_so_too(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["validate", str(tmp_path / name)]) == 2
    assert "cannot be opened" in capsys.readouterr().err


def test_the_store_holds_so_many_bytes_of_files() -> None:
    store, trace = TraceStore(room=100), make_trace(new_tokens=6)
    run = store.add(trace, "a")
    first, second, third = (store.add(trace, "a", size=50) for _ in range(3))
    kept = [key for key in (run, first, second, third) if store.owner(key)]
    assert kept == [run, second, third]
    store.forget("a")
    assert store.add(trace, "b", size=90) and store.add(trace, "b", size=5)


def test_what_the_page_is_told_of_its_limit_is_the_limit() -> None:
    script = (Path(__file__).resolve().parents[2] / "assets" / "js" / "traces.js").read_text()
    assert "LARGEST = 64 * 2 ** 20;" in script and MAX_SENT_BYTES == 64 * 2**20


def test_crowded_lines_are_refused_before_they_are_parsed() -> None:
    """18 MB and more of empty lists, in lines of a kind that is not known and so skipped."""
    crowded = '{"type":"x","x":[' + "[]," * (MAX_LINE_BYTES // 3 - 20) + "0]}\n"
    begun = time.monotonic()
    with pytest.raises(TraceError, match="line 2: it holds more than 40,000 lists and objects"):
        parse_trace("run.jsonl", text_of(lines()[:1]) + crowded * 10)
    assert time.monotonic() - begun < 2


def test_brackets_in_a_prompt_are_no_lists() -> None:
    items = lines()
    items[0]["messages"] = [["user", '[{\\"' * 50_000]]
    assert len(parse_trace("run.jsonl", text_of(items)).header.messages[0][1]) == 200_000


def test_limits_are_above_what_is_written() -> None:
    longest = max(len(encode(record)) for record in make_trace(width=64, length=16, new_tokens=34).records())
    assert longest < MAX_LINE_BYTES / 2 and MAX_TOKEN_BYTES >= 4096
