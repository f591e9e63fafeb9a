"""The trial of a trained drafter: the real lanes on prompts it never saw, recurrent and plain.

Prompts are held-out rows up to where the assistant begins to speak. Predicts what the drafter gains on this
machine. Knows decoders; nothing of sessions and of which engine they run on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
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


@dataclass(frozen=True)
class Decoding:
    """One prompt decoded once."""

    clock_ms: float
    written: int  # tokens after the first
    steps: StepTotals | None  # None of plain decoding

    @classmethod
    def from_json(cls, kept: dict[str, Any]) -> Decoding:
        """Undo `to_json`."""
        steps = None if kept["steps"] is None else StepTotals.from_json(kept["steps"])
        return cls(kept["clock_ms"], kept["written"], steps)

    def to_json(self) -> dict[str, Any]:
        return {**self.__dict__, "steps": None if self.steps is None else self.steps.to_json()}


def try_drafter(
    decoders: Decoders,
    prompts: list[list[int]],
    options: TrialOptions,
    report: Callable[[int], None] = lambda done: None,
    enough: Callable[[int], bool] = lambda prompts: False,
    *,
    known: Sequence[Decoding] = (),
    keep: Callable[[Sequence[Decoding]], None] = lambda done: None,
) -> Trial:
    """Decode every prompt plainly and at every shape, greedily.

    Args:
        enough: asked after each, with the prompts tried so far: whether no more are to be tried.
        report: called after every step with decodings done, prompts x (1 + shapes) in all; may raise.
        known: what an earlier call with the same prompts and options kept; it goes on behind these.
        keep: called with all decodings whenever one is done.
    """
    kinds, done = 1 + len(options.shapes), list(known)
    while len(done) < kinds * len(prompts):
        number, kind = divmod(len(done), kinds)
        if kind == 0 and number and enough(number):
            break
        tick = partial(report, len(done))
        if kind == 0:
            done.append(_plain(decoders.plain(), prompts[number], options.new_tokens, tick))
        else:
            runner = decoders.drafting(options.shapes[kind - 1])
            done.append(_drafted(runner, prompts[number], options.new_tokens, tick))
        keep(done)
        report(len(done))
    return _judged(done, options.shapes)


def _judged(done: Sequence[Decoding], shapes: tuple[BeamShape, ...]) -> Trial:
    kinds = 1 + len(shapes)
    plain = done[::kinds]
    plain_ms = sum(one.clock_ms for one in plain) / max(sum(one.written for one in plain), 1)
    found = []
    for index, shape in enumerate(shapes, 1):
        figures = acceptance([one.steps for one in done[index::kinds] if one.steps is not None], shape.length)
        speedup = plain_ms / figures.ms_per_token if figures.ms_per_token else 0.0
        found.append(ShapeTrial(shape, figures, speedup))
    return Trial(len(plain), plain_ms, tuple(found))


def _plain(runner: Runner, prompt: list[int], new_tokens: int, tick: Callable[[], None]) -> Decoding:
    lane = PlainLane(runner, new_tokens)
    lane.start(prompt)
    while lane.finish_reason is None:
        lane.step()
        tick()
    return Decoding(lane.clock_ms, len(lane.tokens) - 1, None)


def _drafted(runner: Runner, prompt: list[int], new_tokens: int, tick: Callable[[], None]) -> Decoding:
    lane = DraftingLane(runner, new_tokens)
    first = lane.start(prompt).first_root
    steps = []
    while lane.finish_reason is None:
        steps.append(lane.step())
        tick()
    return Decoding(lane.clock_ms, len(lane.tokens) - 1, run_totals(prompt, first, steps))
