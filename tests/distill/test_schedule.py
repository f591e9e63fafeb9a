"""How hours are divided, in numbers worked out by hand."""

from __future__ import annotations

import pytest

from playground.distill.request import default_hours
from playground.distill.schedule import Rates, Schedule, spoken

RATES = Rates(read=300.0, token_seconds=0.02)


def test_writing_leaves_time_to_read_what_is_written() -> None:
    """Of 3,600 s 200 go to the trial and half of the rest to data: written at 100 a second, read at 300."""
    schedule = Schedule(1.0, "cpu")
    writing = schedule.writing_seconds(Rates(300.0, 0.02, written=100.0), trial=200.0, spent=100.0)
    assert writing == pytest.approx((3400 * 0.5 - 100) * 0.75)
    assert writing + writing * 100 / 300 == pytest.approx(1600)
    assert schedule.writing_seconds(RATES, trial=200.0, spent=100.0) == pytest.approx(writing)


def test_prompts_of_the_trial_are_as_asked_or_a_tenth_of_the_time() -> None:
    schedule = Schedule(0.5, "cpu")
    assert schedule.trial_prompts(17, 8, 1e6) == 17
    assert [schedule.trial_prompts(None, 8, seconds) for seconds in (1.0, 40.0, 1e6)] == [8, 4, 2]


def test_the_plan_in_words() -> None:
    schedule, rates = Schedule(0.5, "cpu"), Rates(300.0, 0.02, written=100.0, step_seconds=0.25)
    first = schedule.plan(rates, 60.0, 30.0, None, None)
    assert first == (
        "Plan for 0.5 hours, 30 s of them gone: corpus 10 min (about 63,000 tokens at 100 a second), the base model's "
        "states 4 min (300 tokens a second), training 14 min, trial 60 s."
    )
    last = schedule.plan(rates, 60.0, 900.0, 63_000, 3_000)
    assert last == (
        "Plan for 0.5 hours, 15 min of them gone: corpus of 63,000 tokens, training 12 min (3,000 steps at 0.25 s), "
        "trial 60 s."
    )
    going = schedule.plan(rates, 60.0, 1200.0, 63_000, 3_000, done=1_000)
    assert "training 8 min (steps 1,000 to 3,000 at 0.25 s), trial 60 s." in going


def test_steps_and_the_end_of_reading() -> None:
    """Of 1,800 s 900 are gone and 100 go to the ending: 800 s hold 1,600 steps of half a second."""
    schedule = Schedule(0.5, "cpu")
    assert schedule.steps_left(900.0, 100.0, 0.5) == 1600 and schedule.steps_left(1750.0, 100.0, 0.5) == 0
    assert schedule.reading_ends(100.0) == pytest.approx(1700 * 0.65)


def test_seconds_as_people_say_them() -> None:
    assert [spoken(seconds) for seconds in (40, 540, 9000)] == ["40 s", "9 min", "2.5 h"]


def test_default_hours_grow_with_the_model() -> None:
    sizes = (135_000_000, 1_200_000_000, 8_000_000_000)
    assert [default_hours("cpu", size) for size in sizes] == [1.0, 8.4, 56.0]
    assert [default_hours("cuda", size) for size in sizes] == [0.15, 0.58, 3.3]
