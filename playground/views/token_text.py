"""Bytes of tokens as text a person can read, one token at a time or as running text.

Model output is hostile input: nothing here makes markup, and whatever has no shape of its own (controls, zero-width
and direction marks, lone bytes) gets a visible sign. Knows no tokenizer; the trace carries the bytes.
"""

from __future__ import annotations

import codecs
import unicodedata
from collections.abc import Iterable

_SIGNS = {"\n": "↵", "\r": "␍", "\t": "⇥"}


def token_label(raw: bytes) -> str:
    """One token as a label: ` the` becomes `·the`, a newline `↵`, a lone byte `⟨E2⟩`.

    Args:
        raw: the token's bytes, perhaps only a part of a character.
    """
    text = "".join(_pieces(raw))
    if not text:
        return "⟨empty⟩"
    bare = text.strip(" ")
    if not bare:
        return "·" * len(text)
    lead, tail = text.index(bare[0]), len(text) - len(text.rstrip(" "))
    inner = "".join(_visible(char, first=place == 0) for place, char in enumerate(bare))
    return "·" * lead + inner + "·" * tail


def quoted(raw: bytes) -> str:
    """A token inside a sentence: `' the'`, spaces kept, everything without a shape made visible."""
    text = "".join(_pieces(raw))
    return "'" + "".join(char if char == " " else _visible(char, first=False) for char in text) + "'"


def visible(text: str) -> str:
    """Any text on one line, everything without a shape made visible: fit for XML, a file's title, a terminal."""
    return "".join(char if char == " " else _visible(char, first=False) for char in text)


def hex_bytes(raw: bytes) -> str:
    """Bytes in hexadecimal, `20 74 68 65`."""
    return raw.hex(" ").upper()


def cells(text: str) -> int:
    """Cells a text takes in a monospaced face: wide scripts count double, marks nothing."""
    return sum(
        0 if unicodedata.category(char) in ("Mn", "Me") else 2 if unicodedata.east_asian_width(char) in "WF" else 1
        for char in text
    )


class RunningText:
    """Text that comes token by token; a character of several tokens stands with the token that completes it."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def feed(self, raw: bytes) -> str:
        """The next token's part of the text, empty where it only begins a character."""
        return self._decoder.decode(raw)

    def rest(self) -> str:
        """A sign for a character that was begun and never finished; empty where there is none."""
        return self._decoder.decode(b"", final=True)


def _pieces(raw: bytes) -> Iterable[str]:
    """Valid stretches as text, every other byte as `⟨E2⟩`."""
    while raw:
        try:
            yield raw.decode("utf-8")
            return
        except UnicodeDecodeError as error:
            yield raw[: error.start].decode("utf-8")
            yield "".join(f"⟨{byte:02X}⟩" for byte in raw[error.start : error.end])
            raw = raw[error.end :]


def _visible(char: str, *, first: bool) -> str:
    category = unicodedata.category(char)
    if char in _SIGNS:
        return _SIGNS[char]
    if category == "Cc":
        code = ord(char)
        return chr(0x2400 + code) if code < 0x20 else "␡" if code == 0x7F else f"⟨U+{code:04X}⟩"
    if category in ("Cf", "Co", "Cs", "Cn", "Zl", "Zp") or char in ("\u115f", "\u1160", "\u3164", "\uffa0", "\u034f"):
        return f"⟨U+{ord(char):04X}⟩"
    if category == "Zs" and char != " ":
        return f"⟨U+{ord(char):04X}⟩"
    if category in ("Mn", "Me") and first:
        return "◌" + char
    return char
