"""Write the JSON Schema of a trace's lines from the records: `python -m scripts.trace_schema`.

Types and limits come from the records' annotations through pydantic, descriptions from their docstrings and comments.
"""

from __future__ import annotations

import dataclasses
import json
from typing import Any, get_args, get_type_hints

from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema

from playground.export.jsonl import SCHEMA_FILE
from playground.trace import LINE_TYPES, SCHEMA_VERSION
from scripts.field_comments import field_comments

ABOUT = (
    "A trace is JSON Lines: a header, then prompt, step, plain and parity records, then a footer. This describes "
    "one line. Readers ignore unknown keys and record types and refuse a newer major schema_version. Infinity is "
    "written as +-1e30, not-a-number as null."
)


class Untitled(GenerateJsonSchema):
    """Without a title for every field: it would only repeat the key."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False


def schema() -> dict[str, Any]:
    """The schema of one line."""
    adapters: list[Any] = [(kind.__name__, "validation", TypeAdapter(kind)) for kind in LINE_TYPES.values()]
    _, found = TypeAdapter.json_schemas(adapters, ref_template="#/$defs/{model}", schema_generator=Untitled)
    definitions = found["$defs"]
    for kind in _records_in(tuple(LINE_TYPES.values())):
        _describe(definitions[kind.__name__], kind)
    header = definitions["Header"]
    header["required"] += ["schema", "schema_version"]  # what tells a reader that it can read the rest
    return {
        "$schema": GenerateJsonSchema.schema_dialect,
        "$id": f"urn:redrafter-playground:trace:{SCHEMA_VERSION.split('.')[0]}",
        "title": "ReDrafter Playground trace, one line",
        "description": ABOUT,
        "type": "object",
        "required": ["type"],
        "properties": {"type": {"type": "string"}},
        "allOf": [
            {"if": {"properties": {"type": {"const": name}}}, "then": {"$ref": f"#/$defs/{kind.__name__}"}}
            for name, kind in LINE_TYPES.items()
        ],
        "$defs": definitions,
    }


def _describe(definition: dict[str, Any], kind: type[Any]) -> None:
    """Add what the source says beside the fields."""
    for name, comment in field_comments(kind).items():
        definition["properties"][name]["description"] = comment


def _records_in(kinds: tuple[Any, ...]) -> set[type[Any]]:
    """The dataclasses among types, and those in their fields."""
    found: set[type[Any]] = set()
    waiting = list(kinds)
    while waiting:
        kind = waiting.pop()
        if dataclasses.is_dataclass(kind) and isinstance(kind, type) and kind not in found:
            found.add(kind)
            waiting += get_type_hints(kind, include_extras=True).values()
        else:
            waiting += [part for part in get_args(kind) if part is not Ellipsis]
    return found


def text() -> str:
    return json.dumps(schema(), indent=1, ensure_ascii=False) + "\n"


def main() -> None:
    SCHEMA_FILE.write_text(text(), encoding="utf-8")


if __name__ == "__main__":
    main()
