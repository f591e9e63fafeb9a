"""Bars in the terminal, and bars of libraries that are told instead of drawn."""

from __future__ import annotations

import io
import sys
import threading
import time

import pytest

from playground.cli.terminal import LoadingBar
from playground.pair import Progress
from playground.progress import Bars, Stopped, told_bar


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_loading_draws_one_bar_and_clears_it(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    bar = LoadingBar()
    for done, message in ((0.25, "config"), (0.5, "weights")):
        time.sleep(0.15)  # drawn ten times a second
        bar(Progress("Loading", done, message))
    bar.close()
    drawn = [line.rstrip() for line in screen.getvalue().split("\r")]
    assert "[#####               ] Loading: config" in drawn and "[##########          ] Loading: weights" in drawn
    assert drawn[-1] == "" and "\n" not in screen.getvalue()


def test_loading_is_a_line_a_stage_in_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    file = io.StringIO()
    monkeypatch.setattr(sys, "stderr", file)
    bar = LoadingBar()
    for stage, done in (("Finding", 0.1), ("Finding", 0.2), ("Loading", 0.5)):
        bar(Progress(stage, done, "tiny"))
    bar.close()
    assert file.getvalue() == "Finding: tiny\nLoading: tiny\n"


def test_a_stage_counts_shows_figures_and_stops(monkeypatch: pytest.MonkeyPatch) -> None:
    file, wishes = io.StringIO(), iter([False, True])
    monkeypatch.setattr(sys, "stderr", file)
    bars = Bars(stop=lambda: next(wishes))
    with pytest.raises(Stopped), bars.stage("corpus", 8, "row", initial=2) as done:
        bars.note(loss="0.5")
        done(4)
        done(6)
    assert "6/8" in file.getvalue() and "corpus" in file.getvalue() and "loss=0.5" in file.getvalue()


def test_a_librarys_bars_are_told() -> None:
    told: list[tuple[float, str]] = []
    bar = told_bar(lambda done, unit: told.append((done, unit)))
    with bar(total=10, unit="B", desc="transfer", initial=2) as transfer, bar(total=10, unit="B", name="x") as written:
        transfer.update(3)
        written.update(4)  # behind the other one: bytes are told once
        written.update(6)
    assert list(bar("abc", desc="files")) == ["a", "b", "c"]
    assert told == [(5, "B"), (5, "B"), (10, "B"), (1, "it"), (2, "it"), (3, "it")]


def test_bars_of_several_threads_are_told_in_order() -> None:
    told: list[float] = []
    bar = told_bar(lambda done, unit: told.append(done))(total=4000, unit="B")
    threads = [threading.Thread(target=lambda: [bar.update(1) for _ in range(1000)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert told == sorted(told) and told[-1] == 4000
