"""Imports point one way, between rooms and between files; those inside functions and for type checkers count too."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import networkx
import pytest

ROOT = Path(__file__).resolve().parents[1]

# Rooms from left to right; a room may look into itself and into every group left of its own.
ORDER: tuple[frozenset[str], ...] = (
    frozenset({"config", "trace", "files", "progress", "kernels"}),
    frozenset({"figures", "sampling", "memory", "line"}),
    frozenset({"sources", "drafter"}),
    frozenset({"base_model"}),
    frozenset({"decode"}),
    frozenset({"distill"}),
    frozenset({"calibration", "footprint"}),
    frozenset({"pair"}),
    frozenset({"session"}),
    frozenset({"bench"}),
    frozenset({"ui", "cli"}),
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
    "export": frozenset({"trace", "figures", "config", "files"}),
}
SIDE_ROOMS = frozenset({"views", "export"})  # outside the order: right of the records, left of screen and terminal
MAY_USE_SIDE_ROOMS = frozenset({"bench", "ui", "cli", "__main__", "app"})
SCREEN_PACKAGES = frozenset({"gradio", "plotly"})
MAY_USE_SCREEN_PACKAGES = frozenset({"ui", "views", "app"})


def rank(room: str) -> int:
    return next(index for index, rooms in enumerate(ORDER) if room in rooms)


def sources() -> Iterator[tuple[str, Path]]:
    """Every product file with the room it stands in."""
    for path in sorted((ROOT / "kernels").rglob("*.py")):
        yield "kernels", path
    for path in sorted((ROOT / "playground").rglob("*.py")):
        first = path.relative_to(ROOT / "playground").parts[0]
        if first != "__init__.py":
            yield first.removesuffix(".py"), path
    if (ROOT / "app.py").exists():
        yield "app", ROOT / "app.py"


def imported(path: Path) -> Iterator[tuple[int, str]]:
    """Absolute module names a file imports anywhere, with their lines."""
    package = path.relative_to(ROOT).parent.parts
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            start = package[: len(package) - node.level + 1] if node.level else ()
            module = ".".join((*start, *(node.module or "").split("."))).strip(".")
            yield node.lineno, module
            yield from ((node.lineno, f"{module}.{alias.name}") for alias in node.names)


def room_of(module: str) -> str | None:
    parts = module.split(".")
    if parts[0] in {"kernels", "app"}:
        return parts[0]
    if parts[0] == "playground" and len(parts) > 1 and not parts[1].startswith("__version"):
        return parts[1]
    return None


def reversed_arrow(room: str, target: str) -> bool:
    if target == room:
        return False
    if room in ONLY:
        return target not in ONLY[room]
    if target in SIDE_ROOMS:
        return room not in MAY_USE_SIDE_ROOMS
    return rank(target) >= rank(room)


def violations(room: str, path: Path) -> list[str]:
    where = path.relative_to(ROOT)
    found = []
    for line, module in imported(path):
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


def test_relative_imports_are_resolved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "playground" / "decode" / "draft.py"
    file.parent.mkdir(parents=True)
    file.write_text("from ..session import Session\nfrom . import tree\n")
    monkeypatch.setitem(globals(), "ROOT", tmp_path)
    assert {module for _, module in imported(file)} >= {"playground.session", "playground.decode.tree"}
    assert len(violations("decode", file)) == 2  # the module and the name from it


def module_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def files_named(path: Path, known: set[str]) -> set[str]:
    """The files of `known` that a file imports; `from package import file` names the file, not the package's face."""
    by_line: dict[int, list[str]] = {}
    for line, module in imported(path):
        by_line.setdefault(line, []).append(module)
    found: set[str] = set()
    for modules in by_line.values():
        package, names = modules[0], modules[1:]
        found |= set(names) & known
        if package in known and not (names and all(name in known for name in names)):
            found.add(package)
    return found


def files_between() -> dict[str, set[str]]:
    """Which product files each product file imports anywhere. A package stands for its `__init__`."""
    known = {module_of(path) for _, path in sources()} | {"playground"}
    arrows: dict[str, set[str]] = {}
    for _, path in sources():
        own = module_of(path)
        arrows[own] = {target for target in files_named(path, known) if target != own}
    return arrows


def circles(arrows: dict[str, set[str]]) -> list[list[str]]:
    """Groups of files that reach each other (strongly connected components of more than one)."""
    graph = networkx.DiGraph([(own, target) for own, targets in arrows.items() for target in targets])
    return sorted(sorted(group) for group in networkx.strongly_connected_components(graph) if len(group) > 1)


def test_no_files_import_each_other() -> None:
    assert circles(files_between()) == []


def test_a_circle_between_files_is_seen() -> None:
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}}) == [["a", "b", "c"]]


def test_an_import_inside_a_function_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    room = tmp_path / "playground" / "decode"
    room.mkdir(parents=True)
    (tmp_path / "kernels").mkdir()
    (room / "tree.py").write_text("def f():\n    from playground.decode.draft import draft\n")
    (room / "draft.py").write_text("if TYPE_CHECKING:\n    import playground.decode.tree\n")
    monkeypatch.setitem(globals(), "ROOT", tmp_path)
    assert circles(files_between()) == [["playground.decode.draft", "playground.decode.tree"]]
