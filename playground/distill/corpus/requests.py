"""What a user says in a chat: first requests of many kinds, code that is given with a request, and what comes after.

Templates of each kind are filled from word lists and put as different people would put them. Texts that are given
with a request are in `passages`. Knows nothing of models.
"""

from __future__ import annotations

from dataclasses import dataclass

from playground.distill.corpus.manner import in_person
from playground.distill.corpus.slots import Filler, table

_SNIPPETS = 0.07  # share of the requests that give a piece of code, about as much as any other kind
_OF_ITS_KIND, _NEW_REQUEST = 0.6, 0.15  # of the follow-ups; the others would follow anything


@dataclass(frozen=True)
class Asked:
    """A request and its kind, by which follow-ups are chosen."""

    kind: str
    text: str


def compose_request(filler: Filler) -> Asked:
    """A request of any kind, without a text given."""
    if filler.draw.random() < _SNIPPETS:
        return Asked("snippet", _about_code(filler))
    kinds: dict[str, list[str]] = table("requests")
    kind = filler.draw.choice(list(kinds))
    return Asked(kind, in_person(filler.one_of(kinds[kind]), kind, filler))


def _about_code(filler: Filler) -> str:
    """A piece of code, sound or broken, with something to be done about it."""
    tables, draw = table("snippets"), filler.draw
    snippet = draw.choice(tables["snippets"])
    code = filler.fill("\n".join(snippet["lines"]))
    wording = draw.choice(tables["works" if snippet["works"] else "broken"])
    task = in_person(filler.fill(wording.replace("{clang}", snippet["language"])), "snippet", filler)
    frame: str = draw.choice(tables[draw.choice(("before", "after"))])
    fence = snippet["language"].lower()
    for name, value in (("clang", snippet["language"]), ("fence", fence), ("task", task), ("passage", code)):
        frame = frame.replace(f"{{{name}}}", value)
    return frame


def compose_follow_up(kind: str, filler: Filler) -> str:
    """What the user says next to an answer to a request of this kind."""
    follow_ups, draw = table("follow_ups"), filler.draw
    where = draw.random()
    if where < _NEW_REQUEST:
        return compose_request(filler).text
    own = follow_ups["of"][kind]
    said = follow_ups["say"][own if where < _NEW_REQUEST + _OF_ITS_KIND else "any"]
    return in_person(filler.one_of(said), "follow-up", filler)
