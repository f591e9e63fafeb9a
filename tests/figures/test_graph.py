"""Prefix trees as networkx graphs: every attribute of the record, one tree for a run, and its shape in numbers."""

from __future__ import annotations

import networkx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from playground.figures.graph import run_graph, step_graph, tree_shape
from playground.figures.nodes import beams_through, draft_log_probabilities, fields_of_nodes, node_columns
from playground.trace import StepRecord, TreeRecord
from playground.views.graph import labelled, places
from tests.views.synthetic import WORDS, make_step, make_trace

THE, SKY, IS, BLUE, BECAUSE, LIGHT = range(6)


@pytest.fixture
def step() -> StepRecord:
    """Root ` the`; beams sky-is-blue and sky-is-because share two nodes, light-of-air none; the text: sky is light."""
    return make_step(2, 7, [(SKY, IS, BLUE), (SKY, IS, BECAUSE), (LIGHT, 6, 7)], [SKY, IS, LIGHT, 0])


def test_a_step_is_an_arborescence_with_all_the_record_says(step: StepRecord) -> None:
    graph = step_graph(step)
    assert networkx.is_arborescence(graph) and list(graph) == list(range(step.tree.nodes))
    assert graph.graph == {"step": 2, "position": 7}
    for node, found in graph.nodes(data=True):
        assert found["token"] == step.tree.token[node] and found["depth"] == step.tree.depth[node]
        assert found["depth"] == networkx.shortest_path_length(graph, 0, node)
        assert found["log_probability"] == step.log_probability[node] and found["rank"] == step.rank[node]
        assert bytes.fromhex(found["bytes"]) == WORDS[found["token"]]
    assert "draft_log_probability" not in graph.nodes[0]
    accepted = [edge for edge in graph.edges if graph.edges[edge]["accepted"]]
    assert accepted == [(0, 1), (1, 2)] == list(networkx.utils.pairwise(step.path))
    assert [graph.nodes[node]["status"] for node in (0, 1, 2, 3, 5)] == [
        "root",
        "accepted",
        "accepted",
        "rejected",
        "rejected",
    ]
    assert graph.nodes[2]["pick"] == LIGHT and "pick" not in graph.nodes[3]


def test_the_shape_of_a_tree(step: StepRecord) -> None:
    shape = tree_shape(step_graph(step))
    assert (shape.nodes, shape.depth, shape.leaves) == (8, 3, 3)
    assert shape.width_by_level == (1, 2, 2, 3)
    assert shape.branching == pytest.approx(7 / 5)  # 7 children of 5 nodes that have any
    assert shape.shared == 2 and shape.slots_saved == 2 == step.beam_slots - (step.tree.nodes - 1)


def test_a_run_is_one_tree_along_its_accepted_tokens() -> None:
    trace = make_trace(new_tokens=40, seed=3)
    graph = run_graph(trace)
    assert networkx.is_arborescence(graph)
    assert graph.number_of_nodes() == sum(step.tree.nodes for step in trace.steps)
    last = trace.steps[-1]
    way = networkx.shortest_path(graph, "0.0", f"{last.index}.{last.path[-1]}")
    assert [graph.nodes[name]["token"] for name in way] == trace.redrafter_tokens[:-1]
    assert all(graph.edges[edge]["accepted"] for edge in networkx.utils.pairwise(way))
    assert sum(found for *_, found in graph.edges(data="accepted")) == len(way) - 1


def test_columns_follow_the_records_fields(step: StepRecord) -> None:
    assert fields_of_nodes(TreeRecord)[:3] == ("token", "parent", "depth")
    assert fields_of_nodes(StepRecord)[:2] == ("log_probability", "rank")
    assert not {"path", "picks", "emitted", "node_of"} & {*fields_of_nodes(TreeRecord), *fields_of_nodes(StepRecord)}
    assert all(len(values) == step.tree.nodes for values in node_columns(step).values())
    assert beams_through(step)[1] == (0, 1) and beams_through(step)[0] == (0, 1, 2)
    assert draft_log_probabilities(step)[0] is None and draft_log_probabilities(step)[2] == pytest.approx(-0.4)


def test_labels_and_places(step: StepRecord) -> None:
    graph = labelled(step_graph(step))
    assert graph.nodes[1]["label"] == "·sky"
    found = places(graph)
    assert all(found[node].column == step.tree.depth[node] for node in graph)
    leaves = [found[node].row for node in graph if not graph.out_degree(node)]
    assert leaves == sorted(leaves) and len(set(leaves)) == 3


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 10_000), max_size=60))
def test_places_never_cross(choices: list[int]) -> None:
    graph = networkx.DiGraph()
    graph.add_node(0)
    graph.add_edges_from((choice % node, node) for node, choice in enumerate(choices, 1))
    found = places(graph)
    assert sorted(found[node].row for node in graph if not graph.out_degree(node)) == list(
        range(sum(not graph.out_degree(node) for node in graph))
    )
    for node in graph:
        below = [found[child] for child in graph.successors(node)]
        assert all(place.column == found[node].column + 1 for place in below)
        assert not below or found[node].row == (below[0].row + below[-1].row) / 2
    edges = [(found[above], found[node]) for above, node in graph.edges]
    for left, right in edges:
        for other_left, other_right in edges:
            if left.column == other_left.column and left.row < other_left.row:
                assert right.row < other_right.row


def test_a_whole_run_has_its_places() -> None:
    graph = run_graph(make_trace(new_tokens=30))
    assert len(places(graph)) == graph.number_of_nodes() and places(networkx.DiGraph()) == {}
