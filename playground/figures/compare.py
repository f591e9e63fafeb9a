"""Two runs side by side: what was set differently, figures in pairs, where the texts part, which steps are the same.

Steps are matched by their place in the text: two steps meet where both start at the same number of new tokens and all
tokens before are the same. Knows records; nothing of who asks or how it is shown.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from playground.figures.parity import compare
from playground.figures.provenance import summary_of
from playground.trace import Header, StepRecord, Summary, Trace

# Of any two headers, or of how a run was kept.
UNLIKE = frozenset({"run_id", "created", "schema", "schema_version", "prompt_ids", "token_bytes", "detail"})
# Figures of the machine and the moment: two runs of the same settings differ in them.
TIMED = frozenset(
    {
        "redrafter_tokens_per_second",
        "plain_tokens_per_second",
        "speedup",
        "speedup_over_fastest_plain",
        "fastest_plain_dtype",
        "drafter_share",
        "stage_ms",
        "prompt_ms",
        "peak_memory_bytes",
    }
)


@dataclass(frozen=True)
class Difference:
    """Something that was set or loaded differently."""

    name: str  # dotted, like settings.beam_width
    left: str
    right: str


@dataclass(frozen=True)
class FigurePair:
    """One figure of both runs."""

    name: str
    left: float | None
    right: float | None
    timed: bool  # belongs to the machine and the moment

    @property
    def difference(self) -> float | None:
        return None if self.left is None or self.right is None else self.right - self.left


@dataclass(frozen=True)
class StepPair:
    """Two steps that start at the same place of the same text."""

    new_tokens: int  # written before either
    left: StepRecord
    right: StepRecord

    @property
    def same_tree(self) -> bool:
        return (self.left.tree.token, self.left.tree.parent) == (self.right.tree.token, self.right.tree.parent)

    @property
    def same_picks(self) -> bool:
        """The base model's tokens agree as far as both went."""
        pairs = zip(self.left.picks, self.right.picks, strict=False)
        return all(left.token == right.token for left, right in pairs)


@dataclass(frozen=True)
class Comparison:
    """Two runs."""

    same_prompt: bool
    differences: tuple[Difference, ...]
    figures: tuple[FigurePair, ...]
    compared: int  # new tokens compared
    first_difference: int | None  # index of the first new token that differs; None where one text begins the other
    lengths: tuple[int, int]  # new tokens
    steps: tuple[StepPair, ...]

    @property
    def identical(self) -> bool:
        """Both wrote the same tokens, all of them."""
        return self.first_difference is None and self.lengths[0] == self.lengths[1]

    @property
    def same_trees(self) -> int:
        return sum(pair.same_tree for pair in self.steps)

    @property
    def same_picks(self) -> int:
        return sum(pair.same_picks for pair in self.steps)


def compare_runs(left: Trace, right: Trace) -> Comparison:
    """Two runs, of the same prompt or not."""
    ours, theirs = left.redrafter_tokens, right.redrafter_tokens
    same_prompt = left.header.prompt_ids == right.header.prompt_ids
    parity = compare(ours, theirs, (), finished=False)
    return Comparison(
        same_prompt=same_prompt,
        differences=tuple(_differences(left.header, right.header)),
        figures=tuple(_figures(summary_of(left), summary_of(right))),
        compared=parity.compared,
        first_difference=parity.first_difference,
        lengths=(len(ours), len(theirs)),
        steps=tuple(_meetings(left, right, parity.first_difference)) if same_prompt else (),
    )


def _meetings(left: Trace, right: Trace, first_difference: int | None) -> Iterator[StepPair]:
    """Steps that start at the same place, as long as the texts are the same there."""
    prompt = len(left.header.prompt_ids)
    other = {step.position: step for step in right.steps}
    for step in left.steps:
        before = step.position - prompt + 1  # the root is written already
        if first_difference is not None and before > first_difference:
            return
        if step.position in other:
            yield StepPair(before, step, other[step.position])


def _differences(left: Header, right: Header) -> Iterator[Difference]:
    ours, theirs = _flat(left), _flat(right)
    for name in dict.fromkeys((*ours, *theirs)):
        if name.split(".")[0] not in UNLIKE and ours.get(name) != theirs.get(name):
            yield Difference(name, ours.get(name, "-"), theirs.get(name, "-"))


def _flat(value: Any, name: str = "") -> dict[str, str]:
    """Every plain value inside, by its dotted name."""
    if dataclasses.is_dataclass(value):
        inside = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    elif isinstance(value, Mapping):
        inside = {str(key): item for key, item in value.items()}
    elif isinstance(value, tuple):
        inside = {str(place): item for place, item in enumerate(value)}
    else:
        return {name: str(value)}
    flat: dict[str, str] = {}
    for key, item in inside.items():
        flat |= _flat(item, f"{name}.{key}" if name else key)
    return flat


def _figures(left: Summary, right: Summary) -> Iterator[FigurePair]:
    """Every figure that is a number, those inside stage times too, in the summary's order."""
    for field in dataclasses.fields(Summary):
        ours, theirs = getattr(left, field.name), getattr(right, field.name)
        if dataclasses.is_dataclass(ours):
            for inner in dataclasses.fields(ours):
                pair = (getattr(ours, inner.name), getattr(theirs, inner.name))
                yield FigurePair(f"{field.name}.{inner.name}", *pair, timed=field.name in TIMED)
        elif all(isinstance(value, int | float | None) for value in (ours, theirs)) and (ours, theirs) != (None, None):
            yield FigurePair(field.name, ours, theirs, timed=field.name in TIMED)
