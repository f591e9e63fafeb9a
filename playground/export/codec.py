"""Records <-> plain JSON values, driven by the records' own type annotations.

Bytes become hex strings and the keys of a mapping become strings; numbers that JSON cannot say become null
(not a number) or +-1e30 (infinite). Reading ignores keys it does not know and names the key that is wrong.
Knows no file and no record in particular.
"""

from __future__ import annotations

import dataclasses
import functools
import math
import types
from collections.abc import Mapping
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

INFINITE = 1e30
LARGEST = 1e300  # of a number that is read; beyond lies only what no engine wrote


class CodecError(ValueError):
    """A value does not have the shape its type asks for; `key` is the dotted way to it."""

    def __init__(self, key: str, expected: str, value: object) -> None:
        self.key = key
        shown = repr(value)
        super().__init__(f"{key or 'the record'} is {shown[:60] + '...' if len(shown) > 60 else shown}, not {expected}")


@functools.cache
def _fields(record: type[Any]) -> tuple[tuple[str, Any, bool], ...]:
    """(name, type, required) of a dataclass's fields."""
    hints = get_type_hints(record)
    return tuple(
        (
            field.name,
            hints[field.name],
            field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING,
        )
        for field in dataclasses.fields(record)
    )


def to_json(value: Any) -> Any:
    """Plain JSON values of a record, in the order of its fields."""
    if isinstance(value, float):
        return _finite(value)
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, Mapping):
        return {str(key): to_json(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [to_json(item) for item in value]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {name: to_json(getattr(value, name)) for name, _, _ in _fields(type(value))}
    raise TypeError(f"A record holds {type(value).__name__}, which JSON cannot say.")


def _finite(value: float) -> float | None:
    if math.isnan(value):
        return None
    return max(-INFINITE, min(INFINITE, value)) if math.isinf(value) else value


def from_json(expected: Any, value: Any, key: str = "") -> Any:
    """The record of type `expected` that `value` stands for.

    Raises:
        CodecError: a missing key or a value of the wrong kind.
    """
    if dataclasses.is_dataclass(expected):
        return _record(expected, value, key)
    origin = get_origin(expected)
    if origin is tuple:
        return _tuple(get_args(expected), value, key)
    if origin is Mapping:
        return _mapping(get_args(expected), value, key)
    if origin is Literal:
        if value not in get_args(expected):
            raise CodecError(key, "one of " + ", ".join(map(str, get_args(expected))), value)
        return value
    if origin in (Union, types.UnionType):
        inner = next(arm for arm in get_args(expected) if arm is not type(None))
        return None if value is None else from_json(inner, value, key)
    return _scalar(expected, value, key)


def _record(expected: Any, value: Any, key: str) -> Any:
    if not isinstance(value, dict):
        raise CodecError(key, "an object", value)
    found = {}
    for name, kind, required in _fields(expected):
        path = f"{key}.{name}" if key else name
        if name in value:
            found[name] = from_json(kind, value[name], path)
        elif required:
            raise CodecError(path, "there, though the format asks for it", None)
    return expected(**found)


def _tuple(arms: tuple[Any, ...], value: Any, key: str) -> tuple[Any, ...]:
    if not isinstance(value, list):
        raise CodecError(key, "a list", value)
    kinds = (arms[0],) * len(value) if arms[-1] is Ellipsis else arms
    if len(kinds) != len(value):
        raise CodecError(key, f"a list of {len(kinds)}", value)
    if kinds and kinds[0] is int and all(type(item) is int for item in value):
        return tuple(value)
    return tuple(from_json(kind, item, f"{key}[{i}]") for i, (kind, item) in enumerate(zip(kinds, value, strict=True)))


def _mapping(arms: tuple[Any, ...], value: Any, key: str) -> dict[Any, Any]:
    if not isinstance(value, dict):
        raise CodecError(key, "an object", value)
    key_kind, item_kind = arms
    return {
        _whole(name, key) if key_kind is int else name: from_json(item_kind, item, f"{key}.{name}")
        for name, item in value.items()
    }


def _whole(name: str, key: str) -> int:
    if not (name.isascii() and name.isdigit() and len(name) <= 18):
        raise CodecError(f"{key}.{name}", "under a token id", name)
    return int(name)


def _scalar(expected: Any, value: Any, key: str) -> Any:
    if expected is float:
        if value is None:
            return math.nan
        if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < LARGEST:
            return float(value)
        raise CodecError(key, "a number", value)
    if expected is bytes:
        try:
            return bytes.fromhex(value)
        except (TypeError, ValueError):
            raise CodecError(key, "bytes in hexadecimal", value) from None
    names = {int: "a whole number", bool: "true or false", str: "text"}
    if type(value) is not expected or (expected is int and abs(value) >= 2**63):
        raise CodecError(key, names[expected], value)
    return value
