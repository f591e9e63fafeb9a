"""Every format read back by a reader not ours: networkx, an XML parser, jsonschema, a checker of Perfetto's rules."""

from __future__ import annotations

import gzip
import io
import json
import math
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import jsonschema
import networkx
import pytest
from hypothesis import given, settings

from playground.config import PlaygroundError
from playground.export import FORMATS, Wish, encode, export, notice, read_trace
from playground.export.picture import SVG, to_svg
from playground.figures.graph import run_graph, step_graph
from playground.figures.provenance import summary_of, summary_sources
from playground.trace import Summary, Trace
from playground.views.graph import labelled
from playground.views.step import step_info
from tests.export.arbitrary import traces
from tests.export.perfetto_rules import problems, slices
from tests.views.synthetic import make_trace

PLENTY = settings(max_examples=40, deadline=None)


@pytest.fixture(scope="module")
def run() -> Trace:
    return make_trace(new_tokens=50, seed=4)


def refuse(word: str) -> float:
    raise AssertionError(f"{word} is not JSON")


def strict(text: bytes) -> Any:
    return json.loads(text, parse_constant=refuse)


@PLENTY
@given(traces())
def test_the_trace_itself_comes_back_packed_or_not(tmp_path_factory: pytest.TempPathFactory, trace: Trace) -> None:
    folder = tmp_path_factory.mktemp("round")
    for name in ("jsonl", "jsonl.gz"):
        path = folder / f"run.{name}"
        path.write_bytes(export(trace, name))
        assert [encode(record) for record in read_trace(path).records()] == [encode(one) for one in trace.records()]


def test_packed_is_gzip_and_the_same_every_time(run: Trace) -> None:
    packed = export(run, "jsonl.gz")
    assert gzip.decompress(packed) == export(run, "jsonl") and packed == export(run, "jsonl.gz")


