"""Seeded ways to break JSON and bytes: values of other kinds, edges of ranges, pieces lost, doubled, swapped."""

from __future__ import annotations

import random
from typing import Any

ODD: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 2**31, 2**53, 2**63, -(2**63), 10**30, 0.5, -0.0, 1e300, -1e300, 1e-300, "", "x",
    "\x00",
    "<script>alert(1)</script>", "../../etc/passwd", "\u202e", "😀" * 9, "9" * 400, [], {}, [[]], [None], {"": None},
    ["x"] * 70, list(range(40)),
)  # fmt: skip

PIECES = (b"\x00", b"\xff", b"[", b"{", b'"', b"\\", b"\n", b"1e999", b"NaN", b"\xed\xa0\x80")


def places(value: Any, way: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The ways to everything inside a JSON value."""
    found = [way] if way else []
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        found += places(item, (*way, key))
    return found


def mutated(dice: random.Random, value: Any) -> Any:
    """A JSON value with one thing in it changed, in place."""
    ways = places(value)
    if not ways:
        return dice.choice(ODD)
    *way, last = dice.choice(ways)
    holder = value
    for key in way:
        holder = holder[key]
    what = dice.randrange(6)
    if what == 0:
        del holder[last]
    elif what == 1 and isinstance(holder, list):
        holder.insert(last, holder[last])
    elif what == 2 and isinstance(holder[last], int | float) and not isinstance(holder[last], bool):
        holder[last] += dice.choice((-1, 1, 7, -7, 0.5, 2**20))
    elif what == 3 and isinstance(holder[last], list):
        holder[last] = holder[last] * dice.choice((0, 2, 3))
    elif what == 4 and isinstance(holder, list) and len(holder) > 1:
        other = dice.randrange(len(holder))
        holder[last], holder[other] = holder[other], holder[last]
    else:
        holder[last] = dice.choice(ODD)
    return value


def broken(dice: random.Random, content: bytes) -> bytes:
    """Bytes with pieces flipped, cut, doubled or put in."""
    found = bytearray(content)
    for _ in range(dice.choice((1, 1, 2, 8))):
        at = dice.randrange(len(found) + 1)
        end = min(len(found), at + dice.choice((1, 2, 10, 1000)))
        what = dice.randrange(4)
        if what == 0:
            del found[at:end]
        elif what == 1:
            found[at:at] = found[at:end]
        elif what == 2:
            found[at:at] = dice.choice(PIECES)
        elif at < len(found):
            found[at] = dice.randrange(256)
    return bytes(found)
