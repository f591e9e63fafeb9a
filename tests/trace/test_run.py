"""A trace grows from a run's records, in their order, and says what is no run."""

from __future__ import annotations

import pytest

from playground.trace import NoRecords, Trace
from tests.views.synthetic import make_trace


def test_collect_gives_back_what_records_tell() -> None:
    trace = make_trace(new_tokens=20)
    assert Trace.collect(trace.records()) == trace and not trace.stopped


def test_follow_grows_one_trace() -> None:
    trace = make_trace(new_tokens=20)
    seen = [(id(grown), len(grown.steps), grown.complete) for grown in Trace.follow(trace.records())]
    assert len({identity for identity, _, _ in seen}) == 1
    assert [steps for _, steps, _ in seen] == sorted(steps for _, steps, _ in seen)
    assert (seen[0][1], seen[-1][1]) == (0, len(trace.steps)) and [done for *_, done in seen].count(True) == 1


def test_a_run_cut_off_is_stopped() -> None:
    assert make_trace(new_tokens=12, footer=False).stopped


def test_what_is_no_run() -> None:
    trace = make_trace(new_tokens=6)
    with pytest.raises(NoRecords, match="stopped before its turn"):
        Trace.collect([])
    with pytest.raises(ValueError, match="begins with its header, not with a StepRecord"):
        Trace.collect(trace.steps)
    with pytest.raises(ValueError, match="one header"):
        Trace.collect([trace.header, trace.header])