def test_a_packed_trace_that_was_cut_off_loads_with_a_notice(run: Trace, tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl.gz"
    packed = export(run, "jsonl.gz")
    path.write_bytes(packed[: len(packed) // 2])
    loaded = read_trace(path)
    assert 0 < len(loaded.steps) < len(run.steps) and "cut off" in (notice(loaded) or "")


def test_a_packed_trace_that_is_broken_is_refused(run: Trace, tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl.gz"
    packed = bytearray(export(run, "jsonl.gz"))
    packed[-8:-4] = bytes(255 - byte for byte in packed[-8:-4])  # the checksum of what was packed
    path.write_bytes(packed)
    with pytest.raises(PlaygroundError, match=r"run\.jsonl\.gz, after line \d+: its packing is broken"):
        read_trace(path)


@PLENTY
@given(traces())
def test_graphml_comes_back_through_networkx(trace: Trace) -> None:
    for name in (None, 0):
        read = networkx.read_graphml(io.BytesIO(export(trace, "graphml", Wish(step=name))))
        graph = labelled(run_graph(trace) if name is None else step_graph(trace.steps[0]))
        assert networkx.is_arborescence(read)
        assert list(read) == [str(node) for node in graph]
        for node, found in graph.nodes(data=True):
            back = read.nodes[str(node)]
            assert (back["token"], back["status"], back["label"]) == (found["token"], found["status"], found["label"])
            assert json.loads(back["beams"]) == list(found["beams"])
            assert all(math.isfinite(value) for value in back.values() if isinstance(value, float))
            log_probability = found["log_probability"]
            if math.isfinite(log_probability):
                assert back["log_probability"] == log_probability
        edges = {(str(a), str(b)): kept for a, b, kept in graph.edges(data="accepted")}
        assert {(a, b): kept for a, b, kept in read.edges(data="accepted")} == edges


def test_graphml_says_where_every_attribute_comes_from(run: Trace) -> None:
    """In the `desc` of its key, which the format has for that and readers pass over."""
    space = "{http://graphml.graphdrawing.org/xmlns}"
    for step in (None, 3):
        document = ElementTree.fromstring(export(run, "graphml", Wish(step=step)))
        keys = document.findall(f"{space}key")
        assert keys and len(document.findall(f"{space}key/{space}desc")) == len(keys)
        told = {(key.get("for"), key.get("attr.name")): key[0].text or "" for key in keys}
        assert all(key[0].tag == f"{space}desc" for key in keys)
        assert told["node", "log_probability"].startswith("computed: log-softmax of the base model's logits")
        assert told["edge", "accepted"] == "computed: its end is on the accepted path"
        used = {key.get("key") for key in document.iter(f"{space}data")}
        assert used == {key.get("id") for key in keys}


@PLENTY
@given(traces())
def test_svg_is_xml_whose_text_is_the_tokens(trace: Trace) -> None:
    for step in trace.steps[:2]:
        picture = ElementTree.fromstring(to_svg(step, sampled=False, run_id=trace.header.run_id))
        assert {one.tag.removeprefix(f"{{{SVG}}}") for one in picture.iter()} <= {
            "svg", "title", "desc", "style", "path", "g", "rect", "text"
        }  # fmt: skip
        groups = picture.findall(f"{{{SVG}}}g")
        info = step_info(step)
        shown = [group.find(f"{{{SVG}}}text[@class='label']").text or "" for group in groups]  # type: ignore[union-attr]
        labels = [node.label for node in info.nodes] + ([info.pick.label] if info.pick else [])
        assert all(text == label or text[:-1] == label[:17] for text, label in zip(shown, labels, strict=True))
        assert len(picture.findall(f"{{{SVG}}}path")) == len(groups) - 1
        looks = [group.get("class") for group in groups]
        assert looks[: step.tree.nodes] == [node.status for node in info.nodes]


@PLENTY
@given(traces())
def test_perfetto_keeps_its_rules(trace: Trace) -> None:
    body = strict(export(trace, "perfetto"))
    assert problems(body) == []
    steps = slices(body, 1, "step")
    assert [one["args"]["token ids"] for one in steps] == [list(step.emitted) for step in trace.steps]
    assert len(slices(body, 2, "token")) == len(trace.plain)


def test_perfetto_times_are_the_records(run: Trace) -> None:
    body = strict(export(run, "perfetto"))
    for step, found in zip(run.steps, slices(body, 1, "step"), strict=True):
        assert found["dur"] == pytest.approx(step.ms.total * 1000, abs=0.01)
    for stage in ("draft", "verify", "commit"):
        total = sum(found["dur"] for found in slices(body, 1, stage))
        assert total == pytest.approx(sum(getattr(step.ms, stage) for step in run.steps) * 1000, abs=1)
    prompts = [slices(body, process, "prompt")[0] for process in (1, 2)]
    ends = [found["ts"] + found["dur"] for found in prompts]
    assert ends[0] == pytest.approx(ends[1]), "both lanes begin to decode together"


def test_the_rules_see_what_is_wrong(run: Trace) -> None:
    body = strict(export(run, "perfetto"))
    first, second = slices(body, 1, "step")[:2]
    second["ts"] = first["ts"] + first["dur"] / 2
    assert any("overlaps" in problem for problem in problems(body))
    assert problems({"traceEvents": [{"ph": "X", "name": "a", "pid": "1", "tid": 1, "ts": -1, "dur": 1}]})


SUMMARY_SCHEMA = {
    "type": "object",
    "required": ["format", "schema_version", "run", "summary", "sources", "vllm", "llama.cpp", "notes"],
    "additionalProperties": True,
    "properties": {
        "format": {"const": "redrafter-summary"},
        "sources": {
            "type": "object",
            "additionalProperties": {
                "type": "object",
                "required": ["kind", "words"],
                "properties": {"kind": {"enum": ["measured", "computed"]}, "words": {"type": "string", "minLength": 5}},
            },
        },
        "vllm": {
            "type": "object",
            "minProperties": 6,
            "propertyNames": {"pattern": "^vllm:[a-z_]+_total$"},
            "additionalProperties": {"anyOf": [{"type": "integer", "minimum": 0}, {"type": "object"}]},
        },
        "llama.cpp": {
            "type": "object",
            "required": [f"{part}_{what}" for part in ("prompt", "predicted") for what in ("n", "ms", "per_second")],
            "additionalProperties": {"type": ["number", "null"], "minimum": 0},
        },
    },
}


@PLENTY
@given(traces())
def test_the_summary_fits_its_schema(trace: Trace) -> None:
    body = strict(export(trace, "json"))
    jsonschema.validate(body, SUMMARY_SCHEMA)
    assert set(body["summary"]) == set(body["sources"]) == set(Summary.__dataclass_fields__)


def test_the_names_of_others_count_what_they_count(run: Trace) -> None:
    body = strict(export(run, "json"))
    accepted = sum(step.accepted for step in run.steps)
    vllm, llama = body["vllm"], body["llama.cpp"]
    assert vllm["vllm:spec_decode_num_drafts_total"] == len(run.steps)
    assert vllm["vllm:spec_decode_num_accepted_tokens_total"] == accepted == llama["draft_n_accepted"]
    assert sum(vllm["vllm:spec_decode_num_accepted_tokens_per_pos_total"].values()) == accepted
    assert llama["draft_n"] == sum(step.tree.nodes - 1 for step in run.steps)
    assert llama["predicted_per_second"] == pytest.approx(1000 * llama["predicted_n"] / llama["predicted_ms"])
    assert llama["prompt_n"] == run.prompts[0].tokens


def test_formulas_say_the_numbers_they_give(run: Trace) -> None:
    sources, summary = summary_sources(run), summary_of(run)
    for name in ("tokens_per_step", "draft_acceptance_rate", "redrafter_tokens_per_second"):
        over = sources[name].words.rpartition("= ")[2].split(" / ")
        assert float(over[0]) / float(over[1]) == pytest.approx(getattr(summary, name), rel=1e-3), name
    cut = Trace(run.header, run.prompts, run.steps[:3])
    assert summary_of(cut).num_spec_steps == 3 and "3" in summary_sources(cut)["num_spec_steps"].words


def test_every_format_writes_an_empty_run_or_says_why_not() -> None:
    empty = Trace(make_trace(new_tokens=4).header)
    for name in FORMATS:
        if name == "svg":
            with pytest.raises(PlaygroundError, match="has no step, so there is no tree"):
                export(empty, name)
        elif name != "parquet":
            assert export(empty, name)


def test_wrong_wishes_are_one_sentence(run: Trace) -> None:
    with pytest.raises(PlaygroundError, match=r"Format is 'pdf', but must be one of: jsonl, "):
        export(run, "pdf")
    with pytest.raises(PlaygroundError, match=rf"Step is 99, but the trace has steps 0 to {len(run.steps) - 1}"):
        export(run, "svg", Wish(step=99))
    with pytest.raises(PlaygroundError, match="Table is 'rows', but must be one of: steps, nodes, beams, plain"):
        Wish(table="rows")  # type: ignore[arg-type]
