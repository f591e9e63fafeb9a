"""A record as one line of a trace.

A line is written between two steps of a run, so it is one call of a library that walks the record by itself. Knows no
file; what a number that JSON cannot say becomes stands in `values`.
"""

from __future__ import annotations

import orjson

from playground.export.values import to_json
from playground.trace import LINE_TYPES, Record, SweepRecord

_OPTIONS = orjson.OPT_NON_STR_KEYS | orjson.OPT_APPEND_NEWLINE
_STARTS = {kind: orjson.dumps({"type": name})[:-1] + b"," for name, kind in LINE_TYPES.items()}


def line_of(record: Record | SweepRecord) -> bytes:
    """One line, UTF-8, its newline included.

    Raises:
        TypeError: something that is no part of a record.
        ValueError: a text with half a character.
    """
    return _STARTS[type(record)] + _body(record)[1:]


def _body(record: Record | SweepRecord) -> bytes:
    """The record as a JSON object.

    The library writes null for what is no number and for what is infinite alike. So a line with more nulls than the
    record has empty fields (a text may hold the word, too) is made from plain values.
    """
    try:
        body = orjson.dumps(record, bytes.hex, _OPTIONS)
    except TypeError:  # a mapping that is no dict, or half a character
        return _from_values(record)
    nulls = body.count(b"null")
    return body if not nulls or nulls == list(vars(record).values()).count(None) else _from_values(record)


def _from_values(record: Record | SweepRecord) -> bytes:
    values = to_json(record)
    try:
        return orjson.dumps(values, option=_OPTIONS)
    except TypeError as error:
        raise ValueError(f"A record is no Unicode text: {error}.") from error
