"""The line for one device: order, places, stopping while waiting, and its end."""

from __future__ import annotations

import threading
import time

import pytest

from playground.config import PlaygroundError
from playground.line import Line


def test_first_come_first_served() -> None:
    line, order = Line(limit=3), []
    places = [line.join() for _ in range(3)]
    with pytest.raises(PlaygroundError, match="3 runs are waiting for this device already"):
        line.join()
    assert [place.position for place in places] == [0, 1, 2] and len(line) == 3

    def work(index: int) -> None:
        with places[index] as place:
            assert place.wait(threading.Event())
            assert place.wait(threading.Event())  # the turn is kept
            order.append(index)

    threads = [threading.Thread(target=work, args=(index,)) for index in (2, 1, 0)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(5)
    assert order == [0, 1, 2] and [place.position for place in places] == [-1, -1, -1] and len(line) == 0


def test_waiting_ends_when_stopped_and_those_behind_move_up() -> None:
    line, stop = Line(), threading.Event()
    first, second, third = (line.join() for _ in range(3))
    came: list[bool] = []
    thread = threading.Thread(target=lambda: came.append(second.wait(stop)))
    thread.start()
    thread.join(0.2)
    assert thread.is_alive() and came == []
    stop.set()
    thread.join(5)
    assert came == [False]
    second.leave()
    assert (first.position, second.position, third.position) == (0, -1, 1)
    first.leave()
    assert third.wait(threading.Event())


def test_a_turn_comes_as_soon_as_the_one_before_leaves() -> None:
    line = Line()
    first, second = line.join(), line.join()
    came = threading.Event()
    thread = threading.Thread(target=lambda: second.wait(threading.Event()) and came.set())
    thread.start()
    assert not came.wait(0.15)
    begun = time.monotonic()
    first.leave()
    assert came.wait(5) and time.monotonic() - begun < 2.0
    thread.join(5)


def test_who_left_never_gets_a_turn() -> None:
    line = Line()
    place = line.join()
    place.leave()
    place.leave()
    assert place.wait(threading.Event()) is False
