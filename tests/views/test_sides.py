"""Two runs side by side: claims, settings, figures and meetings as the page gets them."""

from __future__ import annotations

import json
from dataclasses import replace

from playground.trace import Trace
from playground.views.sides import sides_picture
from tests.views.synthetic import make_trace


def another_root(trace: Trace, at: int) -> Trace:
    """The same run whose step at that place found another tree."""
    step = trace.steps[at]
    tokens = (step.tree.token[0], *reversed(step.tree.token[1:]))
    steps = [*trace.steps]
    steps[at] = replace(step, tree=replace(step.tree, token=tokens))
    return replace(trace, steps=steps)


def test_a_run_beside_itself_agrees_in_everything() -> None:
    trace = make_trace(new_tokens=30, seed=4)
    found = sides_picture(trace, trace)
    assert [claim["agrees"] for claim in found["claims"]] == [True] * 6
    assert found["firstDifference"] is None and found["differences"] == []
    assert [(one["left"], one["right"]) for one in found["meetings"]] == [(step.index,) * 2 for step in trace.steps]
    assert found["expectation"].startswith("Made under the same conditions")


def test_a_tree_that_differs_is_one_meeting() -> None:
    trace = make_trace(new_tokens=30, seed=4)
    found = sides_picture(trace, another_root(trace, 2))
    assert [one["left"] for one in found["meetings"] if not one["sameTree"]] == [2]
    assert {claim["what"]: claim["agrees"] for claim in found["claims"]}["trees"] is False


def test_other_machines_and_settings_are_named() -> None:
    trace = make_trace(new_tokens=30)
    settings = replace(trace.header.settings, temperature=0.5)
    here = replace(trace.header, settings=settings, device="cuda:0 (<b>)", dtype="bfloat16")
    found = sides_picture(trace, replace(trace, header=here))
    assert ("settings.temperature", "0.0", "0.5") in found["differences"]
    assert found["expectation"].startswith("Made under other conditions (device, dtype)")
    assert json.loads(json.dumps(found, allow_nan=False)) == json.loads(json.dumps(found))
