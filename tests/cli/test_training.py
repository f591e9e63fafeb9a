"""The verbs `distill`, `train` and `evaluate`: from a base model's folder to figures, and what bad input gets."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from playground.bench.prompts import read_questions
from playground.cli import main
from playground.cli.evaluation import _shapes
from playground.config import BeamShape, PlaygroundError
from tests.tiny import write_base

SMALL = ["--rows", "8", "--row-tokens", "64", "--device", "cpu", "--dtype", "float32"]
TRAIN = [*SMALL, "--steps", "4", "--batch", "16", "--trial-tokens", "8"]


def result(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    """The one JSON object on standard output."""
    out = capsys.readouterr().out
    assert out.count("\n") == 1
    return dict(json.loads(out))


@pytest.fixture
def prompts(tmp_path: Path) -> Path:
    file = tmp_path / "prompts.jsonl"
    lines = [{"question_id": i, "category": "ab"[i % 2], "turns": [f"Hi {i}", "More"]} for i in range(4)]
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return file


def test_train_then_evaluate(
    own_cache: Path, tiny_base: Path, prompts: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "drafter"
    command = ["train", "--base", str(tiny_base), "--out", str(out), "--prompts", str(prompts), *TRAIN, "--json"]
    assert main(command) == 0
    made = result(capsys)
    assert made["steps"] == 4 and made["corpus_tokens"] == 512 and len(made["trial"]) == 2
    assert "Loading" not in (out / "README.md").read_text() and (out / "work" / "plan.json").exists()
    row = np.load(out / "work" / "corpus" / "rows-00000.npz")["ids"][1]
    assert b"Hi 1" in bytes(token for token in row.tolist() if token < 256)

    pair = ["--base", str(tiny_base), "--drafter", str(out), "--device", "cpu", "--dtype", "float32"]
    asked = ["--prompts", str(prompts), "--limit", "3", "--max-new-tokens", "10", "--shapes", "3x2,1x1"]
    assert main(["evaluate", *asked, *pair, "--json"]) == 0
    found = result(capsys)
    assert (found["beam_width"], found["beam_length"], found["prompts"]) == (3, 2, 3)
    assert found["tokens"] == 27 and 1 <= found["tokens_per_step"] <= 3
    assert sum(found["accepted_histogram"]) == found["steps"] and len(found["accepted_at"]) == 2
    assert list(found["categories"]) == ["a", "b"] and found["tokens_per_step"] == found["shapes"][0]["tokens_per_step"]
    assert sum(part["tokens"] for part in found["categories"].values()) == found["tokens"]
    assert [shape["beam_width"] for shape in found["shapes"]] == [3, 1] and found["draft_over_verify"] > 0

    assert main(["evaluate", *asked[:-2], *pair, "--beam-width", "1", "--beam-length", "1"]) == 0
    words = capsys.readouterr().out
    assert "Beam width 1, length 1, best first, nodes auto; 3 prompts" in words and "drafting takes" in words
    beams = ["--shapes", "2x1@beams,2x2@5", "--no-copy-tail", *pair]
    assert main(["evaluate", *asked[:-2], *beams]) == 0
    words = capsys.readouterr().out
    assert "Beam width 2, length 1, the surviving beams; 3 prompts" in words
    assert "Beam width 2, length 2, best first, nodes 5, no copy tail; 3 prompts" in words


def test_the_hint_without_a_drafter_is_a_command_that_works(
    own_cache: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_base(tmp_path / "my models" / "a base", chat=False)
    race = ["race", "Hi", "--base", "my models/a base", *SMALL[4:], "--max-new-tokens", "8"]
    assert main(race) == 2
    said = capsys.readouterr().err
    assert said.count("a base has no chat template: the prompt is continued as plain text.") == 1
    command = shlex.split(said[said.index("python -m playground") :])
    assert str(tmp_path / "my models" / "a base") in command
    assert main([*command[3:], *TRAIN]) == 0
    assert "no chat template: it writes and continues plain texts" in capsys.readouterr().err
    assert main([*race, "--drafter", "my-drafter", "--system", "Be brief."]) == 0
    assert "The system prompt stands before it" in capsys.readouterr().err


@pytest.mark.parametrize("engine", ["native", "eager"])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_what_was_chosen_is_what_is_loaded(
    own_cache: Path, tmp_path: Path, engine: str, dtype: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No other dtype is loaded, nor measured, on the way."""
    from playground.base_model import adapter, native_loading, stock

    loaded = []

    def load(*arguments: Any, **named: Any) -> Any:
        loaded.append(named["dtype"])
        return stock.load_transformers_model(*arguments, **named)

    base = write_base(tmp_path / "base", hidden=64, inner=96, dtype=getattr(torch, dtype))
    for module in (adapter, native_loading):
        monkeypatch.setattr(module, "load_transformers_model", load)
    command = ["distill", "--base", str(base), "--out", str(tmp_path / "corpus"), *SMALL[:-1], dtype]
    assert main([*command, "--engine", engine]) == 0
    allowed = {getattr(torch, dtype), torch.float32} if engine == "native" else {getattr(torch, dtype)}
    assert set(loaded) <= allowed and getattr(torch, dtype) in loaded


