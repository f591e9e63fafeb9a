"""A table as comma-separated text (RFC 4180, UTF-8), and back.

Lists are JSON inside their cell, absent values are empty, true and false are words. A spreadsheet takes a cell that
begins with = + - or @ for a formula, and tokens are hostile input: such texts get an apostrophe before them, as does a
text that begins with one, so that taking one leading apostrophe away always gives the text. Numbers never have one.
Knows tables, no records.
"""

from __future__ import annotations

import csv
import io
import json
from typing import Any

from playground.export.tables import Table

GUARDED = ("=", "+", "-", "@", "'", "\t", "\r", "\n")


def to_csv(table: Table) -> str:
    """The whole table, header line first."""
    stream = io.StringIO(newline="")
    writer = csv.writer(stream, lineterminator="\r\n")
    writer.writerow(table.columns)
    writer.writerows([_cell(row[name]) for name in table.columns] for row in table.rows())
    return stream.getvalue()


def text_of_cell(cell: str) -> str:
    """The text that a cell of text stands for."""
    return cell.removeprefix("'")


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return "'" + value if value.startswith(GUARDED) else value
    return json.dumps(value, ensure_ascii=False, allow_nan=False)
