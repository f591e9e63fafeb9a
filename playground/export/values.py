"""Records as plain JSON values, driven by the values themselves.

Bytes become hex strings and the keys of a mapping become strings; numbers that JSON cannot say become null (not a
number) or +-1e30 (infinite). Standard library only: runs are recorded where pydantic is not installed. Knows no file
and no record in particular; `validation` is the way back.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Mapping
from typing import Any

from playground.trace import INFINITE

_PLAIN = frozenset({str, int, bool, type(None)})


def to_json(value: Any) -> Any:
    """Plain JSON values of a record, in the order of its fields.

    Raises:
        TypeError: something that is no part of a record.
    """
    kind: Any = type(value)
    if kind in _PLAIN:
        return value
    if kind is float:
        return value if math.isfinite(value) else _finite(value)
    if kind is tuple or kind is list:
        return _list(value)
    if kind is bytes:
        return value.hex()
    if names := _field_names(kind):
        return {name: to_json(getattr(value, name)) for name in names}
    if isinstance(value, Mapping):
        return {str(key): to_json(item) for key, item in value.items()}
    if isinstance(value, str | int):  # of a kind of its own, like a library's version
        return value
    raise TypeError(f"A record holds {kind.__name__}, which JSON cannot say.")


def _list(values: tuple[Any, ...] | list[Any]) -> list[Any]:
    """Most lists hold numbers of one kind, which are looked at together."""
    kinds = set(map(type, values))
    if kinds <= _PLAIN or (kinds == {float} and all(map(math.isfinite, values))):
        return list(values)
    return [to_json(item) for item in values]


def _finite(value: float) -> float | None:
    return None if math.isnan(value) else math.copysign(INFINITE, value)


@functools.cache
def _field_names(kind: Any) -> tuple[str, ...]:
    return tuple(field.name for field in dataclasses.fields(kind)) if dataclasses.is_dataclass(kind) else ()
