"""Traces out of the playground and back into it. Knows only the records and what the views make of them."""

from __future__ import annotations

from playground.export.formats import FORMATS, Wish, export
from playground.export.jsonl import TraceError, encode, notice, parse_trace, read_trace, write_record, write_trace
from playground.export.values import to_json

__all__ = [
    "FORMATS",
    "TraceError",
    "Wish",
    "encode",
    "export",
    "notice",
    "parse_trace",
    "read_trace",
    "to_json",
    "write_record",
    "write_trace",
]
