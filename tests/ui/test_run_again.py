"""A kept trace run again for a page: the same request, the recorded run named, and sentences for what cannot be."""

from __future__ import annotations

import json
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from playground.config import PlaygroundError
from playground.figures.again import request_again
from playground.trace import Trace
from playground.ui.settings import run_request
from tests.ui.test_plumbing import WIDGETS, Scripted, pages_of, until
from tests.views.synthetic import make_trace


class Asked(Scripted):
    """Remembers what it was asked for; loaded is the model of its own trace."""

    def __init__(self, trace: Trace, seconds: float = 0.0) -> None:
        super().__init__(trace, seconds)
        self.info = SimpleNamespace(drafter="made up", base=trace.header.base, shape="8x5@beams")
        self.requests: list[Any] = []

    def run(self, request: Any, *rest: Any, **more: Any) -> Any:
        self.requests.append(request)
        return super().run(request, *rest, **more)


def test_the_recorded_request_runs_and_its_frames_name_the_trace() -> None:
    trace = make_trace(new_tokens=20)
    session = Asked(trace)
    pages = pages_of(session)
    key = pages.store.add(trace, "page")
    run = pages.begin_again("page", key)
    frames = [json.loads(frame) for frame in run.frames()]
    assert session.requests == [request_again(trace)]
    assert {frame["again"] for frame in frames} == {key} and frames[-1]["state"] == "done"
    assert frames[-1]["key"] not in ("", key)
    assert pages.begin_run("page", run_request(WIDGETS)).frame()["again"] == ""


def test_another_models_trace_is_refused() -> None:
    trace = make_trace(new_tokens=20)
    other = replace(trace.header.base, name="Other\x1b[2J", config_hash="9" * 64)
    pages = pages_of(Asked(trace))
    key = pages.store.add(replace(trace, header=replace(trace.header, base=other)), "page")
    with pytest.raises(PlaygroundError, match=r"made by Other\ufffd\[2J .* but Tiny-Base .* Load the trace's pair"):
        pages.begin_again("page", key)
    with pytest.raises(PlaygroundError, match="That run is gone"):
        pages.begin_again("page", "nothing")


def test_a_run_that_still_grows_is_not_run_again() -> None:
    session = Asked(make_trace(new_tokens=60), 0.02)
    pages = pages_of(session)
    run = pages.begin_run("page", run_request(WIDGETS))
    until(lambda: run.trace is not None and run.trace.steps)
    with pytest.raises(PlaygroundError, match="still going"):
        pages.begin_again("page", run.key)
    pages.stop("page")
    until(lambda: run.over)
    assert pages.begin_again("page", run.key).over in (False, True)
    pages.stop("page")
