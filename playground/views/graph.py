"""Graphs of trees made ready to be drawn or kept: a label for every token and a place for every node.

Knows graphs of `playground.figures.graph`; nothing of how they are drawn.
"""

from __future__ import annotations

from dataclasses import dataclass

from playground.figures.graph import Tree
from playground.views.token_text import token_label
from playground.views.tree import tree_layout


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
    """A place for every node of a tree whose parents were added before their children; no two edges cross."""
    names = list(graph)
    at = {name: index for index, name in enumerate(names)}
    parent = [next((at[above] for above in graph.predecessors(name)), -1) for name in names]
    if not names:
        return {}
    layout = tree_layout(parent)
    return {name: Place(layout.column[index], layout.row[index]) for index, name in enumerate(names)}
