"""The terminal's promises: one JSON object on standard output, one sentence on standard error, exit codes."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from playground.cli import main
from playground.cli.options import whole_numbers
from playground.cli.terminal import TextStream, stop_on_interrupt
from playground.config import PlaygroundError
from playground.export import read_trace

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def pair(own_cache: Path, tiny_base: Path, tiny_drafter: Path) -> list[str]:
    return ["--base", str(tiny_base), "--drafter", str(tiny_drafter), "--device", "cpu", "--dtype", "float32"]


RUN = ["--max-new-tokens", "12", "--beam-width", "3", "--beam-length", "2", "--temperature", "0.9", "--seed", "3"]


def result(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    """The one JSON object on standard output."""
    out = capsys.readouterr().out
    assert out.count("\n") == 1
    return json.loads(out)


def test_race_json(pair: list[str], capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    trace = tmp_path / "run.jsonl"
    assert main(["race", "Hi", *RUN, *pair, "--trace", str(trace), "--json"]) == 0
    found = result(capsys)
    assert found["identical"] is True and found["first_difference"] is None
    assert found["new_tokens"] == 12 and found["text"] and found["speedup"] > 0
    assert found["plain_tokens_per_second"] > 0 and found["redrafter_tokens_per_second"] > 0
    assert found["tokens_per_step"] >= 1 and found["trace"] == str(trace)
    saved = read_trace(trace)
    assert saved.footer is not None and saved.footer.text == found["text"] and len(saved.plain) == 12


@pytest.mark.parametrize(
    ("flags", "nodes", "budgets"),
    [([], "auto", {16}), (["--nodes", "6"], 6, {6}), (["--nodes", "beams"], None, {None})],
    ids=["auto", "number", "beams"],
)
def test_a_node_budget(
    flags: list[str],
    nodes: object,
    budgets: set[object],
    pair: list[str],
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    trace = tmp_path / "run.jsonl"
    assert main(["generate", "Hi", *RUN, *flags, *pair, "--trace", str(trace), "--json"]) == 0
    saved = read_trace(trace)
    assert saved.header.settings.nodes == nodes and saved.header.settings.copy_tail == (nodes is not None)
    assert saved.header.costs is None
    assert {step.budget for step in saved.steps[:-1]} == budgets
    assert all(step.tree.nodes <= (step.budget or 7) for step in saved.steps)
    without = ["--no-copy-tail", "--trace", str(trace), "--json"]
    assert main(["generate", "Hi", *RUN, *flags, *pair, *without]) == 0
    bare = read_trace(trace)
    assert not bare.header.settings.copy_tail and bare.redrafter_tokens == saved.redrafter_tokens
    assert not any("copy" in step.tree.origin for step in bare.steps)
    capsys.readouterr()
    assert main(["generate", "Hi", *RUN, "--nodes", "1", *pair]) == 2
    assert "Nodes is 1, but must be a whole number from 2 to 256" in capsys.readouterr().err


def test_generate_runs_the_drafting_lane_alone(pair: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["generate", "Hi", *RUN, *pair, "--json"]) == 0
    found = result(capsys)
    assert found["identical"] is None and found["plain_tokens_per_second"] is None and found["speedup"] is None
    assert main(["race", "Hi", *RUN, *pair, "--json"]) == 0
    assert result(capsys)["text"] == found["text"]  # the same seed writes the same text


def test_words_for_people(pair: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["race", "Hi", *RUN, *pair]) == 0
    out = capsys.readouterr().out
    assert "Both lanes wrote the same 12 tokens." in out and "12 new tokens in" in out
    assert "\x1b" not in out


def test_a_prompt_from_standard_input(
    pair: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO("Hé".encode())))
    assert main(["generate", "-", *RUN, *pair, "--json"]) == 0
    assert result(capsys)["new_tokens"] == 12
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"\xff")))
    assert main(["generate", "-", *RUN, *pair, "--json"]) == 2


def test_info_and_drafter_info(pair: list[str], tiny_drafter: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", *pair, "--json"]) == 0
    found = result(capsys)
    assert found["base"]["name"] == "tiny" and found["drafter"]["draft_vocabulary"] == 64
    assert set(found["measured_ms"]) == {"float32"}, "the dtype named is the only one loaded"
    assert main(["info", *pair[:-2], "--engine", "eager", "--json"]) == 0
    assert set(result(capsys)["measured_ms"]) == {"float32", "bfloat16"}
    assert main(["info", *pair]) == 0
    assert "Base model: tiny (llama)" in capsys.readouterr().out
    assert main(["drafter-info", str(tiny_drafter), "--json"]) == 0
    found = result(capsys)
    assert found["tied_head"] is True and found["apple_compatible"] is False and found["config"]["hidden_size"] == 32
    assert main(["drafter-info", str(tiny_drafter)]) == 0
    assert "extended" in capsys.readouterr().out


def test_validate(pair: list[str], capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    trace = tmp_path / "run.jsonl"
    assert main(["generate", "Hi", *RUN, *pair, "--trace", str(trace), "--json"]) == 0
    capsys.readouterr()
    assert main(["validate", str(trace), "--json"]) == 0
    assert result(capsys) == {
        "valid": True,
        "complete": True,
        "steps": len(read_trace(trace).steps),
        "notice": None,
        "new_tokens": 12,
        "schema_version": "1.2",
    }
    trace.write_text("".join(trace.read_text().splitlines(keepends=True)[:-2]))
    assert main(["validate", str(trace)]) == 1
    assert "cut off" in capsys.readouterr().out
    trace.write_text("no trace")
    assert main(["validate", str(trace)]) == 2
    assert "line 1: it is not JSON" in capsys.readouterr().err


def test_sweep(pair: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    shapes = ["--widths", "1,2", "--lengths", "2", "--max-new-tokens", "6"]
    assert main(["sweep", "Hi", *shapes, *pair, "--json"]) == 0
    found = result(capsys)
    assert [(cell["width"], cell["length"]) for cell in found["cells"]] == [(1, 2), (2, 2)]
    assert found["finished"] and found["best"]["beam_length"] == 2
    assert main(["sweep", "Hi", *shapes, *pair]) == 0
    assert "Fastest: " in capsys.readouterr().out
    assert main(["sweep", "Hi", *shapes, *pair, "--repeats", "2", "--json"]) == 0
    assert [cell["repeats"] for cell in result(capsys)["cells"]] == [2, 2]
    assert main(["sweep", "Hi", *shapes, *pair, "--repeats", "51"]) == 2
    assert "The repeats are 51, but must be from 1 to 50." in capsys.readouterr().err


def test_benchmark_over_a_prompt_file(pair: list[str], capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    rows = [("a", "One."), ("a", "Two."), ("b", "Three."), ("b", "Four.")]
    lines = [json.dumps({"question_id": i, "category": c, "turns": [t]}) for i, (c, t) in enumerate(rows)]
    file = tmp_path / "questions.jsonl"
    file.write_text("\n".join(lines) + "\n")
    assert main(["benchmark", "--prompts", str(file), "--limit", "2", "--with-generate", *RUN, *pair, "--json"]) == 0
    found = result(capsys)
    assert found["generate_tokens_per_second"] > 0
    assert found["prompts"] == 2 and found["identical"] == 2 and found["median_speedup"] > 0
    assert set(found["categories"]) == {"a", "b"} and [run["question_id"] for run in found["runs"]] == ["0", "2"]
    assert main(["evaluate", "--prompts", str(file), *RUN, *pair, "--json"]) == 0
    found = result(capsys)
    assert found["prompts"] == 4 and found["tokens_per_step"] >= 1 and len(found["accepted_at"]) == 2
    assert set(found["categories"]) == {"a", "b"} and 0 < found["base_confidence"] <= 1
    assert main(["evaluate", "--prompts", str(file), "--limit", "1", *RUN, *pair]) == 0
    assert "the base model gave the tokens it picked 0." in capsys.readouterr().out
    file.write_text(lines[0] + "\n" + lines[1][:-3] + "\n")
    assert main(["benchmark", "--prompts", str(file), *RUN, *pair, "--json"]) == 2
    assert "questions.jsonl, line 2, column" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["race", ""], "The prompt is empty. Type at least one character"),
        (["race", "  \n"], "The prompt is empty"),
        (["race", "Hi", "--beam-width", "65"], "Beam width is 65, but must be a whole number from 1 to 64"),
        (["race", "Hi", "--beam-length", "0"], "Beam length is 0, but must be a whole number from 1 to 16"),
        (["race", "Hi", "--temperature", "-1"], "Temperature is -1.0, but must be a number from 0 to 5"),
        (["race", "Hi", "--temperature", "nan"], "Temperature is nan"),
        (["race", "Hi", "--top-p", "0"], "Top-p is 0.0, but must be above 0 and at most 1"),
        (["race", "Hi", "--top-k", "-1"], "Top-k is -1"),
        (["race", "Hi", "--seed", "-1"], "Seed is -1"),
        (["race", "Hi", "--max-new-tokens", "0"], "New tokens is 0"),
        (["race", "Hi", "--trace", "/nonexistent/run.jsonl"], "cannot be written to /nonexistent/run.jsonl"),
        (["race", "Hi", "--drafter", "./nowhere"], "There is no folder"),
        (["sweep", "Hi", "--widths", "a"], "'a' is no list of whole numbers"),
        (["sweep", "Hi", "--widths", "1-70"], "'1-70' must hold whole numbers from 1 to 64"),
        (["drafter-info", "./nowhere"], "There is no folder"),
        (["validate", "./nowhere.jsonl"], "nowhere.jsonl cannot be opened"),
        (["benchmark", "--prompts", "./nowhere"], "cannot be read"),
    ],
)
def test_bad_input_is_one_sentence_and_exit_code_2(
    arguments: list[str], message: str, pair: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    if arguments[0] in {"race", "sweep", "benchmark"} and "--drafter" not in arguments:
        arguments = [*arguments, *pair]
    assert main([*arguments, "--json"]) == 2
    told = capsys.readouterr()
    assert not told.out and message in told.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "The following arguments are required: VERB"),
        (["fly"], "invalid choice: 'fly'"),
        (["race"], "The following arguments are required: prompt"),
        (["race", "Hi", "--beam-width", "many"], "invalid int value: 'many'"),
        (["race", "Hi", "--dtype", "int4"], "invalid choice: 'int4'"),
    ],
)
def test_bad_usage_is_one_line_too(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(arguments)
    told = capsys.readouterr()
    assert left.value.code == 2 and message in told.err and told.err.count("\n") == 1


@pytest.mark.parametrize(
    "verb", ["generate", "race", "validate", "info", "drafter-info", "sweep", "benchmark", "evaluate"]
)
def test_every_verb_has_help(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main([verb, "--help"])
    assert left.value.code == 0 and "--json" in capsys.readouterr().out


def test_json_is_alone_on_standard_output(pair: list[str]) -> None:
    """In a process of its own: transformers' and our own progress go to standard error."""
    command = [sys.executable, "-m", "playground", "race", "Hi", *RUN, *pair, "--json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=True)
    assert json.loads(done.stdout)["new_tokens"] == 12 and done.stdout.count("\n") == 1
    assert "Loading the base model" in done.stderr


def test_help_and_validate_need_no_torch() -> None:
    code = (
        "import sys; from playground.cli import main; main(['validate', 'nowhere']);"
        "sys.exit('torch' in sys.modules or 'gradio' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, timeout=300).returncode == 0


def test_the_engine_needs_no_screen_packages() -> None:
    code = (
        "import sys; sys.modules['gradio'] = sys.modules['plotly'] = None;"
        "import playground.session, playground.bench, playground.cli.runs, playground.cli.measure, kernels;"
        "sys.exit('triton' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Python's own answer to Ctrl-C, also where the tests were started in the background, which ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
def test_the_first_interrupt_sets_the_event_and_the_second_ends() -> None:
    assert threading.current_thread() is threading.main_thread()
    with stop_on_interrupt() as stop:
        os.kill(os.getpid(), signal.SIGINT)
        assert stop.wait(1)
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
            threading.Event().wait(1)


def test_text_comes_as_soon_as_a_character_is_whole() -> None:
    text = TextStream()
    assert [text.feed(b"\xe2\x82"), text.feed(b"\xac!"), text.feed(b"\x1b[2J"), text.feed(b"\xf0") + text.rest()] == [
        "",
        "€!",
        "\ufffd[2J",
        "\ufffd",
    ]


def test_nothing_that_a_terminal_would_obey_comes_through() -> None:
    """Not the carriage return either, which would write over the line; spaces of any width are no harm."""
    shown = TextStream().feed("a\r\x0b\x85\u2028\u202e\x1cb\n\tc\u00a0\u3000d".encode())
    assert shown == "a" + "\ufffd" * 6 + "b\n\tc\u00a0\u3000d"


def test_lists_of_whole_numbers() -> None:
    assert whole_numbers("1,2,4", 4) == (1, 2, 4) and whole_numbers("2-4,3", 4) == (2, 3, 4)
    with pytest.raises(PlaygroundError, match="no list of whole numbers"):
        whole_numbers("1,,2", 4)
