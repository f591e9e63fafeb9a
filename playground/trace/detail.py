"""How much of a run is kept: numbers as fine as anything shows them, and in light detail no search beside the tree.

Knows the records; nothing of who keeps them.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TypeVar

from playground.trace.records import (
    BeamsRecord,
    Detail,
    Header,
    Pick,
    PlainRecord,
    PromptRecord,
    Record,
    StageMs,
    StepRecord,
    TreeRecord,
    UnsentRecord,
)
from playground.trace.run import Trace

PLACES = 4  # of log-probabilities and scores: 0.005% of a probability
MS_PLACES = 6  # of milliseconds: the nanoseconds that clocks count in
KEPT_UNSENT = 16  # of the candidates that were not sent, and every one that the base model then picked
NO_BEAMS = BeamsRecord((), (), ())
Numbers = tuple[float, ...]
R = TypeVar("R")


def rounded(record: R) -> R:
    """A record of a lane as it is kept: fewer digits, and the candidates not sent that are worth a line."""
    kept: object = record
    if isinstance(record, StepRecord):
        kept = _step(record)
    elif isinstance(record, PlainRecord):
        log_probability = round(record.log_probability, PLACES)
        ms, clock_ms = round(record.ms, MS_PLACES), round(record.clock_ms, MS_PLACES)
        kept = replace(record, log_probability=log_probability, ms=ms, clock_ms=clock_ms)
    elif isinstance(record, PromptRecord):
        log_probability = round(record.log_probability, PLACES)
        kept = replace(record, log_probability=log_probability, ms=round(record.ms, MS_PLACES))
    return kept  # type: ignore[return-value]


def light(record: Record) -> Record:
    """A record in light detail: the tree and its verdict, without the beams and the candidates that were not sent."""
    if isinstance(record, Header):
        return replace(record, detail="light")
    if not isinstance(record, StepRecord):
        return record
    told = {*record.tree.token, *record.emitted, *(pick.token for pick in record.picks)}
    return replace(
        record,
        beams=NO_BEAMS,
        tree=replace(record.tree, node_of=()),
        unsent=None,
        token_bytes={token: raw for token, raw in record.token_bytes.items() if token in told},
    )


def in_detail(trace: Trace, detail: Detail) -> Trace:
    """A whole trace in the detail that is asked for; what was recorded lightly stays light."""
    if detail == "full":
        return trace
    return Trace.collect(map(light, trace.records()))


def _step(step: StepRecord) -> StepRecord:
    return replace(
        step,
        beams=BeamsRecord(step.beams.tokens, tuple(map(_row, step.beams.log_probabilities)), _row(step.beams.scores)),
        tree=_tree(step.tree),
        log_probability=_row(step.log_probability),
        picks=tuple(Pick(one.node, one.token, round(one.log_probability, PLACES), one.rank) for one in step.picks),
        ms=_stages(step.ms),
        clock_ms=round(step.clock_ms, MS_PLACES),
        unsent=None if step.unsent is None else _unsent(step.unsent, step.picks),
    )


def _stages(ms: StageMs) -> StageMs:
    return StageMs(*(round(one, MS_PLACES) for one in (ms.draft, ms.tree, ms.verify, ms.accept, ms.commit)))


def _tree(tree: TreeRecord) -> TreeRecord:
    return replace(tree, log_probability=_row(tree.log_probability))


def _unsent(unsent: UnsentRecord, picks: tuple[Pick, ...]) -> UnsentRecord:
    picked = {(pick.node, pick.token) for pick in picks}
    pairs = enumerate(zip(unsent.parent, unsent.token, strict=True))
    kept = [place for place, pair in pairs if place < KEPT_UNSENT or pair in picked]
    return UnsentRecord(
        token=tuple(unsent.token[place] for place in kept),
        parent=tuple(unsent.parent[place] for place in kept),
        depth=tuple(unsent.depth[place] for place in kept),
        score=tuple(round(unsent.score[place], PLACES) for place in kept),
        total=unsent.total,
    )


def _row(values: Numbers) -> Numbers:
    return tuple([round(value, PLACES) for value in values])
