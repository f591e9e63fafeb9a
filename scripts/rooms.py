"""Which rooms and files the product has and what each imports; draws the rooms: `python -m scripts.rooms`.

Reads source text only, so that imports inside functions and under TYPE_CHECKING count too. The drawing goes between two
marks of docs/architecture.md.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import networkx

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "architecture.md"
BEGIN, END = "<!-- drawn by python -m scripts.rooms -->", "<!-- end of the drawing -->"


def sources(root: Path = ROOT) -> Iterator[tuple[str, Path]]:
    """Every product file with the room it stands in."""
    for path in sorted((root / "kernels").rglob("*.py")):
        yield "kernels", path
    for path in sorted((root / "playground").rglob("*.py")):
        first = path.relative_to(root / "playground").parts[0]
        if first != "__init__.py":
            yield first.removesuffix(".py"), path
    if (root / "app.py").exists():
        yield "app", root / "app.py"


def imported(path: Path, root: Path = ROOT) -> Iterator[tuple[int, str]]:
    """Absolute module names a file imports anywhere, with their lines."""
    package = path.relative_to(root).parent.parts
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            start = package[: len(package) - node.level + 1] if node.level else ()
            module = ".".join((*start, *(node.module or "").split("."))).strip(".")
            yield node.lineno, module
            yield from ((node.lineno, f"{module}.{alias.name}") for alias in node.names)


def room_of(module: str) -> str | None:
    """The room of a module of the product, None for any other module."""
    parts = module.split(".")
    if parts[0] in {"kernels", "app"}:
        return parts[0]
    if parts[0] == "playground" and len(parts) > 1 and not parts[1].startswith("__version"):
        return parts[1]
    return None


def module_of(path: Path, root: Path = ROOT) -> str:
    parts = path.relative_to(root).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def files_named(path: Path, known: set[str], root: Path = ROOT) -> set[str]:
    """The files of `known` that a file imports; `from package import file` names the file, not the package's face."""
    by_line: dict[int, list[str]] = {}
    for line, module in imported(path, root):
        by_line.setdefault(line, []).append(module)
    found: set[str] = set()
    for modules in by_line.values():
        package, names = modules[0], modules[1:]
        found |= set(names) & known
        if package in known and not (names and all(name in known for name in names)):
            found.add(package)
    return found


def files_between(root: Path = ROOT) -> dict[str, set[str]]:
    """Which product files each product file imports anywhere. A package stands for its `__init__`."""
    known = {module_of(path, root) for _, path in sources(root)} | {"playground"}
    arrows: dict[str, set[str]] = {}
    for _, path in sources(root):
        own = module_of(path, root)
        arrows[own] = {target for target in files_named(path, known, root) if target != own}
    return arrows


def rooms_between() -> networkx.DiGraph:
    """An arrow from each room to every room it imports."""
    graph = networkx.DiGraph()
    for room, path in sources():
        graph.add_node(room)
        for _, module in imported(path):
            target = room_of(module)
            if target is not None and target != room:
                graph.add_edge(room, target)
    graph.remove_node("__main__")  # calls `cli`
    return graph


def drawing() -> str:
    """The rooms as a Mermaid drawing; an arrow that follows from two others is left out."""
    graph = rooms_between()
    fewer = networkx.transitive_reduction(graph)
    lines = ["```mermaid", "flowchart RL"]
    lines += [f"  {room}[{room}]" for room in sorted(graph)]
    lines += [f"  {room} --> {target}" for room, target in sorted(fewer.edges)]
    return "\n".join([*lines, "```"])


def with_drawing(page: str) -> str:
    """The page with today's drawing in it."""
    before, rest = page.split(BEGIN)
    return f"{before}{BEGIN}\n{drawing()}\n{END}{rest.split(END)[1]}"


def main() -> None:
    PAGE.write_text(with_drawing(PAGE.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
