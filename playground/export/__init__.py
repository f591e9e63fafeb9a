"""Traces out of the playground and back into it. Knows only the records."""

from __future__ import annotations

from playground.export.jsonl import TraceError, encode, notice, read_trace, write_records, write_trace

__all__ = ["TraceError", "encode", "notice", "read_trace", "write_records", "write_trace"]
