"""Traces out of the playground and back into it. Knows only the records."""

from __future__ import annotations

from playground.export.jsonl import TraceError, encode, notice, parse_trace, read_trace, write_records, write_trace
from playground.export.values import to_json

__all__ = ["TraceError", "encode", "notice", "parse_trace", "read_trace", "to_json", "write_records", "write_trace"]
