"""One step of recurrent drafting as the screen tells it: what became of every node, and why.

Record -> info. A node's status is read off the accepted path: there is no second rule of acceptance here.
Knows neither the layout of the tree (`tree`) nor how anything is drawn.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from playground.figures.format import percent, plural
from playground.figures.totals import StepTotals
from playground.trace import Pick, StageMs, StepRecord
from playground.views.reasons import Reasons
from playground.views.token_text import hex_bytes, quoted, token_label

Status = Literal["root", "accepted", "rejected", "unreached"]


@dataclass(frozen=True)
class NodeInfo:
    """One node of the prefix tree."""

    node: int
    parent: int
    depth: int
    token: int
    label: str
    hex: str
    status: Status
    draft_probability: float | None  # the drafter's, None for the root
    base_probability: float | None  # the base model's under the node's parent, None for the root
    rank: int  # the base model's, 1 = best, 0 for the root
    reason: str
    beams: tuple[int, ...]  # the beams that run through it


@dataclass(frozen=True)
class PickInfo:
    """The pick that ended the step and is the next root."""

    node: int  # the node whose pick it is
    token: int
    label: str
    hex: str
    probability: float
    rank: int
    reason: str


@dataclass(frozen=True)
class BeamInfo:
    """One row of the beams table."""

    beam: int
    score: float  # what the beams are ordered by: log-probabilities, with the noise of sampling in them
    log_probability: float  # the drafter's own of the whole beam, without noise
    nodes: tuple[int, ...]  # along the beam, without the root
    accepted: int  # its leading tokens that the base model accepted


@dataclass(frozen=True)
class StepInfo:
    """Everything the screen says about one step."""

    index: int
    position: int
    nodes: tuple[NodeInfo, ...]
    pick: PickInfo | None
    path: tuple[int, ...]
    beams: tuple[BeamInfo, ...]
    mask: tuple[tuple[int, ...], ...]  # node -> the tree nodes it attends to, itself last
    saving: str
    verdict: str
    stage_ms: StageMs


def step_info(step: StepRecord, *, sampled: bool = False) -> StepInfo:
    """What the screen says about `step`; `sampled` when the temperature was above 0 (reasons then name the noise)."""
    reasons = Reasons(step, sampled=sampled)
    statuses = node_statuses(step)
    through = _beams_through(step)
    draft = _draft_log_probabilities(step)
    nodes = tuple(
        NodeInfo(
            node=node,
            parent=step.tree.parent[node],
            depth=step.tree.depth[node],
            token=step.tree.token[node],
            label=token_label(_bytes(step, step.tree.token[node])),
            hex=hex_bytes(_bytes(step, step.tree.token[node])),
            status=status,
            draft_probability=math.exp(draft[node]) if node in draft else None,
            base_probability=math.exp(step.log_probability[node]) if node else None,
            rank=step.rank[node] if node else 0,
            reason=reasons.of(node, status),
            beams=tuple(through.get(node, range(step.beams.width) if node == 0 else ())),
        )
        for node, status in enumerate(statuses)
    )
    return StepInfo(
        index=step.index,
        position=step.position,
        nodes=nodes,
        pick=_pick_info(step, reasons),
        path=step.path,
        beams=_beam_infos(step, statuses),
        mask=mask_rows(step.tree.parent),
        saving=saving_words(step),
        verdict=verdict_words(step, sampled=sampled),
        stage_ms=step.ms,
    )


def node_statuses(step: StepRecord) -> tuple[Status, ...]:
    """Status of every node [N]: rejected where the base model looked and picked otherwise, else never reached."""
    path = set(step.path)
    looked = {pick.node for pick in step.picks}

    def status(node: int) -> Status:
        if node == 0:
            return "root"
        if node in path:
            return "accepted"
        return "rejected" if step.tree.parent[node] in looked else "unreached"

    return tuple(status(node) for node in range(step.tree.nodes))


def mask_rows(parent: tuple[int, ...]) -> tuple[tuple[int, ...], ...]:
    """The tree-attention mask as lists: row i names the tree nodes that node i attends to, root first, itself last."""
    rows: list[tuple[int, ...]] = []
    for node, above in enumerate(parent):
        rows.append((*rows[above], node) if above >= 0 else (node,))
    return tuple(rows)


def saving_words(step: StepRecord) -> str:
    """`8 beams x 5 = 40 slots -> 23 nodes, 43% fewer to verify`."""
    beams, slots = plural(step.beams.width, "beam"), plural(step.beam_slots, "slot")
    shape = f"{beams} × {step.beams.length} = {slots} → {plural(step.tree.nodes - 1, 'node')}"
    saved = StepTotals.of(step).saving
    return f"{shape}, {percent(saved)} fewer to verify" if saved > 0 else f"{shape}, nothing to merge"


def verdict_words(step: StepRecord, *, sampled: bool = False) -> str:
    """The step in one sentence."""
    accepted = f"{plural(step.accepted, 'drafted token') if step.accepted else 'No drafted token'} accepted"
    last = _last_pick(step)
    wrote = f"One forward over {plural(step.tree.nodes, 'node')} wrote {plural(len(step.emitted), 'token')}."
    if last is None:
        return f"{accepted}, the last of them the end of the text. {wrote}"
    share = percent(math.exp(last.log_probability))
    own = f"{quoted(_bytes(step, last.token))} ({share}{', drawn with seeded noise' if sampled else ''})"
    return f"{accepted}, then the base model's own {own}. {wrote}"


def _last_pick(step: StepRecord) -> Pick | None:
    """The pick that ended the step; None where its path ended in end-of-sequence."""
    return next((pick for pick in step.picks if pick.node == step.path[-1]), None)


def _pick_info(step: StepRecord, reasons: Reasons) -> PickInfo | None:
    last = _last_pick(step)
    if last is None:
        return None
    raw = _bytes(step, last.token)
    return PickInfo(
        last.node,
        last.token,
        token_label(raw),
        hex_bytes(raw),
        math.exp(last.log_probability),
        last.rank,
        reasons.of_pick(last),
    )


def _beam_infos(step: StepRecord, statuses: tuple[Status, ...]) -> tuple[BeamInfo, ...]:
    infos = []
    beams = zip(step.beams.scores, step.beams.log_probabilities, step.tree.node_of, strict=True)
    for beam, (score, log_probabilities, row) in enumerate(beams):
        nodes = tuple(node for node in row if node >= 0)
        if nodes:
            accepted = sum(statuses[node] == "accepted" for node in nodes)
            infos.append(BeamInfo(beam, score, sum(log_probabilities), nodes, accepted))
    return tuple(infos)


def _beams_through(step: StepRecord) -> dict[int, list[int]]:
    through: dict[int, list[int]] = {}
    for beam, row in enumerate(step.tree.node_of):
        for node in row:
            if node >= 0:
                through.setdefault(node, []).append(beam)
    return through


def _draft_log_probabilities(step: StepRecord) -> dict[int, float]:
    return {
        node: log_probability
        for row, values in zip(step.tree.node_of, step.beams.log_probabilities, strict=True)
        for node, log_probability in zip(row, values, strict=True)
        if node >= 0
    }


def _bytes(step: StepRecord, token: int) -> bytes:
    return step.token_bytes.get(token, b"")
