"""The trial of a trained drafter: the real lanes on prompts it never saw, recurrent and plain.

Prompts are held-out rows up to where the assistant begins to speak. Predicts what the drafter gains on this
machine. Knows decoders; nothing of sessions and of which engine they run on.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from playground.config import BeamShape
from playground.decode.engine import DraftingLane, PlainLane
from playground.decode.runner import Runner
from playground.distill.corpus.corpus import Corpus
from playground.figures.acceptance import Acceptance, acceptance, run_totals
from playground.figures.totals import StepTotals

PLAIN_OPENING = 24
"""Tokens of a plain text that serve as its prompt."""


@dataclass(frozen=True)
class TrialOptions:
    """How much is tried."""

    prompts: int | None = None  # None: as many as the hours allow
    new_tokens: int = 96
    shapes: tuple[BeamShape, ...] = (BeamShape(4, 4, 6), BeamShape())


@dataclass(frozen=True)
class ShapeTrial:
    """One beam shape, all prompts together."""

    shape: BeamShape
    acceptance: Acceptance
    speedup: float  # over plain decoding of the same prompts, in time for each token


@dataclass(frozen=True)
class Trial:
    """What the drafter gains here."""

    prompts: int
    plain_ms: float  # for each token
    shapes: tuple[ShapeTrial, ...]

    @classmethod
    def from_json(cls, kept: dict[str, Any]) -> Trial:
        """Undo `dataclasses.asdict`, by way of JSON."""
        shapes = []
        for one in kept["shapes"]:
            figures: dict[str, Any] = one["acceptance"]
            for name in ("accepted_histogram", "accepted_at"):
                figures[name] = tuple(figures[name])
            shapes.append(ShapeTrial(BeamShape(**one["shape"]), Acceptance(**figures), one["speedup"]))
        return cls(kept["prompts"], kept["plain_ms"], tuple(shapes))

    @property
    def best(self) -> ShapeTrial:
        """The shape that decodes fastest here."""
        return max(self.shapes, key=lambda found: found.speedup)


def held_out_prompts(corpus: Corpus, count: int, longest: int) -> list[list[int]]:
    """Prompts of held-out rows, each up to the assistant's first word, at most `longest` tokens."""
    return _openings(corpus, np.unique(corpus.row[corpus.held_out]).tolist(), longest)[:count]


def opening_prompts(corpus: Corpus, count: int, longest: int) -> list[list[int]]:
    """The same of all rows, for a corpus that nothing was trained on."""
    return _openings(corpus, list(range(corpus.rows)), longest)[:count]


def _openings(corpus: Corpus, rows: list[int], longest: int) -> list[list[int]]:
    prompts: list[list[int]] = []
    for row in rows:
        start, stop = int(corpus.starts[row]), int(corpus.starts[row + 1])
        spoken = corpus.assistant[start:stop]
        begin = int(spoken.argmax()) or PLAIN_OPENING  # a row that is the assistant's from its first token has none
        if spoken.any() and begin <= longest:
            prompts.append(corpus.ids[start : start + begin].tolist())
    return prompts


@dataclass(frozen=True)
class Decoders:
    """Greedy decoders of a base model, made anew for every prompt: plain, and drafting at a beam shape."""

    plain: Callable[[], Runner]
    drafting: Callable[[BeamShape], Runner]


def try_drafter(
    decoders: Decoders,
    prompts: list[list[int]],
    options: TrialOptions,
    report: Callable[[int], None] = lambda done: None,
    enough: Callable[[int], bool] = lambda prompts: False,
) -> Trial:
    """Decode every prompt plainly and at every shape, greedily.

    Args:
        enough: asked after each, with the prompts tried so far: whether no more are to be tried.
        report: called after every step with decodings done, prompts x (1 + shapes) in all; may raise.
    """
    runs: dict[BeamShape, list[StepTotals]] = {shape: [] for shape in options.shapes}
    clock, written, done, tried = 0.0, 0, 0, 0
    for prompt in prompts:
        if tried and enough(tried):
            break
        tried += 1
        plain = PlainLane(decoders.plain(), options.new_tokens)
        plain.start(prompt)
        while plain.finish_reason is None:
            plain.step()
            report(done)
        clock, written, done = clock + plain.clock_ms, written + len(plain.tokens) - 1, done + 1
        report(done)
        for shape in options.shapes:
            tick = partial(report, done)
            runs[shape].append(_drafted(decoders.drafting(shape), prompt, options.new_tokens, tick))
            done += 1
            report(done)
    plain_ms = clock / max(written, 1)
    found = []
    for shape, drafted in runs.items():
        figures = acceptance(drafted, shape.length)
        speedup = plain_ms / figures.ms_per_token if figures.ms_per_token else 0.0
        found.append(ShapeTrial(shape, figures, speedup))
    return Trial(tried, plain_ms, tuple(found))


def _drafted(runner: Runner, prompt: list[int], new_tokens: int, tick: Callable[[], None]) -> StepTotals:
    lane = DraftingLane(runner, new_tokens)
    first = lane.start(prompt).first_root
    steps = []
    while lane.finish_reason is None:
        steps.append(lane.step())
        tick()
    return run_totals(prompt, first, steps)
