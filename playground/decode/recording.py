"""A finished step as a trace record: what the base model thought of every node, in plain Python.

Runs outside the lane's clock, after the step. Knows the stages' results; changes nothing of them.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from playground import trace
from playground.decode.lane import BytesOf
from playground.decode.records import Beams, PrefixTree

INVALID_SCORE = -1e30
CHUNK = 2**23  # logits compared at once: bounds the memory of a rank


@dataclass(frozen=True)
class Taken:
    """The verdict on the host."""

    path: tuple[int, ...]  # accepted nodes, the root first
    picks: tuple[int, ...]  # the pick at each, in order: the tokens the step emits


@dataclass(frozen=True)
class Step:
    """All a step leaves behind."""

    index: int
    position: int
    beams: Beams
    tree: PrefixTree
    logits: torch.Tensor  # [N, V]
    taken: Taken
    next_root: int | None
    ms: trace.StageMs
    clock_ms: float


@dataclass(frozen=True)
class Judgement:
    """What the base model thinks of Q tokens, raw: temperature 1, no filter."""

    log_probability: tuple[float, ...]  # [Q]
    rank: tuple[int, ...]  # [Q], 1 = best; equal logits rank by id


@torch.inference_mode()
def describe(step: Step, bytes_of: BytesOf, *, judged: bool) -> trace.StepRecord:
    """The step's record; not `judged` leaves out what needs another look at the logits."""
    path, picked = step.taken.path, step.taken.picks
    judgement = Judgement((), ())
    if judged:
        rows = [*step.tree.parent[1:].tolist(), *path[: len(picked)]]
        judgement = judge(step.logits, rows, [*step.tree.token[1:].tolist(), *picked])
    return compose(step, bytes_of, judgement)


def compose(step: Step, bytes_of: BytesOf, judgement: Judgement) -> trace.StepRecord:
    """The step's record from what is known: `judgement` of nodes 1..N-1, then of the picks, or empty."""
    beams, tree = _beams(step.beams), _tree(step.tree)
    path, picked = step.taken.path, step.taken.picks
    nodes, judged = tree.nodes, bool(judgement.rank)
    log_probability, rank = judgement.log_probability, judgement.rank
    of_picks = zip(path[: len(picked)], picked, log_probability[nodes - 1 :], rank[nodes - 1 :], strict=judged)
    mentioned = {*tree.token, *picked, *(token for beam in beams.tokens for token in beam)}
    return trace.StepRecord(
        index=step.index,
        position=step.position,
        beams=beams,
        tree=tree,
        log_probability=(0.0, *log_probability[: nodes - 1]) if judged else (),
        rank=(0, *rank[: nodes - 1]) if judged else (),
        picks=tuple(trace.Pick(*pick) for pick in of_picks),
        path=path,
        emitted=picked,
        next_root=step.next_root,
        ms=step.ms,
        clock_ms=step.clock_ms,
        token_bytes={token: bytes_of(token) for token in sorted(mentioned) if token >= 0},
    )


def judge(logits: torch.Tensor, nodes: list[int], tokens: list[int]) -> Judgement:
    """What the base model thinks of `tokens` [Q], each as the continuation of its node [Q]; logits [N, V]."""
    if not nodes:
        return Judgement((), ())
    distinct = sorted(set(nodes))
    place = {node: index for index, node in enumerate(distinct)}
    rows = logits[torch.tensor(distinct, device=logits.device)]  # [R, V]
    row = torch.tensor([place[node] for node in nodes], device=logits.device)  # [Q]
    log_probability, rank = judge_rows(rows, row, torch.tensor(tokens, device=logits.device))
    return Judgement(tuple(log_probability.tolist()), tuple(rank.tolist()))


def judge_rows(rows: torch.Tensor, row: torch.Tensor, token: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Log-probability and rank [Q] of `token` [Q] in its row [Q] of `rows` [R, V]. Asks the device nothing."""
    total = rows.to(torch.promote_types(rows.dtype, torch.float32)).logsumexp(-1)  # [R]
    log_probability = rows[row, token].to(total.dtype) - total[row]  # [Q]
    per_chunk = max(1, CHUNK // rows.shape[1])
    rank = rank_one_by_one if rows.device.type == "cpu" else rank_together
    ranks = [rank(rows, *part) for part in zip(row.split(per_chunk), token.split(per_chunk), strict=True)]
    return log_probability, torch.cat(ranks)


def rank_together(rows: torch.Tensor, row: torch.Tensor, token: torch.Tensor) -> torch.Tensor:
    """1 + entries of the row that come before the token: larger, or equal with a lower id. [Q]"""
    own, candidates = rows[row, token][:, None], rows[row]  # [Q, 1], [Q, V]
    ids = torch.arange(rows.shape[1], device=rows.device)
    return 1 + ((candidates > own) | ((candidates == own) & (ids < token[:, None]))).sum(-1)


def rank_one_by_one(rows: torch.Tensor, row: torch.Tensor, token: torch.Tensor) -> torch.Tensor:
    """The same on CPU, where reading each row in place is 20 times as fast as gathering them (30 of 49152, fp32)."""
    ranks = []
    for r, t in zip(row.tolist(), token.tolist(), strict=True):
        own = rows[r, t]
        ranks.append(1 + torch.count_nonzero(rows[r, :t] >= own) + torch.count_nonzero(rows[r, t:] > own))
    return torch.stack(ranks)


def _beams(beams: Beams) -> trace.BeamsRecord:
    return trace.BeamsRecord(
        tokens=tuple(map(tuple, beams.tokens.tolist())),
        log_probabilities=tuple(map(tuple, beams.log_probabilities.tolist())),
        scores=tuple(beams.scores.clamp_min(INVALID_SCORE).tolist()),
    )


def _tree(tree: PrefixTree) -> trace.TreeRecord:
    return trace.TreeRecord(
        token=tuple(tree.token.tolist()),
        parent=tuple(tree.parent.tolist()),
        depth=tuple(tree.depth.tolist()),
        node_of=tuple(map(tuple, tree.node_of.tolist())),
    )