def test_prompts_are_tried_as_many_as_asked(
    own_cache: Path, tiny_base: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "drafter"
    command = ["train", "--base", str(tiny_base), "--out", str(out), *TRAIN, "--rows", "24"]
    command += ["--trial-prompts", "3", "--json"]
    assert main(command) == 0
    assert result(capsys)["steps"] == 4 and "3 prompts of" in (out / "README.md").read_text()


def test_the_disk_for_states_is_said_and_bounded(
    own_cache: Path, tiny_base: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["train", "--base", str(tiny_base), "--out", str(tmp_path / "d"), *TRAIN, "--disk", "0.0001"]
    assert main(command) == 2
    said = capsys.readouterr().err
    assert "for a million tokens" in said and "--rows is 8, but there is disk for the states of" in said
    assert not (tmp_path / "d" / "work" / "corpus").exists()


def two_processes(*arguments: str) -> dict[str, Any]:
    """What one of two prints, started as `accelerate launch` starts them."""
    launch = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", "2", "--standalone"]
    command = [*launch, "-m", "playground", "train", "--device", "cpu", "--json", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return dict(json.loads(done.stdout))


def test_two_processes_train_one_drafter(own_cache: Path, tiny_base: Path, tmp_path: Path) -> None:
    """They share the shards, average their gradients and write one drafter."""
    out = tmp_path / "drafter"
    asked = ["--rows", "192", "--row-tokens", "48", "--steps", "6", "--batch", "16", "--trial-tokens", "8"]
    made = two_processes("--base", str(tiny_base), "--out", str(out), *asked)
    assert made["steps"] == 6
    assert len(list((out / "work" / "corpus").glob("rows-*.npz"))) == 192 // 8
    card = (out / "README.md").read_text()
    assert "6 steps of 32 places" in card and "2 processes" in card


@pytest.mark.trust
def test_two_processes_keep_to_their_hours(own_cache: Path, tiny_base: Path, tmp_path: Path) -> None:
    """They take as many steps as the main one finds time for."""
    out, began = tmp_path / "drafter", time.monotonic()
    made = two_processes("--base", str(tiny_base), "--out", str(out), "--hours", "0.012", "--row-tokens", "48")
    assert made["steps"] >= 50 and made["corpus_tokens"] > 0
    assert time.monotonic() - began < 3 * 0.012 * 3600
    assert f"{made['steps']:,} steps of " in (out / "README.md").read_text()


def test_distill_alone_and_without_a_chat_template(
    own_cache: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    base, corpus = write_base(tmp_path / "plain", chat=False), tmp_path / "corpus"
    command = ["distill", "--base", str(base), "--out", str(corpus), *SMALL, "--json"]
    assert main(command) == 0
    found = result(capsys)
    assert (found["rows"], found["tokens"]) == (8, 512) and found["assistant"] > 100
    assert main(["train", "--base", str(base), "--out", str(tmp_path / "d"), "--corpus", str(corpus), *TRAIN[2:]]) == 0
    words = capsys.readouterr()
    assert "tokens per step" in words.out and "training" in words.err and "step/s" in words.err


def test_texts_of_an_earlier_corpus_are_asked_about(
    own_cache: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    base, earlier, corpus = write_base(tmp_path / "base"), tmp_path / "earlier.npz", tmp_path / "corpus"
    config = base / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"max_position_embeddings": 1400}))
    draw = np.random.default_rng(0)
    letters = draw.integers(ord("a"), ord("z"), (500, 42, 4))
    answers = [" ".join(bytes(word.tolist()).decode().capitalize() + "." for word in answer) for answer in letters]
    ids = np.array([[*answer.encode(), 258] for answer in answers], np.uint16)
    np.savez(earlier, ids=ids, assistant=np.ones(ids.shape, bool), greedy=np.ones(len(ids), bool))
    sizes = ["--rows", "2", "--row-tokens", "800", "--seed", "2", "--device", "cpu", "--dtype", "float32"]
    command = ["distill", "--base", str(base), "--out", str(corpus), *sizes, "--passages", str(earlier)]
    assert main(command) == 0
    rows = np.load(corpus / "rows-00000.npz")["ids"].tolist()
    texts = [bytes(token for token in row if token < 256).decode("latin-1") for row in rows]
    assert sum(answer[:200] in text for answer in answers for text in texts) == 1
    assert json.loads((corpus / "corpus.json").read_text())["passages"]
    assert main([*command, "--own-openings"]) == 2
    assert "needs composed requests" in capsys.readouterr().err
    np.savez(earlier, ids=ids[:7], assistant=np.ones((7, ids.shape[1]), bool), greedy=np.ones(7, bool))
    assert main(command) == 2
    assert "holds 7 passages of whole sentences, but 500 are needed" in capsys.readouterr().err


def test_a_corpus_needs_a_length(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["distill", "--out", str(tmp_path)]) == 2
    assert "Give --rows" in capsys.readouterr().err


def test_a_broken_prompt_file_costs_no_time(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "broken.jsonl"
    file.write_text('{"turns": ["fine"]}\n\n{"turns": ["not so"\n')
    for command in (["train", "--out", str(tmp_path / "d")], ["distill", "--out", str(tmp_path / "c"), "--rows", "1"]):
        assert main([*command, "--base", "/nowhere", "--prompts", str(file)]) == 2
        assert "broken.jsonl, line 3, column" in capsys.readouterr().err
    assert main(["evaluate", "--prompts", str(file)]) == 2
    with pytest.raises(PlaygroundError, match="line 3, column 20"):
        read_questions(file)


def test_shapes() -> None:
    assert _shapes("8x5, 1X3@beams,4x4@16") == [BeamShape(8, 5), BeamShape(1, 3, None), BeamShape(4, 4, 16)]
    assert _shapes("8x5", tail=False) == [BeamShape(8, 5, copy_tail=False)]
    for text in ("8", "8x", "x5", "8x5;1x3", "ax5"):
        with pytest.raises(PlaygroundError, match="is no beam shape"):
            _shapes(text)


@pytest.mark.parametrize("verb", ["distill", "train", "evaluate"])
def test_help(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main([verb, "--help"])
    assert left.value.code == 0 and "--json" in capsys.readouterr().out
