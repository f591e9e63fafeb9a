"""One step of recurrent drafting as the screen tells it: what became of every node, and why.

Record -> info. What became of a node is read from `playground.figures.nodes`.
Knows neither the layout of the tree (`tree`) nor how anything is drawn.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from playground.figures.format import percent, plural
from playground.figures.nodes import Status, beams_through, draft_log_probabilities, node_origins, node_statuses
from playground.figures.totals import StepTotals
from playground.trace import NodeOrigin, Pick, StageMs, StepRecord
from playground.views.reasons import Reasons
from playground.views.token_text import hex_bytes, quoted, token_label


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
    origin: NodeOrigin  # "copy": no beam drafted it, it repeats what followed an earlier match in the text
    draft_probability: float | None  # the drafter's, of a copy its measured chance; None for the root
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
    through = beams_through(step)
    draft, origins = draft_log_probabilities(step), node_origins(step)
    nodes = tuple(
        NodeInfo(
            node=node,
            parent=step.tree.parent[node],
            depth=step.tree.depth[node],
            token=step.tree.token[node],
            label=token_label(_bytes(step, step.tree.token[node])),
            hex=hex_bytes(_bytes(step, step.tree.token[node])),
            status=status,
            origin=origins[node],
            draft_probability=None if log_probability is None else math.exp(log_probability),
            base_probability=math.exp(step.log_probability[node]) if node else None,
            rank=step.rank[node] if node else 0,
            reason=reasons.of(node, status),
            beams=through[node],
        )
        for node, (status, log_probability) in enumerate(zip(statuses, draft, strict=True))
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


def mask_rows(parent: tuple[int, ...]) -> tuple[tuple[int, ...], ...]:
    """The tree-attention mask as lists: row i names the tree nodes that node i attends to, root first, itself last."""
    rows: list[tuple[int, ...]] = []
    for node, above in enumerate(parent):
        rows.append((*rows[above], node) if above >= 0 else (node,))
    return tuple(rows)


def saving_words(step: StepRecord) -> str:
    """`8 beams x 5 = 40 slots -> 23 nodes, 43% fewer to verify`; under a budget, `budget_words`."""
    if step.budget is not None:
        return budget_words(step)
    if not step.beams.tokens:
        return f"{plural(step.tree.nodes - 1, 'node')} of beams that were not recorded"
    beams, slots = plural(step.beams.width, "beam"), plural(step.beam_slots, "slot")
    shape = f"{beams} × {step.beams.length} = {slots} → {plural(step.tree.nodes - 1, 'node')}"
    saved = StepTotals.of(step).saving
    return f"{shape}, {percent(saved)} fewer to verify" if saved > 0 else f"{shape}, nothing to merge"


def budget_words(step: StepRecord) -> str:
    """`Budget 16: the root and the best 15 of 248 scored tokens, 4 of them copied`."""
    sent = step.tree.nodes - 1
    copies = step.tree.origin.count("copy")
    copied = f", {copies} of them copied from earlier in the text" if copies else ""
    of = plural(step.unsent.total, "scored token") if step.unsent else "the scored tokens"
    best = f"the best {sent} of {of}" if sent else "no drafted token"
    return f"Budget {step.budget}: the root and {best}{copied}"


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


def _bytes(step: StepRecord, token: int) -> bytes:
    return step.token_bytes.get(token, b"")
