"""The layout: columns by depth, no crossing, parents centred, no two nodes on one spot."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from playground.views.tree import tree_layout


def test_a_small_tree_by_hand() -> None:
    layout = tree_layout([-1, 0, 1, 1, 0], pick_at=1)
    assert layout.column == (0, 1, 2, 2, 1)
    assert layout.row == (2.0, 1.0, 0.0, 1.0, 3.0)
    assert layout.pick_row == 2.0 and (layout.columns, layout.rows) == (3, 4)


def test_the_pick_opens_a_column_of_its_own() -> None:
    layout = tree_layout([-1, 0, 1], pick_at=2)
    assert layout.columns == 4 and layout.pick_row == 0.0


def test_a_lone_root() -> None:
    layout = tree_layout([-1])
    assert layout.row == (0.0,) and (layout.columns, layout.rows) == (1, 1)


@st.composite
def parents(draw: st.DrawFn) -> list[int]:
    made = [-1]
    for node in range(1, draw(st.integers(1, 60))):
        made.append(draw(st.integers(0, node - 1)))
    return made


@given(parents())
def test_no_edges_cross_and_parents_are_centred(parent: list[int]) -> None:
    layout = tree_layout(parent)
    spots = list(zip(layout.column, layout.row, strict=True))
    assert len(set(spots)) == len(spots)
    edges = [(layout.column[p], layout.row[p], layout.row[n]) for n, p in enumerate(parent) if p >= 0]
    for column, top, end in edges:
        for other, other_top, other_end in edges:
            if other == column and other_top > top:
                assert other_end > end
    for node in range(len(parent)):
        children = [layout.row[n] for n, p in enumerate(parent) if p == node]
        if children:
            assert layout.row[node] == (min(children) + max(children)) / 2
