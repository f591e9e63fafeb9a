"""What kind of token one is: space, word start, word part, digit, punctuation, code, other. Knows bytes alone."""

from __future__ import annotations

import re
import unicodedata
from typing import Literal, get_args

TokenKind = Literal["space", "word start", "word part", "digit", "punctuation", "code", "other"]
KINDS: tuple[TokenKind, ...] = get_args(TokenKind)
CODE = frozenset("{}[]<>=_\\/|&*#$@^~`+%")  # signs that prose seldom has
MARK = re.compile(r"<\|[^<>]*\|>|</?s>")  # how tokenizers spell the end of a text or turn


def token_kind(raw: bytes, before: bytes) -> TokenKind:
    """The kind of the token `raw` after the token `before`.

    Bytes that are no whole characters, and the marks of a text's end, are `other`. Letters begin a word after a space
    or where `before` ends in no letter; one sign of code makes a token code.
    """
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        return "other"
    bare = text.strip()
    if not bare:
        return "space" if text else "other"
    if MARK.fullmatch(bare):
        return "other"
    if any(char in CODE for char in bare):
        return "code"
    if any(char.isalpha() for char in bare):
        begins = bare[0].isalpha() and (text[0].isspace() or not _ends_in_letter(before))
        return "word start" if begins else "word part"
    if any(char.isdigit() for char in bare):
        return "digit"
    punctuation = all(unicodedata.category(char).startswith("P") for char in bare)
    return "punctuation" if punctuation else "other"


def _ends_in_letter(raw: bytes) -> bool:
    text = raw.decode("utf-8", "ignore")
    return bool(text) and (text[-1].isalpha() or unicodedata.category(text[-1]).startswith("M"))
