"""What a request's body may be: JSON of a bounded size and a bounded shape, looked at piece by piece as it arrives.

Values are counted before anything is parsed (`export.outside_texts` says why).
Knows bytes and JSON; nothing of HTTP and of what is asked.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from playground.export.limits import MAX_SENT_BYTES
from playground.export.outside_texts import OutsideTexts, openings

MAX_CALL_BYTES = 2 * MAX_SENT_BYTES  # of a call of the page's script: a trace with its quotes escaped
MAX_EVENT_BYTES = 4 * 2**20  # of every other request: prompts and settings
MAX_VALUES = 4_000  # commas and brackets outside texts
MAX_DEPTH = 32
MAX_DIGITS = 400  # of a number

_SURROGATE = re.compile("[\ud800-\udfff]")


class BadBody(ValueError):
    """A body that is not taken; the message is a sentence."""


class BodyCheck:
    """Takes a body's pieces in order and refuses it as soon as it is known to be no body that a page sends."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._pieces: list[bytes] = []
        self._size = 0
        self._outside = OutsideTexts()
        self._values = 0

    def take(self, piece: bytes) -> None:
        """Add a piece.

        Raises:
            BadBody: too large, or too many values.
        """
        self._size += len(piece)
        if self._size > self._limit:
            raise BadBody(f"The request is larger than {self._limit:,} bytes. Send less.")
        self._pieces.append(piece)
        outside = self._outside.of(piece)
        self._values += openings(outside) + sum(part.count(b",") for part in outside)
        if self._values > MAX_VALUES:
            raise BadBody(f"The request holds more than {MAX_VALUES:,} values. Pages send no such request.")

    def value(self) -> Any:
        """The whole body, parsed.

        Raises:
            BadBody: it is not JSON, too deep, or has a text that is not Unicode.
        """
        try:
            found = json.loads(self.whole.decode("utf-8"), parse_int=_short_int, parse_constant=_no_constant)
        except (ValueError, RecursionError) as error:
            raise BadBody(
                "The request is not JSON in UTF-8 with numbers of a usual length. Reload the page."
            ) from error
        if any(_SURROGATE.search(text) for text in _texts(found)):
            raise BadBody("The request holds a text that is not Unicode: half a character. Remove it.")
        return found

    @property
    def whole(self) -> bytes:
        """All pieces."""
        return b"".join(self._pieces)


def _no_constant(text: str) -> float:
    raise ValueError(f"{text} is not JSON")


def _short_int(text: str) -> int:
    if len(text) > MAX_DIGITS:
        raise ValueError(f"a number of {len(text)} digits")
    return int(text)


def _texts(value: Any) -> Iterator[str]:
    """Every text in a parsed value.

    Raises:
        BadBody: lists inside lists, too deep.
    """
    waiting = [(value, 0)]
    while waiting:
        item, depth = waiting.pop()
        if depth > MAX_DEPTH:
            raise BadBody(
                f"The request holds lists inside lists more than {MAX_DEPTH} deep. Pages send no such request."
            )
        if isinstance(item, str):
            yield item
        elif isinstance(item, dict):
            waiting.extend((part, depth + 1) for part in (*item.keys(), *item.values()))
        elif isinstance(item, list):
            waiting.extend((part, depth + 1) for part in item)
