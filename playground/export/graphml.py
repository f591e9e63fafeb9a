"""Prefix trees as GraphML: one step's, or the whole run's as one tree. networkx writes it; nothing that XML cannot hold
reaches it. Lists become JSON text, a number that is none is left out. The `desc` of every key says where its attribute
comes from."""

from __future__ import annotations

import io
import json
from typing import Any
from xml.etree import ElementTree

from networkx.readwrite.graphml import GraphMLWriter

from playground.export.columns import EDGE_SOURCES, GRAPH_SOURCES
from playground.export.values import to_json
from playground.figures.graph import Tree, run_graph, step_graph
from playground.trace import StepRecord, Trace
from playground.views.graph import labelled
from playground.views.token_text import visible


def to_graphml(source: Trace | StepRecord) -> bytes:
    """The tree of a step, or of all steps of a run, hung one below the other."""
    graph = labelled(run_graph(source) if isinstance(source, Trace) else step_graph(source))
    writer = GraphMLWriter(encoding="utf-8")
    writer.add_graph_element(_plain(graph))
    _describe(writer.xml)
    stream = io.BytesIO()
    writer.dump(stream)
    return stream.getvalue()


def _describe(document: ElementTree.Element) -> None:
    """A `desc` in every key, where GraphML has it: before anything else."""
    for key in document.iterfind("key"):
        source = (EDGE_SOURCES if key.get("for") == "edge" else GRAPH_SOURCES)[key.attrib["attr.name"]]
        desc = ElementTree.Element("desc")
        desc.text = f"{source.kind}: {source.words}"
        key.insert(0, desc)


def _plain(graph: Tree) -> Tree:
    """The same graph with attributes of GraphML's kinds only."""
    plain = Tree(**_attributes(graph.graph))
    plain.add_nodes_from((node, _attributes(found)) for node, found in graph.nodes(data=True))
    plain.add_edges_from((a, b, _attributes(found)) for a, b, found in graph.edges(data=True))
    return plain


def _attributes(found: dict[str, Any]) -> dict[str, str | int | float | bool]:
    values = {name: to_json(value) for name, value in found.items()}
    return {name: _attribute(value) for name, value in values.items() if value is not None}


def _attribute(value: Any) -> str | int | float | bool:
    if isinstance(value, str):
        return visible(value)
    if isinstance(value, bool | int | float):
        return value
    return json.dumps(value, ensure_ascii=False, allow_nan=False)
