"""Lookup against a brute-force reading of its definition."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from playground.drafter.lookup import look_back


def by_hand(text: list[int], recent: int, continuation: int, longest: int) -> tuple[list[int], list[int], int]:
    """What stands last in `text`, what followed its longest, then latest, earlier match, and the match's length."""
    here = len(text) - 1
    last = [text[i] if i >= 0 else -1 for i in range(here - recent + 1, here + 1)]
    best, where = 0, -1
    for place in range(here):  # a match ends at an earlier token
        length = 0
        while length < min(longest, place + 1) and text[place - length] == text[here - length]:
            length += 1
        if length >= max(best, 1):
            best, where = length, place
    if continuation == 0:
        return last, [], 0
    if best == 0:
        return last, [-1] * continuation, 0
    followed = text[where + 1 : here + 1]  # and again from there, once the text is at its end
    return last, [followed[i % len(followed)] for i in range(continuation)], best


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.integers(0, 3), min_size=1, max_size=24),
    st.lists(st.integers(0, 3), max_size=4),
    st.integers(0, 5),
    st.integers(0, 6),
    st.integers(1, 5),
)
def test_against_brute_force(text: list[int], behind: list[int], recent: int, continuation: int, longest: int) -> None:
    every = torch.arange(len(text))
    tokens = torch.tensor(text + behind)
    found = look_back(tokens, every, recent=recent, continuation=continuation, longest=longest)
    for place in range(len(text)):
        last, followed, match = by_hand(text[: place + 1], recent, continuation, longest)
        assert found.recent[place].tolist() == last
        assert found.continuation[place].tolist() == followed
        assert int(found.match[place]) == match


def test_a_loop_is_read_on_round() -> None:
    found = look_back(torch.tensor([9, 1, 2, 1, 2]), torch.tensor([4]), recent=0, continuation=5, longest=4)
    assert found.continuation.tolist() == [[1, 2, 1, 2, 1]] and found.match.tolist() == [2]
