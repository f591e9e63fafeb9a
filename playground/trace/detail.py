"""How much of a run is kept: numbers as fine as anything shows them, and in light detail no search beside the tree.

Knows the records; nothing of who keeps them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import chain, islice
from typing import Any

import numpy as np

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
SCALE = 10.0**PLACES
MS_PLACES = 6  # of milliseconds: the nanoseconds that clocks count in
KEPT_UNSENT = 16  # of the candidates that were not sent, and every one that the base model then picked
NO_BEAMS = BeamsRecord((), (), ())
Numbers = tuple[float, ...]
LaneRecord = PromptRecord | StepRecord | PlainRecord
BytesOf = Callable[[int], bytes]


def kept(record: LaneRecord, bytes_of: BytesOf) -> LaneRecord:
    """A record of a lane as a trace keeps it: fewer digits, the candidates not sent that are worth a line, and the
    bytes of every token it then mentions."""
    if isinstance(record, StepRecord):
        return _step(record, bytes_of)
    log_probability, ms = round(record.log_probability, PLACES), round(record.ms, MS_PLACES)
    if isinstance(record, PlainRecord):
        bytes_ = {record.token: bytes_of(record.token)}
        clock_ms = round(record.clock_ms, MS_PLACES)
        return PlainRecord(record.index, record.token, log_probability, ms, clock_ms, bytes_)
    bytes_ = {record.first_root: bytes_of(record.first_root)}
    return replace(record, log_probability=log_probability, ms=ms, token_bytes=bytes_)


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


def _step(step: StepRecord, bytes_of: BytesOf) -> StepRecord:
    """The numbers are rounded together and the record is built once: it is made while the run goes on."""
    beams, tree, ms = step.beams, step.tree, step.ms
    unsent = None if step.unsent is None else _unsent(step.unsent, step.picks)
    told, drafted, picked, scores, unsent_scores, *by_beam = _rounded(
        step.log_probability,
        tree.log_probability,
        tuple([pick.log_probability for pick in step.picks]),
        beams.scores,
        unsent.score if unsent else (),
        *beams.log_probabilities,
    )
    mentioned = {*tree.token, *step.emitted, *(unsent.token if unsent else ())}.union(*beams.tokens)
    picks = zip(step.picks, picked, strict=True)
    return StepRecord(
        index=step.index,
        position=step.position,
        beams=BeamsRecord(beams.tokens, tuple(by_beam), scores),
        tree=TreeRecord(tree.token, tree.parent, tree.depth, tree.node_of, drafted, tree.origin, tree.copied),
        log_probability=told,
        rank=step.rank,
        picks=tuple([Pick(pick.node, pick.token, value, pick.rank) for pick, value in picks]),
        path=step.path,
        emitted=step.emitted,
        next_root=step.next_root,
        ms=StageMs(*[round(one, MS_PLACES) for one in (ms.draft, ms.tree, ms.verify, ms.accept, ms.commit)]),
        clock_ms=round(step.clock_ms, MS_PLACES),
        token_bytes={token: bytes_of(token) for token in sorted(mentioned) if token >= 0},
        budget=step.budget,
        unsent=unsent and UnsentRecord(unsent.token, unsent.parent, unsent.depth, unsent_scores, unsent.total),
    )


def _rounded(*rows: Numbers) -> Iterator[Numbers]:
    """The rows with as many decimals as are kept.

    Engines count in float32, whose ten thousandfold a double holds exactly: the numbers are those that `round` gives.
    """
    numbers = iter((np.rint(np.array(tuple(chain.from_iterable(rows))) * SCALE) / SCALE).tolist())
    return (tuple(islice(numbers, len(row))) for row in rows)


def _unsent(unsent: UnsentRecord, picks: tuple[Pick, ...]) -> UnsentRecord:
    """The first, and those of the others that were picked."""
    picked = {(pick.node, pick.token) for pick in picks}
    others = zip(unsent.parent[KEPT_UNSENT:], unsent.token[KEPT_UNSENT:], strict=True)
    more = [place for place, pair in enumerate(others, KEPT_UNSENT) if pair in picked]
    rows: tuple[tuple[Any, ...], ...] = (unsent.token, unsent.parent, unsent.depth, unsent.score)
    token, parent, depth, score = [(*row[:KEPT_UNSENT], *[row[place] for place in more]) for row in rows]
    return UnsentRecord(token, parent, depth, score, unsent.total)
