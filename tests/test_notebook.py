"""Runs in Python: typed records, data frames, graphs, figures, and what a notebook shows of them."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import networkx
import pytest

from playground.config import PlaygroundError
from playground.export import TraceError, read_trace, write_trace
from playground.notebook import Run, read
from tests.views.synthetic import make_trace

ROOT = Path(__file__).resolve().parents[1]
EXAMPLE = min((ROOT / "assets" / "traces").glob("*.jsonl"))


@pytest.fixture
def run(tmp_path: Path) -> Run:
    write_trace(make_trace(new_tokens=40, seed=4), tmp_path / "run.jsonl")
    return read(tmp_path / "run.jsonl")


def test_data_frames_hold_every_step_and_node(run: Run) -> None:
    steps, nodes = run.to_pandas(), run.to_pandas("nodes")
    records = run.trace.steps
    assert steps["accepted"].tolist() == [step.accepted for step in records]
    assert steps["emitted"].tolist() == [list(step.emitted) for step in records]
    assert nodes.groupby("step").size().tolist() == [step.tree.nodes for step in records]
    share = (nodes["status"] == "accepted").sum() / (nodes["depth"] > 0).sum()
    assert share == pytest.approx(run.summary.draft_acceptance_rate)
    with pytest.raises(PlaygroundError, match="Table is 'rows'"):
        run.to_pandas("rows")  # type: ignore[arg-type]


def test_without_pandas_it_says_so(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(PlaygroundError, match=r"need pandas, which is not installed here\. Install it: pip install"):
        run.to_pandas()


def test_every_figure_says_where_it_comes_from(run: Run) -> None:
    summary = run.summary
    told = f"computed: accepted / drafted = {summary.num_accepted_draft_tokens} / {summary.num_draft_tokens}"
    assert run.sources["draft_acceptance_rate"] == told
    assert run.sources.keys() == {field.name for field in dataclasses.fields(summary)}


def test_graphs(run: Run) -> None:
    graph = run.steps[1].graph()
    assert networkx.is_arborescence(graph) and graph.nodes[0]["label"]
    assert run.graph().number_of_nodes() == sum(len(step.graph()) for step in run.steps)


def test_steps_are_a_sequence(run: Run) -> None:
    assert len(run.steps) == len(run.trace.steps) and run.steps[-1].record is run.trace.steps[-1]
    assert [step.record.index for step in run.steps[1:3]] == [1, 2] == [step.record.index for step in run.steps][1:3]


def test_what_a_notebook_shows_is_well_formed_and_harmless(run: Run) -> None:
    picture = ElementTree.fromstring(run.steps[0]._repr_html_())
    assert picture.tag.endswith("svg")
    tags: set[str] = set()

    class Reader(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            tags.add(tag)

    Reader().feed(run._repr_html_())
    assert tags == {"table", "tr", "th", "td"} and "&lt;img" in run._repr_html_()


def test_figures_and_files(run: Run, tmp_path: Path) -> None:
    assert len(run.figure("rates").data) == 2
    run.save(tmp_path / "again.jsonl.gz", "jsonl.gz")
    assert read_trace(tmp_path / "again.jsonl.gz") == run.trace
    with pytest.raises(TraceError, match="cannot be opened"):
        read(tmp_path / "none.jsonl")


def test_two_runs(run: Run) -> None:
    assert run.compare(run).identical and len(run.compare_figure(run).data) == 6


def test_reading_is_light() -> None:
    code = (
        "import sys; from playground.notebook import read; read(sys.argv[1]).summary;"
        "sys.exit(bool({'torch', 'gradio', 'plotly', 'pandas', 'networkx'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code, str(EXAMPLE)], cwd=ROOT, timeout=300).returncode == 0


def test_the_documented_example_runs(tmp_path: Path) -> None:
    text = (ROOT / "docs" / "traces.md").read_text(encoding="utf-8")
    code = text.split("```python\n")[1].split("```")[0]
    assert len(code.strip().splitlines()) <= 10
    (tmp_path / "run.jsonl").write_bytes(EXAMPLE.read_bytes())
    command, paths = [sys.executable, "-c", code], {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=tmp_path, env=paths, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert "rejected" in done.stdout and (tmp_path / "positions.html").stat().st_size > 1_000_000
