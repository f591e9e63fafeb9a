"""Prefix trees as networkx graphs: one step's, a whole run's, and the shape of a tree in numbers.

Every node carries all that the record says of it; an absent value is an absent attribute. Knows token ids and bytes, no
text and no plane: labels and places are the views'.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import TypeAlias

import networkx

from playground.figures.nodes import node_columns
from playground.trace import StepRecord, Trace

Tree: TypeAlias = networkx.DiGraph


@dataclass(frozen=True)
class TreeShape:
    """A prefix tree in numbers; the root is no drafted node but has a level of its own."""

    nodes: int
    depth: int  # of the deepest node
    leaves: int
    branching: float  # children of a node that has any, on average
    width_by_level: tuple[int, ...]  # [depth + 1] nodes at each depth, the root's first
    shared: int  # drafted nodes that more than one beam runs through
    slots_saved: int  # beam slots that merging equal prefixes saved


@dataclass(frozen=True)
class MeanShape:
    """Prefix trees of many steps on average."""

    steps: int
    nodes: float
    depth: float
    leaves: float
    branching: float
    shared: float
    slots_saved: float
    width_by_level: tuple[float, ...]  # over all steps, also those that do not reach the level


def step_graph(step: StepRecord) -> Tree:
    """The prefix tree of a step: nodes 0..N-1, edges from parent to child.

    Node attributes: the node columns of `playground.figures.nodes`, `bytes` (the token's, in hexadecimal), and on
    nodes with a pick `pick`, `pick_log_probability`, `pick_rank`. Edge attribute: `accepted`.
    Graph attributes: `step`, `position`.
    """
    graph = Tree(step=step.index, position=step.position)
    columns = node_columns(step)
    for node in range(step.tree.nodes):
        named = {name: values[node] for name, values in columns.items() if values[node] is not None}
        graph.add_node(node, **named, bytes=step.token_bytes.get(step.tree.token[node], b"").hex())
    path = set(step.path)
    graph.add_edges_from(
        (parent, node, {"accepted": node in path}) for node, parent in enumerate(step.tree.parent) if parent >= 0
    )
    for pick in step.picks:
        graph.nodes[pick.node].update(pick=pick.token, pick_log_probability=pick.log_probability, pick_rank=pick.rank)
    return graph


def run_graph(trace: Trace) -> Tree:
    """The whole run as one tree: the trees of its steps, each hung where the one before it ended.

    Nodes are named `step.node`, like `3.0`, and carry `step` beside the attributes of `step_graph`. An edge from a
    step's last accepted node to the next step's root has `accepted` true: it is the base model's own pick.
    """
    whole = Tree(run=trace.header.run_id)
    before: str | None = None
    for step in trace.steps:
        graph = step_graph(step)
        for node, found in graph.nodes(data=True):
            whole.add_node(f"{step.index}.{node}", **found, step=step.index)
        whole.add_edges_from(
            (f"{step.index}.{a}", f"{step.index}.{b}", found) for a, b, found in graph.edges(data=True)
        )
        if before is not None:
            whole.add_edge(before, f"{step.index}.0", accepted=True)
        before = f"{step.index}.{step.path[-1]}"
    return whole


def tree_shape(graph: Tree) -> TreeShape:
    """The shape of one step's tree (of `step_graph`)."""
    levels = Counter(found["depth"] for _, found in graph.nodes(data=True))
    children = [count for _, count in graph.out_degree() if count]
    through = [len(found["beams"]) for node, found in graph.nodes(data=True) if node != 0]
    return TreeShape(
        nodes=graph.number_of_nodes(),
        depth=max(levels, default=0),
        leaves=graph.number_of_nodes() - len(children),
        branching=sum(children) / len(children) if children else 0.0,
        width_by_level=tuple(levels[depth] for depth in range(max(levels, default=-1) + 1)),
        shared=sum(count > 1 for count in through),
        slots_saved=sum(count - 1 for count in through),
    )


def mean_shape(steps: Sequence[StepRecord]) -> MeanShape:
    """The average tree of at least one step."""
    shapes = [tree_shape(step_graph(step)) for step in steps]
    levels = max(len(shape.width_by_level) for shape in shapes)
    widths = [[*shape.width_by_level, *[0] * (levels - len(shape.width_by_level))] for shape in shapes]
    return MeanShape(
        steps=len(shapes),
        nodes=fmean(shape.nodes for shape in shapes),
        depth=fmean(shape.depth for shape in shapes),
        leaves=fmean(shape.leaves for shape in shapes),
        branching=fmean(shape.branching for shape in shapes),
        shared=fmean(shape.shared for shape in shapes),
        slots_saved=fmean(shape.slots_saved for shape in shapes),
        width_by_level=tuple(fmean(column) for column in zip(*widths, strict=True)),
    )
