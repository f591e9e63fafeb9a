"""What a slice told the host, as plain Python: tensors on the host become parts of records.

Runs outside the lane's clock. Knows the names that `Stages.told` gives; nothing of how the tensors got here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from playground.decode.records import Origin
from playground.decode.runner import Drafted, Judgement, Taken
from playground.trace import INFINITE, BeamsRecord, NodeOrigin, TreeRecord, UnsentRecord

Told = Mapping[str, torch.Tensor]

ORIGINS: Mapping[int, NodeOrigin] = {Origin.ROOT: "root", Origin.BEAM: "beam", Origin.COPY: "copy"}


def taken(path: torch.Tensor, picks: torch.Tensor) -> Taken:
    """A verdict's path and picks [L + 1], read together."""
    nodes, tokens = torch.stack((path, picks)).tolist()
    return Taken(
        path=tuple(node for node in nodes if node >= 0),
        picks=tuple(token for token in tokens if token >= 0),
    )


def judgement(told: Told, nodes: int, picks: int) -> Judgement:
    """Of a step of `nodes` and `picks`: in `told` the picks stand first, as many as a path can have."""
    log_probability, rank = told["log_probability"].tolist(), told["rank"].tolist()
    first = len(told["picks"])  # of the nodes
    return Judgement(
        log_probability=tuple(log_probability[first : first + nodes]),
        rank=tuple(rank[first : first + nodes]),
        pick_log_probability=tuple(log_probability[:picks]),
        pick_rank=tuple(rank[:picks]),
    )


def gap(told: Told) -> float | None:
    """How close the pick was, in a lane that measures it."""
    return float(told["gap"]) if "gap" in told else None


def drafted(told: Told, length: int) -> Drafted:
    """The waiting proposal, its beams cut to the `length` that was wanted; of no length, nothing was searched."""
    nodes, budget = int(told["count"]), int(told["budget"]) if length else 0
    return Drafted(
        beams=BeamsRecord(
            tokens=_rows(told["beams"][:, :length]),
            log_probabilities=_rows(told["beam_log_probability"][:, :length]),
            scores=tuple(told["scores"].clamp_min(-INFINITE).tolist()),
        ),
        tree=TreeRecord(
            token=tuple(told["token"][:nodes].tolist()),
            parent=tuple(told["parent"][:nodes].tolist()),
            depth=tuple(told["depth"][:nodes].tolist()),
            node_of=_rows(told["node_of"][:, :length]),
            log_probability=tuple(told["draft_log_probability"][:nodes].tolist()),
            origin=tuple(ORIGINS[origin] for origin in told["origin"][:nodes].tolist()),
            copied=tuple(told["copied"][:nodes].tolist()),
        ),
        budget=budget or None,
        unsent=_unsent(told) if budget else None,
    )


def _unsent(told: Told) -> UnsentRecord:
    real = int((told["unsent_token"] >= 0).sum())
    return UnsentRecord(
        token=tuple(told["unsent_token"][:real].tolist()),
        parent=tuple(told["unsent_parent"][:real].tolist()),
        depth=tuple(told["unsent_depth"][:real].tolist()),
        score=tuple(told["unsent_score"][:real].tolist()),
        total=int(told["unsent_total"]),
    )


def _rows(table: torch.Tensor) -> tuple[tuple[Any, ...], ...]:
    return tuple(map(tuple, table.tolist()))
