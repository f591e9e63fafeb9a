"""The hours are met on a machine whose speed changes: its clock is moved by the work done, slower while it is busy."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from playground.distill.allowance import Allowance
from playground.distill.author import Author
from playground.distill.corpus.turns import ChatTurns
from playground.distill.pace import Pace
from playground.distill.plan import Plan
from playground.distill.request import TrainRequest, sizes_for
from playground.distill.schedule import FEWEST_PROMPTS, Rates
from playground.distill.training.options import TrainOptions
from playground.progress import Bars
from tests.distill.small import tiny_base

HOUR, STEP, CHECKPOINT, TOKEN = 3600.0, 0.5, 20.0, 0.05
Load = Callable[[float], float]  # seconds since the beginning -> how many times slower than at the beginning


class Machine:
    """Seconds of work become seconds of the clock."""

    def __init__(self, load: Load) -> None:
        self.load, self.now = load, 0.0

    def work(self, seconds: float) -> float:
        """Do what takes so long on the idle machine; how long it took."""
        began = self.now
        while seconds > 0:
            part = min(seconds, 0.1)
            self.now += part * self.load(self.now)
            seconds -= part
        return self.now - began


class Run:
    """Half an hour of which a quarter is gone when training begins."""

    def __init__(self, folder: Path, load: Load) -> None:
        self.machine = Machine(load)
        base = tiny_base()
        author, sizes = Author(base, ChatTurns(plain=True), "t"), sizes_for(base.device, 135_000_000)
        self.plan = Plan(folder / "plan.json", {})
        request = TrainRequest(out=folder, hours=0.5, began=0.0)
        self.said: list[str] = []
        self.allowance = Allowance(author, request, sizes, self.plan, self.said.append, clock=lambda: self.machine.now)
        self.allowance.rates = Rates(read=300.0, token_seconds=TOKEN, written=200.0, step_seconds=STEP)
        self.pace = Pace(self.allowance, self.plan, Bars(silent=True), lambda: None, clock=lambda: self.machine.now)
        self.rates: list[float] = []

    def train(self) -> None:
        self.machine.now = HOUR / 8
        self.plan.checkpoint_seconds, self.plan.step_seconds, self.plan.corpus_tokens = CHECKPOINT, STEP, 70_000
        self.plan.steps, self.plan.checkpoint_every = int(0.9 * self.allowance.steps_left(STEP)), 400
        options, step, times = self.pace.options(1.0), 0, list[float]()

        def recent(window: float) -> float:
            count = next((n for n in range(1, len(times)) if sum(times[-n:]) > window), len(times))
            return sum(times[-count:]) / count

        while step < options.steps:
            self.rates.append(options.rate(step))
            times.append(self.machine.work(STEP))
            step += 1
            options = self.pace.revise(step, options, recent)
            if step % options.checkpoint_every == 0 or step == options.steps:
                self.machine.work(CHECKPOINT)

    def trial(self) -> int:
        options, enough, tried = self.allowance.trial_options, self.allowance.trial_ends(), 0
        while tried < (options.prompts or 0) and not (tried and enough(tried)):
            self.machine.work(options.new_tokens * TOKEN * (1 + len(options.shapes)))
            tried += 1
        return tried


LOADS: dict[str, Load] = {
    "as measured": lambda now: 1.0,
    "twice as slow at once": lambda now: 2.0,
    "three times as slow from the middle on": lambda now: 3.0 if now > 1000 else 1.0,
    "twice as slow in the decay": lambda now: 2.0 if now > 1350 else 1.0,
    "twice as fast": lambda now: 0.5,
    "idle again in the decay": lambda now: 1.0 if now < 1300 else 0.4,
    "now and then": lambda now: 4.0 if int(now / 45) % 3 == 0 else 1.0,
    "a stall early on": lambda now: 12.0 if 700 < now < 720 else 1.0,
}


@pytest.mark.parametrize("load", LOADS.values(), ids=LOADS)
def test_half_an_hour_is_27_to_33_minutes(tmp_path: Path, load: Load) -> None:
    run = Run(tmp_path, load)
    run.train()
    assert run.trial() >= FEWEST_PROMPTS
    assert 27 <= run.machine.now / 60 <= 33


@pytest.mark.parametrize("load", LOADS.values(), ids=LOADS)
def test_the_learning_rate_never_jumps_and_ends_near_nothing(tmp_path: Path, load: Load) -> None:
    run = Run(tmp_path, load)
    run.train()
    warm = run.rates.index(1.0)
    after = run.rates[warm:]
    falls = [before - now for before, now in pairwise(after)]
    assert min(falls) >= 0 and max(falls) < 0.05 and after[-1] < 0.1


def test_a_stall_early_on_does_not_end_the_plateau(tmp_path: Path) -> None:
    run = Run(tmp_path, LOADS["a stall early on"])
    run.train()
    assert 0.55 < run.rates.count(1.0) / len(run.rates) < 0.75


def test_news_are_told_and_kept(tmp_path: Path) -> None:
    run = Run(tmp_path, LOADS["twice as slow in the decay"])
    run.train()
    assert run.plan.cooling is not None and run.pace.options(1.0).steps == len(run.rates)
    assert any("training" in line for line in run.said)
    steady = Run(tmp_path, LOADS["as measured"])
    steady.train()
    assert len(steady.said) <= 1


def test_time_of_earlier_runs_counts(tmp_path: Path) -> None:
    run = Run(tmp_path, LOADS["as measured"])
    run.machine.now = 300.0
    run.plan.elapsed = run.allowance.spent_seconds()
    run.plan.save()
    plan = Plan.open(tmp_path / "plan.json", {})
    request = replace(run.allowance.request, began=1000.0)
    again = Allowance(run.allowance.author, request, run.allowance.sizes, plan, print, clock=lambda: 1060.0)
    assert again.spent_seconds() == 360.0


def test_reading_leaves_time_to_train(tmp_path: Path) -> None:
    run = Run(tmp_path, LOADS["as measured"])
    enough = run.allowance.reading_ends()
    run.machine.now = 0.4 * HOUR
    assert enough(10_000) and not enough(1000)
    run.machine.now = 0.2 * HOUR
    assert not enough(10_000)
    for asked in ({"rows": 20}, {"steps": 100}, {"corpus": tmp_path, "hours": None}):
        request = replace(run.allowance.request, **asked)
        given = Allowance(run.allowance.author, request, run.allowance.sizes, run.plan, print, clock=lambda: 9e9)
        given.rates = run.allowance.rates
        assert not given.reading_ends()(10_000)


@pytest.mark.parametrize(("steps", "now"), [(150, 50), (60, 50), (100, 95), (120, 80), (82, 80)])
def test_another_length_goes_on_from_the_rate_of_now(steps: int, now: int) -> None:
    before = TrainOptions(steps=100, learning_rate=1.0, warmup_steps=10)
    after = before.of_length(steps, now)
    assert after.steps == steps and after.rate(now) == pytest.approx(before.rate(now))
    assert 0 < after.rate(steps - 1) < after.rate(now) and after.rate(steps) == 0
    again = after.of_length(steps + 20, now + 1)
    assert again.rate(now + 1) == pytest.approx(after.rate(now + 1)) and again.rate(steps + 20) == 0


def test_no_step_is_taken_back() -> None:
    assert TrainOptions(steps=100).of_length(40, 50).steps == 50
