"""The trial of a trained drafter: the real lanes on prompts it never saw, recurrent and plain.

Prompts are held-out rows up to where the assistant begins to speak. Predicts what the drafter gains on this
machine. Knows a base model and a drafter; nothing of sessions.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from playground.base_model.adapter import BaseModel
from playground.config import BeamShape, Sampling
from playground.decode.decoding import Decoding, Drafting
from playground.decode.direct import DirectRunner
from playground.decode.engine import DraftingLane, PlainLane
from playground.distill.corpus.corpus import Corpus
from playground.drafter.cell import Drafter
from playground.figures.acceptance import Acceptance, acceptance, run_totals
from playground.figures.totals import StepTotals

PLAIN_OPENING = 24
"""Tokens of a plain text that serve as its prompt."""


@dataclass(frozen=True)
class TrialOptions:
    """How much is tried."""

    prompts: int = 8
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
    prompts: list[list[int]] = []
    for row in np.unique(corpus.row[corpus.held_out]):
        start, stop = int(corpus.starts[row]), int(corpus.starts[row + 1])
        spoken = corpus.assistant[start:stop]
        begin = (
            int(spoken.argmax()) or PLAIN_OPENING
        )  # a row that is the assistant's from its first token has no prompt
        if spoken.any() and begin <= longest:
            prompts.append(corpus.ids[start : start + begin].tolist())
    return prompts[:count]


def try_drafter(
    base: BaseModel,
    drafter: Drafter,
    prompts: list[list[int]],
    options: TrialOptions,
    report: Callable[[int], None] = lambda done: None,
) -> Trial:
    """Decode every prompt plainly and at every shape, greedily.

    Args:
        drafter: bound to `base` and in its dtype; the base's taps are set.
        report: called with decodings done, prompts x (1 + shapes) in all.
    """
    runs: dict[BeamShape, list[StepTotals]] = {shape: [] for shape in options.shapes}
    clock, written, done = 0.0, 0, 0
    for prompt in prompts:
        plain = PlainLane(DirectRunner(Decoding(base, Sampling())), options.new_tokens)
        plain.start(prompt)
        while plain.finish_reason is None:
            plain.step()
        clock, written, done = clock + plain.clock_ms, written + len(plain.tokens) - 1, done + 1
        report(done)
        for shape in options.shapes:
            decoding = Decoding(base, Sampling(), Drafting(drafter, shape), judged=False)
            runs[shape].append(_drafted(decoding, prompt, options.new_tokens))
            done += 1
            report(done)
    plain_ms = clock / max(written, 1)
    found = []
    for shape, drafted in runs.items():
        figures = acceptance(drafted, shape.length)
        speedup = plain_ms / figures.ms_per_token if figures.ms_per_token else 0.0
        found.append(ShapeTrial(shape, figures, speedup))
    return Trial(len(prompts), plain_ms, tuple(found))


def _drafted(decoding: Decoding, prompt: list[int], new_tokens: int) -> StepTotals:
    lane = DraftingLane(DirectRunner(decoding), new_tokens)
    first = lane.start(prompt).first_root
    steps = []
    while lane.finish_reason is None:
        steps.append(lane.step())
    return run_totals(prompt, first, steps)
