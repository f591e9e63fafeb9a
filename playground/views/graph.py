"""Graphs of trees made ready to be drawn or kept: a label for every token and a place for every node.

Knows graphs of `playground.figures.graph`; nothing of how they are drawn.
"""

from __future__ import annotations

from dataclasses import dataclass

import networkx

from playground.figures.graph import Tree
from playground.views.token_text import token_label


@dataclass(frozen=True)
class Place:
    """Where a node stands, in units of one cell: a column a depth, leaves a row each."""

    column: int
    row: float


def labelled(graph: Tree) -> Tree:
    """The same graph, every node with the `label` that the page shows for its token. Changes it in place."""
    for _, found in graph.nodes(data=True):
        found["label"] = token_label(bytes.fromhex(found["bytes"]))
    return graph


def places(graph: Tree) -> dict[object, Place]:
    """A place for every node of a tree, so that no two edges cross.

    A column a depth; leaves take a row each in the order their branches were added, a parent stands midway between its
    first and last child.
    """
    if not len(graph):
        return {}
    root = next(iter(graph))
    column: dict[object, int] = {root: 0}
    for above, node in networkx.bfs_edges(graph, root):
        column[node] = column[above] + 1
    row: dict[object, float] = {}
    leaves = 0
    for node in networkx.dfs_postorder_nodes(graph, root):
        below = [row[child] for child in graph.successors(node)]
        if not below:
            below, leaves = [float(leaves)], leaves + 1
        row[node] = (below[0] + below[-1]) / 2
    return {node: Place(column[node], row[node]) for node in graph}
