"""Imports point one way, between rooms and between files; those inside functions and for type checkers count too."""

from __future__ import annotations

from pathlib import Path

import networkx
import pytest

from scripts.rooms import ROOT, files_between, imported, room_of, sources

# Rooms from left to right; a room may look into itself and into every group left of its own.
ORDER: tuple[frozenset[str], ...] = (
    frozenset({"config", "trace", "files", "progress", "kernels"}),
    frozenset({"figures", "sampling", "memory", "line", "threads"}),
    frozenset({"sources", "drafter"}),
    frozenset({"base_model"}),
    frozenset({"decode"}),
    frozenset({"distill"}),
    frozenset({"calibration", "footprint", "engine_options"}),
    frozenset({"pair"}),
    frozenset({"session"}),
    frozenset({"bench"}),
    frozenset({"ui", "cli", "notebook"}),
    frozenset({"app", "__main__"}),
)
# Rooms that look only into the ones named.
ONLY: dict[str, frozenset[str]] = {
    "config": frozenset(),
    "trace": frozenset({"config"}),
    "files": frozenset(),
    "progress": frozenset(),
    "kernels": frozenset(),
    "figures": frozenset({"trace", "config"}),
    "views": frozenset({"trace", "figures", "config"}),
    "export": frozenset({"trace", "figures", "views", "config", "files"}),
}
SIDE_ROOMS = frozenset({"views", "export"})  # outside the order: right of the records, left of screen and terminal
MAY_USE_SIDE_ROOMS = frozenset({"bench", "ui", "cli", "notebook", "__main__", "app"})
SCREEN_PACKAGES = frozenset({"gradio", "plotly"})
MAY_USE_SCREEN_PACKAGES = frozenset({"ui", "views", "app"})


def rank(room: str) -> int:
    return next(index for index, rooms in enumerate(ORDER) if room in rooms)


def reversed_arrow(room: str, target: str) -> bool:
    if target == room:
        return False
    if room in ONLY:
        return target not in ONLY[room]
    if target in SIDE_ROOMS:
        return room not in MAY_USE_SIDE_ROOMS
    return rank(target) >= rank(room)


def violations(room: str, path: Path, root: Path = ROOT) -> list[str]:
    where = path.relative_to(root)
    found = []
    for line, module in imported(path, root):
        target = room_of(module)
        if target is not None and reversed_arrow(room, target):
            found.append(f"{where}:{line} ({room}) imports {module} ({target})")
        if module.split(".")[0] in SCREEN_PACKAGES and room not in MAY_USE_SCREEN_PACKAGES:
            found.append(f"{where}:{line} ({room}) imports {module}, which only the screen may")
    return found


@pytest.mark.parametrize(("room", "path"), [pytest.param(r, p, id=str(p.relative_to(ROOT))) for r, p in sources()])
def test_imports_point_left(room: str, path: Path) -> None:
    assert violations(room, path) == []


@pytest.mark.parametrize(("room", "target"), [("decode", "session"), ("kernels", "trace"), ("views", "decode")])
def test_a_reversed_arrow_is_seen(room: str, target: str) -> None:
    assert reversed_arrow(room, target)
    assert not reversed_arrow("session", "decode")


def test_relative_imports_are_resolved(tmp_path: Path) -> None:
    file = tmp_path / "playground" / "decode" / "draft.py"
    file.parent.mkdir(parents=True)
    file.write_text("from ..session import Session\nfrom . import tree\n")
    assert {module for _, module in imported(file, tmp_path)} >= {"playground.session", "playground.decode.tree"}
    assert len(violations("decode", file, tmp_path)) == 2  # the module and the name from it


def circles(arrows: dict[str, set[str]]) -> list[list[str]]:
    """Groups of files that reach each other (strongly connected components of more than one)."""
    graph = networkx.DiGraph([(own, target) for own, targets in arrows.items() for target in targets])
    return sorted(sorted(group) for group in networkx.strongly_connected_components(graph) if len(group) > 1)


def test_no_files_import_each_other() -> None:
    assert circles(files_between()) == []


def test_a_circle_between_files_is_seen() -> None:
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}}) == [["a", "b", "c"]]


def test_an_import_inside_a_function_counts(tmp_path: Path) -> None:
    room = tmp_path / "playground" / "decode"
    room.mkdir(parents=True)
    (tmp_path / "kernels").mkdir()
    (room / "tree.py").write_text("def f():\n    from playground.decode.draft import draft\n")
    (room / "draft.py").write_text("if TYPE_CHECKING:\n    import playground.decode.tree\n")
    assert circles(files_between(tmp_path)) == [["playground.decode.draft", "playground.decode.tree"]]
