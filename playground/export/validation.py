"""JSON text -> records, checked against the records' own types by pydantic.

pydantic is imported when the first trace is read, so that recording needs none. Strict: no text for a number, no
number for text; unknown keys are ignored. Knows the records' types and nothing of files.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, TypeVar

from playground.config import PlaygroundError

if TYPE_CHECKING:
    from pydantic import RootModel
    from pydantic_core import ErrorDetails

R = TypeVar("R")

EXPECTED = {
    "int_type": "a whole number",
    "float_type": "a number",
    "finite_number": "a number",
    "bool_type": "true or false",
    "string_type": "text",
    "tuple_type": "a list",
    "dataclass_type": "an object",
    "dict_type": "an object",
    "mapping_type": "an object",
    "bytes_type": "bytes in hexadecimal",
    "bytes_invalid_encoding": "bytes in hexadecimal",
    "int_parsing": "under a token id",
    "literal_error": "one of {expected}",
    "greater_than": "a number above {gt:.16g}",
    "greater_than_equal": "a number from {ge:.16g} up",
    "less_than_equal": "a number up to {le:.16g}",
    "too_long": "a list of {max_length}",
}


class InvalidRecord(ValueError):
    """A value does not have the shape its type asks for; the message names the dotted way to it."""


def from_json(expected: type[R], text: bytes) -> R:
    """The record of type `expected` that one line of JSON stands for.

    Raises:
        InvalidRecord: a missing key or a value of the wrong kind.
        PlaygroundError: pydantic is not installed.
    """
    wanted: Any = expected
    model = _model(wanted)
    from pydantic import ValidationError

    try:
        found: R = model.model_validate_json(text).root
    except ValidationError as error:
        raise InvalidRecord(_sentence(error.errors(include_url=False)[0])) from error
    return found


@functools.cache
def _model(record: Any) -> type[RootModel[Any]]:
    """A pydantic model around a record; its settings reach the records inside."""
    try:
        from pydantic import ConfigDict, RootModel
    except ImportError as error:
        raise PlaygroundError(
            "Reading a trace needs pydantic, which is not installed here. Install it: pip install pydantic"
        ) from error

    class Line(RootModel[record]):
        model_config = ConfigDict(strict=True, allow_inf_nan=False, val_json_bytes="hex")

    return Line


def _sentence(error: ErrorDetails) -> str:
    key = _dotted(error["loc"])
    if error["type"] == "missing":
        return f"{key} is missing, though the format asks for it"
    expected = EXPECTED.get(error["type"])
    if expected is None:
        return f"{key}: {error['msg']}" if key else error["msg"]
    shown = repr(error["input"])
    shown = shown[:60] + "..." if len(shown) > 60 else shown
    return f"{key or 'the record'} is {shown}, not {expected.format(**error.get('ctx', {}))}"


def _dotted(way: tuple[int | str, ...]) -> str:
    """`tree.node_of[2][0]`; a wrong key of a mapping is named like its value."""
    parts = [f"[{part}]" if isinstance(part, int) else f".{part}" for part in way if part != "[key]"]
    return "".join(parts).removeprefix(".")
