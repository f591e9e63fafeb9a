"""Verbs over recorded runs: export, stats, diff and replay without a model, verify with one."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from playground.cli import main
from playground.cli.replay import Lines, Panes, play, wrapped
from playground.config import BeamShape
from playground.export import FORMATS, export, read_trace, write_trace
from playground.figures.again import request_again
from playground.figures.compare import compare_runs
from playground.trace import Trace
from playground.views.replay import moments
from tests.views.synthetic import make_trace

ROOT = Path(__file__).resolve().parents[2]
Capture = pytest.CaptureFixture[str]


@pytest.fixture
def file(tmp_path: Path) -> Callable[..., str]:
    def write(name: str, **made: Any) -> str:
        write_trace(make_trace(**made), tmp_path / name)
        return str(tmp_path / name)

    return write


def result(capsys: Capture) -> dict[str, Any]:
    out = capsys.readouterr().out
    assert out.count("\n") == 1
    return json.loads(out)


@pytest.mark.parametrize("name", [name for name in FORMATS if name != "parquet"])
def test_export_writes_what_the_format_gives(name: str, file: Callable[..., str], capsys: Capture) -> None:
    source = file("run.jsonl", new_tokens=20)
    target = Path(source).with_name("out")
    assert main(["export", source, "--to", name, "-o", str(target), "--json"]) == 0
    assert result(capsys)["bytes"] == target.stat().st_size
    assert target.read_bytes() == export(read_trace(source), name)
    assert sorted(path.name for path in target.parent.iterdir()) == ["out", "run.jsonl"]


def test_export_of_one_step_and_table(file: Callable[..., str], capsys: Capture) -> None:
    source = file("run.jsonl", new_tokens=20)
    out = Path(source).with_name("out.svg")
    assert main(["export", source, "--to", "svg", "--step", "2", "-o", str(out)]) == 0
    assert "step 2" in (ElementTree.parse(out).getroot()[0].text or "")
    assert "bytes" in capsys.readouterr().out
    assert main(["export", source, "--to", "csv", "--table", "nodes", "-o", str(out)]) == 0
    trace = read_trace(source)
    rows = list(csv.DictReader(io.StringIO(out.read_text(encoding="utf-8"))))
    assert len(rows) == sum(step.tree.nodes for step in trace.steps)


def test_export_to_standard_output_is_the_file_alone(file: Callable[..., str]) -> None:
    source = file("run.jsonl", new_tokens=12)
    command = [sys.executable, "-m", "playground", "export", source, "--to", "jsonl.gz", "-o", "-"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, timeout=300, check=True)
    assert done.stdout == export(read_trace(source), "jsonl.gz") and done.stderr == b""


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--to", "pdf", "-o", "x"], "Format is 'pdf', but must be one of: jsonl"),
        (["--to", "png", "-o", "x"], "PNG is drawn by a browser"),
        (["--to", "svg", "-o", "x", "--step", "0"], "Step is 0, but the trace has steps 1 to"),
        (["--to", "svg", "-o", "x", "--step", "999"], "Step is 999, but the trace has steps 1 to"),
        (["--to", "jsonl", "-o", "/proc/none/x"], "cannot be written to /proc/none/x"),
        (["--to", "jsonl", "-o", "-", "--json"], "-o - writes the export to standard output"),
    ],
)
def test_bad_exports_are_one_sentence(
    arguments: list[str], message: str, file: Callable[..., str], capsys: Capture
) -> None:
    assert main(["export", file("run.jsonl", new_tokens=12), *arguments]) == 2
    told = capsys.readouterr()
    assert not told.out and message in told.err and told.err.count("\n") == 1


def test_stats_of_each_and_together(file: Callable[..., str], capsys: Capture) -> None:
    paths = [file("a.jsonl", new_tokens=30, seed=1), file("b.jsonl", new_tokens=40, seed=2, width=3)]
    traces = [read_trace(path) for path in paths]
    steps = [step for trace in traces for step in trace.steps]
    assert main(["stats", *paths, "--json"]) == 0
    found = result(capsys)
    assert [one["file"] for one in found["traces"]] == paths
    together = found["together"]
    assert together["steps"] == len(steps)
    assert together["tokens_per_step"] == pytest.approx(sum(len(step.emitted) for step in steps) / len(steps))
    accepted = sum(step.accepted for step in steps)
    assert sum(at["accepted"] for at in together["accepted_at"]) == accepted
    tree = found["traces"][0]["tree"]
    assert tree["nodes"] == pytest.approx(sum(tree["width_by_level"]))
    assert main(["stats", *paths]) == 0
    out = capsys.readouterr().out
    assert out.count("jsonl") == 2 and f"2 runs: {together['tokens_per_step']:.2f} tokens per step" in out


def test_stats_of_a_run_cut_off(tmp_path: Path, capsys: Capture) -> None:
    write_trace(make_trace(new_tokens=30, footer=False), tmp_path / "cut.jsonl")
    assert main(["stats", str(tmp_path / "cut.jsonl")]) == 0
    assert "(cut off)" in capsys.readouterr().out


def test_a_run_does_not_differ_from_itself(file: Callable[..., str], capsys: Capture) -> None:
    path = file("a.jsonl", new_tokens=30, seed=1)
    assert main(["diff", path, path, "--json"]) == 0
    found = result(capsys)
    assert found["identical"] and found["differences"] == [] and found["first_difference"] is None
    assert all(one["left"] == one["right"] for one in found["figures"]) and len(found["figures"]) > 15
    assert all(one["same_tree"] for one in found["steps"]) and len(found["steps"]) == len(read_trace(path).steps)


def test_different_runs_part_where_their_tokens_do(file: Callable[..., str], capsys: Capture) -> None:
    paths = [file("a.jsonl", new_tokens=30, seed=1), file("b.jsonl", new_tokens=40, seed=2, width=3)]
    left, right = (read_trace(path).redrafter_tokens for path in paths)
    first = next(place for place, pair in enumerate(zip(left, right, strict=False)) if pair[0] != pair[1])
    assert main(["diff", *paths, "--json"]) == 1
    found = result(capsys)
    assert found["first_difference"] == first and not found["identical"]
    assert {"name": "settings.beam_width", "left": "8", "right": "3"} in found["differences"]
    assert main(["diff", *paths]) == 1
    out = capsys.readouterr().out
    assert f"differ from new token {first + 1} on" in out and "settings.max_new_tokens: 30 | 40" in out


def test_steps_meet_where_the_text_is_the_same() -> None:
    run = make_trace(new_tokens=30, seed=1)
    longer = make_trace(new_tokens=40, seed=1)
    assert compare_runs(run, run).same_trees == len(run.steps)
    other = dataclasses.replace(run, steps=[*run.steps[:3], dataclasses.replace(run.steps[3], emitted=(0,))])
    found = compare_runs(run, other)
    assert found.first_difference is not None
    assert all(pair.new_tokens <= found.first_difference for pair in found.steps) and len(found.steps) == 4
    assert all(pair.left.position == pair.right.position for pair in compare_runs(run, longer).steps)


class Clock:
    """Time that passes only while someone sleeps."""

    def __init__(self) -> None:
        self.now, self.slept = 100.0, 0.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.slept += seconds


@pytest.mark.parametrize("speed", [1.0, 4.0])
def test_replay_takes_the_time_the_run_took(speed: float) -> None:
    trace, clock, stream = make_trace(new_tokens=30), Clock(), io.StringIO()
    play(trace, Lines(stream), speed, now=clock, sleep=clock.sleep)
    assert clock.slept == pytest.approx(moments(trace)[-1].clock_ms / 1000 / speed, abs=0.001)
    assert stream.getvalue().count("\n") == 1 + len(trace.steps) + len(trace.plain)


def test_replay_gives_each_lane_its_tokens_in_order() -> None:
    trace = make_trace(new_tokens=30, hostile=False)
    told = moments(trace)
    assert [one.clock_ms for one in told] == sorted(one.clock_ms for one in told)
    for lane, tokens in (("redrafter", trace.redrafter_tokens), ("plain", trace.plain_tokens)):
        own = [one for one in told if one.lane == lane]
        assert own[-1].tokens == len(tokens) and [one.tokens for one in own] == sorted(one.tokens for one in own)
    texts = ["".join(one.text for one in told if one.lane == lane) for lane in ("redrafter", "plain")]
    assert texts[0] == texts[1]


def test_panes_stay_in_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    stream, clock = io.StringIO(), Clock()
    play(make_trace(new_tokens=30, seed=4), Panes(stream), 1.0, now=clock, sleep=clock.sleep)
    frames = stream.getvalue().split("\x1b[16A\r")
    assert len(frames) > 3 and all(frame.count("\n") == 16 for frame in frames[2:])
    own = ("\x1b[2K", "\x1b[8A\r", "\x1b[16A\r")
    rest = stream.getvalue()
    for code in own:
        rest = rest.replace(code, "")
    assert "\x1b" not in rest and all(len(line) <= 40 for line in rest.split("\n"))


def test_wide_text_is_wrapped_by_cells() -> None:
    assert (
        wrapped("日本日本", 5) == ["日本", "日本"] and wrapped("ab\ncd", 5) == ["ab", "cd"] and wrapped("", 5) == [""]
    )


def test_replay_of_a_file(file: Callable[..., str], capsys: Capture) -> None:
    path = file("a.jsonl", new_tokens=12)
    assert main(["replay", path, "--speed", "0"]) == 0
    assert "\x1b" not in capsys.readouterr().out
    assert main(["replay", path, "--speed", "-1"]) == 2
    assert "Speed is -1" in capsys.readouterr().err


@pytest.fixture
def pair(own_cache: Path, tiny_base: Path, tiny_drafter: Path) -> list[str]:
    return ["--base", str(tiny_base), "--drafter", str(tiny_drafter), "--device", "cpu"]


RUN = ["--max-new-tokens", "12", "--beam-width", "3", "--beam-length", "2", "--dtype", "float32"]


@pytest.mark.parametrize("sampling", [[], ["--temperature", "0.9", "--seed", "3"]], ids=["greedy", "sampled"])
def test_verify_finds_the_same_run_again(sampling: list[str], pair: list[str], tmp_path: Path, capsys: Capture) -> None:
    trace, again = tmp_path / "run.jsonl", tmp_path / "again.jsonl"
    assert main(["race", "Hi", *RUN, *sampling, *pair, "--trace", str(trace), "--json"]) == 0
    result(capsys)
    assert main(["verify", str(trace), *pair, "--save", str(again), "--json"]) == 0
    found = result(capsys)
    assert found["text_agrees"] and all(claim["agrees"] for claim in found["claims"])
    assert [claim["what"] for claim in found["claims"]] == ["base model", "drafter", "prompt", "text", "picks", "trees"]
    timed = {one["name"] for one in found["comparison"]["figures"] if one["timed"]}
    assert "redrafter_tokens_per_second" in timed and "num_spec_steps" not in timed
    assert read_trace(again).redrafter_tokens == read_trace(trace).redrafter_tokens
    assert read_trace(again).header.dtype == "float32"


def test_verify_asks_for_the_shape_that_was_recorded() -> None:
    trace = make_trace(new_tokens=12, footer=False)
    settings = dataclasses.replace(trace.header.settings, nodes=9, copy_tail=True, temperature=0.5)
    header = dataclasses.replace(trace.header, settings=settings)
    again = request_again(dataclasses.replace(trace, header=header))
    assert again.shape == BeamShape(8, 5, nodes=9, copy_tail=True) and again.sampling.temperature == 0.5
    assert again.max_new_tokens == len(trace.redrafter_tokens), "a run cut off is asked for as far as it went"
    assert request_again(trace).shape == BeamShape(8, 5, nodes=None, copy_tail=False)


def test_verify_says_what_differs(pair: list[str], tmp_path: Path, capsys: Capture) -> None:
    path = tmp_path / "run.jsonl"
    assert main(["race", "Hi", *RUN, *pair, "--trace", str(path)]) == 0
    recorded = read_trace(path)
    settings = dataclasses.replace(recorded.header.settings, temperature=1.5)
    header = dataclasses.replace(recorded.header, settings=settings)
    write_trace(dataclasses.replace(recorded, header=header), path)
    capsys.readouterr()
    assert main(["verify", str(path), *pair]) == 1
    out = capsys.readouterr().out
    assert "DIFFERS text: differs from new token" in out and "agrees  base model" in out


def test_verify_refuses_another_model(pair: list[str], tmp_path: Path, capsys: Capture) -> None:
    made: Trace = make_trace(new_tokens=12, hostile=False)
    write_trace(made, tmp_path / "run.jsonl")
    assert main(["verify", str(tmp_path / "run.jsonl"), *pair]) == 2
    assert "another model. Name the trace's with --base" in capsys.readouterr().err


@pytest.mark.parametrize("verb", ["export", "stats", "diff", "replay", "verify"])
def test_every_verb_has_help(verb: str, capsys: Capture) -> None:
    with pytest.raises(SystemExit) as left:
        main([verb, "--help"])
    assert left.value.code == 0 and "TRACE" in capsys.readouterr().out


@pytest.mark.parametrize("verb", ["export", "stats", "diff", "replay"])
def test_recorded_runs_need_no_torch(verb: str, file: Callable[..., str]) -> None:
    path = file("run.jsonl", new_tokens=8)
    arguments = {"export": ["--to", "html", "-o", f"{path}.html"], "diff": [path], "replay": ["--speed", "0"]}
    code = (
        f"import sys; from playground.cli import main; main({[verb, path, *arguments.get(verb, [])]!r});"
        "sys.exit('torch' in sys.modules or 'gradio' in sys.modules or 'plotly' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
