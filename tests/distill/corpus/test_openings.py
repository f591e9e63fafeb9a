"""What the user says in each row: seeded, independent of other rows, in the shares asked for, short enough."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from random import Random

import pytest

from playground.config import PlaygroundError
from playground.distill.corpus.openings import Openings, Shares
from playground.distill.corpus.own_passages import FEWEST_PASSAGES
from playground.distill.corpus.requests import Asked, compose_follow_up, compose_request
from playground.distill.corpus.slots import Filler, table

ROOM = 300  # words here, since a word stands for a token


class Words:
    """An encoder that remembers what its ids mean: a token is a word."""

    def __init__(self) -> None:
        self.texts: dict[tuple[int, ...], str] = {}
        self._next = 0

    def __call__(self, text: str) -> Sequence[int]:
        ids = tuple(range(self._next, self._next + len(text.split())))
        self._next += len(ids)
        self.texts[ids] = text
        return ids


def turns(openings: Openings, rows: range, seed: int = 0, room: int = ROOM) -> list[tuple[str, ...]]:
    """The user's turns of each row as text."""
    words = Words()
    said = replace(openings, encode=words).of(rows, seed, room)
    return [tuple(words.texts[tuple(ids)] for ids in row) for row in said]


COMPOSED = Openings(encode=Words())


def texts(count: int = FEWEST_PASSAGES) -> tuple[str, ...]:
    """Passages that can be told apart."""
    return tuple(f"Passage-{i} begins here. " + "It has a few more words. " * 10 for i in range(count))


def test_a_row_hangs_on_seed_and_number_alone() -> None:
    whole = turns(COMPOSED, range(120))
    assert turns(COMPOSED, range(70, 120)) == whole[70:]
    assert turns(COMPOSED, range(120), seed=1) != whole


def test_requests_seldom_repeat() -> None:
    first = [row[0] for row in turns(COMPOSED, range(10_000)) if row]
    assert len(first) > 7_500 and len(set(first)) > 0.99 * len(first)


def test_rows_in_the_shares_asked_for() -> None:
    shares = Shares(own=0.1, passages=0.6, follow_ups=0.25)
    rows = turns(replace(COMPOSED, passages=texts(), shares=replace(shares, own_passages=1.0)), range(4000))
    opened = [row for row in rows if row]
    assert len(opened) / len(rows) == pytest.approx(0.9, abs=0.02)
    assert sum("Passage-" in row[0] for row in opened) / len(rows) == pytest.approx(0.6, abs=0.03)
    assert sum(len(row) > 1 for row in opened) / len(opened) == pytest.approx(0.25, abs=0.03)
    assert max(len(row) for row in opened) == 4
    half = turns(replace(COMPOSED, passages=texts(), shares=replace(shares, own_passages=0.5)), range(4000))
    assert sum("Passage-" in row[0] for row in half if row) / len(rows) == pytest.approx(0.3, abs=0.03)


def test_no_passage_comes_twice_within_500_rows() -> None:
    last: dict[str, int] = {}
    openings = replace(COMPOSED, passages=texts(), shares=Shares(own=0, passages=1, own_passages=1))
    for number, row in enumerate(turns(openings, range(1500), seed=4)):
        passage = row[0][row[0].index("Passage-") :].split()[0]
        assert number - last.get(passage, -FEWEST_PASSAGES) >= FEWEST_PASSAGES
        last[passage] = number
    assert len(last) == FEWEST_PASSAGES


def test_too_few_passages_are_refused() -> None:
    with pytest.raises(PlaygroundError, match=f"3 passages are too few: give at least {FEWEST_PASSAGES}"):
        Openings(passages=texts(3))


@pytest.mark.parametrize("room", [6, 40, 90, 200])
def test_a_first_turn_fits_its_room(room: int) -> None:
    """Texts become shorter, then there is none; nothing is cut."""
    words = Words()
    rows = replace(COMPOSED, encode=words, shares=Shares(own=0)).of(range(400), 0, room)
    assert all(len(row[0]) <= room for row in rows if row)
    assert sum(bool(row) for row in rows) > (100 if room == 6 else 399)
    given = [row for row in rows if row and len(row[0]) > 50]
    assert bool(given) == (room > 50)


def test_no_room_at_all_leaves_the_row_to_the_model() -> None:
    assert turns(COMPOSED, range(20), room=0) == [()] * 20


def test_given_prompts_come_first() -> None:
    openings = Openings(given=((1, 2), (3,)), encode=lambda text: (9,))
    rows = openings.of(range(1, 40), 0, ROOM)
    assert rows[0] == ((3,),)
    assert {row for row in rows[1:] if row} <= {((9,),) * n for n in range(1, 5)}
    assert Openings(given=((1, 2),)).of(range(3), 0, ROOM) == [((1, 2),), (), ()]


def test_settings_tell_corpora_apart() -> None:
    some = [
        Openings(),
        Openings(given=((1,),)),
        COMPOSED,
        replace(COMPOSED, shares=Shares(passages=0.4)),
        replace(COMPOSED, passages=texts()),
        replace(COMPOSED, passages=texts(FEWEST_PASSAGES + 1)),
    ]
    assert len({str(openings.settings) for openings in some}) == len(some)
    assert replace(COMPOSED, passages=texts()).settings == replace(COMPOSED, passages=texts()).settings


@pytest.mark.parametrize(
    ("shares", "message"),
    [({"own": 1.5}, "share own is 1.5"), ({"own": 0.6, "passages": 0.7}, r"make 1\.2999.* together")],
)
def test_impossible_shares(shares: dict[str, float], message: str) -> None:
    with pytest.raises(PlaygroundError, match=message):
        Shares(**shares)


def requests(count: int, seed: int) -> list[Asked]:
    return [compose_request(Filler(Random(f"{seed}/{i}"))) for i in range(count)]


def test_every_kind_is_asked_about_equally_often() -> None:
    kinds = Counter(request.kind for request in requests(6000, 0))
    assert set(kinds) == {*table("requests"), "snippet"}
    assert min(kinds.values()) > 300 and max(kinds.values()) < 550


def test_code_is_given_whole() -> None:
    """No slot is left in it, and its lines stand as they were written."""
    found = [request.text for request in requests(3000, 1) if request.kind == "snippet"]
    assert any("def " in text for text in found) and any("SELECT" in text for text in found)
    assert not [text for text in found if "{clang}" in text or "{fence}" in text or "{task}" in text]
    loops = [text for text in found if "while b:" in text]
    assert loops and all("\n    while b:\n        a, b = b, a % b\n" in text for text in loops)


@pytest.mark.parametrize("kind", [*table("requests"), "snippet", "passage"])
def test_every_kind_has_follow_ups(kind: str) -> None:
    said = {compose_follow_up(kind, Filler(Random(f"{kind}{i}"))) for i in range(60)}
    assert len(said) > 40
