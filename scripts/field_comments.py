"""Trailing comments of source code: what the code says beside a field is said once."""

from __future__ import annotations

import ast
import inspect
import io
import textwrap
import tokenize
from typing import Any


def comments_by_line(source: str) -> dict[int, str]:
    """Line number, from 1 -> the comment that ends it."""
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    return {token.start[0]: token.string.lstrip("# ") for token in tokens if token.type == tokenize.COMMENT}


def field_comments(kind: type[Any]) -> dict[str, str]:
    """Field of a class -> the comment on its line; fields without one are left out."""
    source = textwrap.dedent(inspect.getsource(kind))
    comments = comments_by_line(source)
    (found,) = ast.parse(source).body
    assert isinstance(found, ast.ClassDef)
    return {
        field.target.id: comments[field.end_lineno or 0]
        for field in found.body
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and field.end_lineno in comments
    }
