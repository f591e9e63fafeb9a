"""Where the columns of tables and the attributes of graphs come from: measured, computed from what, or set.

One sentence a column, the same in every format that can carry it. Knows names, no values.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from playground.figures.provenance import Kind, Source

TracedTable = Literal["steps", "nodes", "beams", "plain"]

BASE = "log-softmax of the base model's logits at the node's parent, temperature 1, no filter"
DRAFTER = "the drafter's own log-softmax under the node's parent; of a copy, the logarithm of its counted chance"


def _sources(kind: Kind, words: Mapping[str, str]) -> dict[str, Source]:
    return {column: Source(kind, told) for column, told in words.items()}


_STEPS = {
    **_sources(
        "computed",
        {
            "index": "steps counted from 0 in the order they ran",
            "position": "committed tokens before the step: the prompt's and those written",
            "picks": "the base model's pick at every node of the path: argmax of its logits, with noise when sampling; "
            "log_probability: its log-softmax there, temperature 1, no filter; rank 1: its most probable token",
            "path": "nodes whose tokens were picked, from the root on",
            "emitted": "picks along the path, cut where the text ends",
            "next_root": "the last pick; empty where the text ended",
            "budget": "nodes there might have been: what was set, or, with auto, what pays by costs measured at load",
            "unsent_token": "candidates that the drafter scored and that were not sent, best first",
            "unsent_parent": "their parents in the tree; -1 for one that was not sent either",
            "unsent_depth": "their depths in the tree",
            "unsent_score": "sum of the drafter's log-probabilities along the path, noise of sampling included",
            "unsent_total": "candidates that the drafter scored, sent or not",
            "ms_total": "ms_draft + ms_tree + ms_verify + ms_accept + ms_commit",
            "beam_width": "beams recorded; 0 in light detail",
            "beam_length": "tokens of a recorded beam; 0 in light detail",
            "nodes": "nodes of the tree, the root included",
            "drafted": "nodes - 1",
            "accepted": "length of the path - 1",
            "text": "the emitted tokens' bytes as text; half a character goes to the step that completes it",
        },
    ),
    **_sources(
        "measured",
        {
            "ms_draft": "the lane's clock around the drafter's search, milliseconds",
            "ms_tree": "the lane's clock around the merging into a tree, milliseconds",
            "ms_verify": "the lane's clock around the base model's forward, milliseconds",
            "ms_accept": "the lane's clock around the picks and the path, milliseconds",
            "ms_commit": "the lane's clock around the cache's update, milliseconds",
            "clock_ms": "the lane's own clock after the step, which stands while the other lane runs; prompt excluded",
        },
    ),
}
_NODES = _sources(
    "computed",
    {
        "step": "steps counted from 0 in the order they ran",
        "node": "nodes counted from 0, the root; in the order of the tree",
        "token": "the root: the base model's last pick; else drafted or copied",
        "parent": "the node that it follows; -1 for the root",
        "depth": "drafted tokens from the root to it",
        "copied": "how deep on what followed an earlier match in the text; 0 where it does not stand there",
        "log_probability": BASE,
        "rank": "entries of the base model's logits at the parent that are larger, + 1; equal ones by id",
        "origin": "beam: the drafter's search; copy: what followed an earlier match in the text, and no beam had it",
        "draft_log_probability": DRAFTER,
        "status": "accepted: on the path; rejected: its parent is, and the pick there is another; unreached: neither",
        "beams": "beams that run through it; of light detail, none",
        "label": "the token's bytes as text, with a sign for what has no shape",
        "bytes": "the token's bytes by the tokenizer's vocabulary, hexadecimal",
    },
)
_BEAMS = _sources(
    "computed",
    {
        "step": "steps counted from 0 in the order they ran",
        "beam": "beams counted from 0, best score first",
        "score": "sum of the drafter's log-probabilities along the beam, noise of sampling included",
        "log_probability": "sum of the drafter's log-probabilities over the beam's tokens that are nodes",
        "tokens": "the beam's tokens that are nodes of the tree",
        "log_probabilities": "the drafter's own log-softmax of each of them under the one before",
        "nodes": "their nodes",
        "accepted": "how many of their nodes are on the path",
    },
)
_PLAIN = {
    **_sources(
        "computed",
        {
            "index": "tokens counted from 0, which came with the prompt",
            "token": "the base model's pick: argmax of its logits, with noise when sampling",
            "log_probability": "log-softmax of the base model's logits there, temperature 1, no filter",
            "text": "the token's bytes as text; half a character goes to the token that completes it",
        },
    ),
    **_sources(
        "measured",
        {
            "ms": "the lane's clock around the token's step, milliseconds; 0 for token 0",
            "clock_ms": "the lane's own clock after the token, which stands while the other lane runs; prompt excluded",
        },
    ),
}
COLUMN_SOURCES: Mapping[TracedTable, Mapping[str, Source]] = {
    "steps": _STEPS,
    "nodes": _NODES,
    "beams": _BEAMS,
    "plain": _PLAIN,
}
GRAPH_SOURCES: Mapping[str, Source] = {
    **_NODES,
    "position": _STEPS["position"],
    "run": Source("set", "a random name that the run was given when it began"),
    **_sources(
        "computed",
        {
            "pick": "the base model's pick at this node, on the accepted path alone",
            "pick_log_probability": "log-softmax of the pick at this node, temperature 1, no filter",
            "pick_rank": "entries of the base model's logits at this node that are larger than the pick's, + 1",
        },
    ),
}
# Of the table that tells all of this.
OWN_SOURCES: Mapping[str, Source] = _sources(
    "set",
    {
        "table": "the table that has the column",
        "column": "its name, which is the record's field's where it has one",
        "kind": "measured, computed, predicted or set",
        "source": "how, and in which unit where it has one",
    },
)
EDGE_SOURCES: Mapping[str, Source] = {"accepted": Source("computed", "its end is on the accepted path")}
