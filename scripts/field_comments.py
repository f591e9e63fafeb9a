"""The trailing comments of a class's fields, read from its source: what the code says beside a field is said once."""

from __future__ import annotations

import ast
import inspect
import io
import textwrap
import tokenize
from typing import Any


def field_comments(kind: type[Any]) -> dict[str, str]:
    """Field name -> the comment on its line; fields without one are left out."""
    source = textwrap.dedent(inspect.getsource(kind))
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    by_line = {token.start[0]: token.string.lstrip("# ") for token in tokens if token.type == tokenize.COMMENT}
    (found,) = ast.parse(source).body
    assert isinstance(found, ast.ClassDef)
    return {
        field.target.id: by_line[field.end_lineno]
        for field in found.body
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and field.end_lineno in by_line
    }
