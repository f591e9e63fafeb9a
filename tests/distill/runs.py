"""Whole runs of the pipeline on a tiny base model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from playground.config import BeamShape
from playground.distill.author import Author
from playground.distill.corpus.turns import ChatTurns
from playground.distill.pipeline import Made, Pipeline
from playground.distill.request import TrainRequest
from playground.distill.trial import TrialOptions
from playground.progress import Bars
from tests.distill.small import tiny_base

TRIAL = TrialOptions(prompts=2, new_tokens=8, shapes=(BeamShape(1, 2), BeamShape(2, 3)))


def tiny_author() -> Author:
    base = tiny_base()
    base.eos_ids = frozenset()  # a trial's text must not end at once
    return Author(base, ChatTurns(plain=True), "t" * 64)


def request(out: Path, **more: Any) -> TrainRequest:
    settings: dict[str, Any] = {"rows": 20, "row_tokens": 48, "steps": 12, "places": 32, "trial": TRIAL}
    return TrainRequest(out=out, command="train it", **settings | more)


def run(author: Author, asked: TrainRequest, stop: Any = lambda: False) -> Made:
    return Pipeline(author, asked, Bars(silent=True, stop=stop)).run()
