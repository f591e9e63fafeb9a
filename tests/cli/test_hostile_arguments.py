"""Arguments made to hurt: one sentence on standard error, exit code 2, at once; no traceback, no wait."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from playground.cli import main

ROOT = Path(__file__).resolve().parents[2]
LONG = "9" * 5000
NOWHERE = ["--base", "/nonexistent"]


def told(capsys: pytest.CaptureFixture[str], arguments: list[str]) -> str:
    """The one sentence that these arguments get."""
    begun = time.monotonic()
    try:
        code = main(arguments)
    except SystemExit as ended:  # argparse's own way
        code = int(ended.code or 0)
    out = capsys.readouterr()
    assert code == 2 and time.monotonic() - begun < 20, (code, out.err)
    lines = [line for line in out.err.splitlines() if not line.startswith(("Finding", "Converting"))]
    assert len(lines) == 1 and len(lines[0]) < 600 and lines[0].endswith("."), out.err
    assert "Traceback" not in out.err and not out.out.strip().startswith("{")
    return lines[0]


NUMBERS = ["--beam-width", "--beam-length", "--max-new-tokens", "--seed", "--top-k"]


@pytest.mark.parametrize("number", [LONG, "9" * 4000, f"-{LONG}", "1e999", "nan", "0x10", "", "٣" * 400, "1" * 30])
@pytest.mark.parametrize("flag", NUMBERS)
def test_numbers(capsys: pytest.CaptureFixture[str], flag: str, number: str) -> None:
    told(capsys, ["generate", "Hi", f"{flag}={number}", *NOWHERE])


@pytest.mark.parametrize("number", [LONG + "e" + LONG, "inf", "nan", "-1", "1e400", "1_0__0"])
@pytest.mark.parametrize("flag", ["--temperature", "--top-p"])
def test_fractions(capsys: pytest.CaptureFixture[str], flag: str, number: str) -> None:
    told(capsys, ["generate", "Hi", f"{flag}={number}", *NOWHERE])


@pytest.mark.parametrize(
    "numbers", ["1-99999999999", LONG, f"1-{LONG}", "0", "4-", "1-2-3", "65", "²", "-5", "1,,2", "", "1 000", "٣"]
)
def test_lists_of_numbers(capsys: pytest.CaptureFixture[str], numbers: str) -> None:
    for flag in ("--widths", "--lengths"):
        assert "whole numbers" in told(capsys, ["sweep", "Hi", f"{flag}={numbers}", *NOWHERE])


@pytest.mark.parametrize("shapes", [f"{LONG}x1", "1x", "²x1", "65x1", "x", "1x1x1"])
def test_lists_of_shapes(capsys: pytest.CaptureFixture[str], tmp_path: Path, shapes: str) -> None:
    prompts = tmp_path / "one.jsonl"
    prompts.write_text('{"turns": ["Hi"]}\n')
    told(capsys, ["evaluate", "--prompts", str(prompts), "--shapes", shapes, *NOWHERE])


@pytest.mark.parametrize(
    "text", ["{" * 100_000, "[" * 100_000, f'{{"": {LONG}}}', '{"": true}', "\udcff", "x" * 10_000]
)
def test_device_maps(capsys: pytest.CaptureFixture[str], text: str) -> None:
    assert told(capsys, ["info", "--device-map", text]).startswith("Device map is ")


@pytest.mark.parametrize("arguments", [["generate", "\udcff\udcfe"], ["generate", "Hi", "--system", "a\udc80"]])
def test_text_that_is_not_utf8(capsys: pytest.CaptureFixture[str], arguments: list[str]) -> None:
    assert "text is not UTF-8" in told(capsys, [*arguments, *NOWHERE])


def test_bytes_that_are_not_utf8_from_a_shell() -> None:
    """As a terminal passes them on: bytes, which Python keeps as half characters."""
    command = [sys.executable.encode(), b"-m", b"playground", b"generate", b"caf\xe9", b"--base", b"/nonexistent"]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, timeout=120)
    assert found.returncode == 2 and b"user text is not UTF-8: character 4" in found.stderr
    assert b"Traceback" not in found.stderr


OUT = (["train", "--steps", "1"], ["distill", "--rows", "1"], ["average", "/nonexistent"])


@pytest.mark.parametrize("place", ["file/below", "file", "/proc/nowhere", "/dev/null/x", "n" * 300])
@pytest.mark.parametrize(
    "verb",
    [["train", "--steps", "1"], ["distill", "--rows", "1"], ["average", "/nonexistent"]],
    ids=lambda verb: verb[0],
)
def test_impossible_places(capsys: pytest.CaptureFixture[str], tmp_path: Path, verb: list[str], place: str) -> None:
    (tmp_path / "file").write_text("")
    base = NOWHERE if verb[0] != "average" else []
    assert "cannot be written to" in told(capsys, [*verb, "--out", str(tmp_path / place), *base])


def test_a_prompt_of_a_megabyte_is_refused_by_its_length(
    own_cache: Path, tiny_base: Path, tiny_drafter: Path, capsys: pytest.CaptureFixture[str], monkeypatch: Any
) -> None:
    pair = ["--base", str(tiny_base), "--drafter", str(tiny_drafter), "--device", "cpu", "--dtype", "float32"]

    def never(*_: Any, **__: Any) -> None:
        raise AssertionError("the text was tokenised")

    monkeypatch.setattr("playground.sources.tokenizer.Tokenizer.encode", never)
    for size, words in ((1_000_000, "1,000,000 characters, but the window"), (2_000_001, "up to 2,000,000")):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"sea " * (size // 4) + b"x" * (size % 4))))
        assert main(["generate", "-", *pair]) == 2
        assert words in capsys.readouterr().err


def test_names_of_any_bytes_are_told(
    own_cache: Path, tiny_base: Path, tiny_drafter: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Folders and files may be named by bytes that are no text; what is written of them still is."""
    odd = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9"))
    odd.symlink_to(tiny_base)
    trace = Path(os.fsdecode(os.fsencode(tmp_path) + b"/run\xff.jsonl"))
    run = ["generate", "Hi", "--device", "cpu", "--dtype", "float32", "--max-new-tokens", "4", "--trace", str(trace)]
    assert r"caf\udce9 is not UTF-8" in told(capsys, [*run, "--base", str(odd)])
    assert main([*run, "--base", str(tiny_base), "--drafter", str(tiny_drafter), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["trace"] == str(trace)
    assert main(["validate", str(trace)]) == 0
