"""Write the types of what the page's JavaScript receives, from `playground.views.page`: `python -m scripts.page_types`.

A TypedDict becomes an interface, a named union or tuple a type; docstrings and trailing comments come along. Knows
Python's types and TypeScript's, and nothing of what they stand for.
"""

from __future__ import annotations

import ast
import inspect
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, NotRequired, Union, get_args, get_origin, is_typeddict

from playground.views import page
from scripts.field_comments import comments_by_line

TYPES_FILE = Path(__file__).resolve().parents[1] / "assets" / "js" / "types.d.ts"
HEAD = "// Written by `python -m scripts.page_types` from playground/views/page.py: change it there.\n"
UNIONS = (Union, types.UnionType, Literal)
PLAIN = {str: "string", int: "number", float: "number", bool: "boolean", type(None): "null"}


class Writer:
    """The module's definitions in their order."""

    def __init__(self) -> None:
        source = inspect.getsource(page)
        self._body = ast.parse(source).body
        self._comments = comments_by_line(source)
        self._names: dict[int, str] = {}  # by identity: equal tuples may stand for different things

    def text(self) -> str:
        found = [HEAD]
        for node in self._body:
            if isinstance(node, ast.ClassDef):
                found.append("\n".join(self._interface(node)))
            elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
                found.append("\n".join(self._alias(node, node.targets[0].id)))
        return "\n".join(found) + "\n"

    def _interface(self, node: ast.ClassDef) -> Iterator[str]:
        kind = getattr(page, node.name)
        self._names[id(kind)] = node.name
        above = [base.id for base in node.bases if isinstance(base, ast.Name) and base.id != "TypedDict"]
        yield from _described(ast.get_docstring(node), "")
        yield f"export interface {node.name}{' extends ' + ', '.join(above) if above else ''} {{"
        for field in node.body:
            if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name):
                yield from _described(self._comments.get(field.end_lineno or 0), "  ")
                yield self._field(field.target.id, eval(ast.unparse(field.annotation), vars(page)))
        yield "}\n"

    def _alias(self, node: ast.Assign, name: str) -> Iterator[str]:
        kind = getattr(page, name)
        yield from _described(self._comments.get(node.end_lineno or 0), "")
        if is_typeddict(kind):
            yield f"export interface {name} {{"
            for field, hint in kind.__annotations__.items():
                yield self._field(field, hint)
            yield "}\n"
        else:
            yield f"export type {name} = {self.type_of(kind)};\n"
        self._names[id(kind)] = name

    def _field(self, name: str, hint: Any) -> str:
        optional = get_origin(hint) is NotRequired
        return f"  {name}{'?' if optional else ''}: {self.type_of(get_args(hint)[0] if optional else hint)};"

    def type_of(self, kind: Any) -> str:
        """The TypeScript name of a Python type.

        Raises:
            TypeError: a kind of type that no picture has needed so far.
        """
        if id(kind) in self._names:
            return self._names[id(kind)]
        if kind in PLAIN:
            return PLAIN[kind]
        origin, arms = get_origin(kind), get_args(kind)
        if origin in (Union, types.UnionType):
            return " | ".join(dict.fromkeys(self.type_of(arm) for arm in arms))
        if origin is Literal:
            return " | ".join(f'"{arm}"' for arm in arms)
        if origin is list or (origin is tuple and arms[-1] is Ellipsis):
            inner = self.type_of(arms[0])
            bare = get_origin(arms[0]) in UNIONS and inner not in self._names.values()
            return f"({inner})[]" if bare else f"{inner}[]"
        if origin is tuple:
            return f"[{', '.join(self.type_of(arm) for arm in arms)}]"
        raise TypeError(f"{kind!r} has no name in TypeScript here. Teach this script, or use a type it knows.")


def _described(comment: str | None, indent: str) -> Iterator[str]:
    if comment:
        yield f"{indent}/** {comment} */"


def text() -> str:
    return Writer().text()


def main() -> None:
    TYPES_FILE.write_text(text(), encoding="utf-8")


if __name__ == "__main__":
    main()
