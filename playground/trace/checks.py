"""What must hold inside and between the records of a trace beyond each field's type, so that views can trust indices.

Run where a trace is read, not where it is recorded. Knows no file format. Each function yields sentences; none means
that the record is sound.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from playground.trace.records import (
    BeamsRecord,
    Header,
    ParityRecord,
    PlainRecord,
    Record,
    StepRecord,
    TreeRecord,
)
from playground.trace.run import Trace


def header_problems(header: Header) -> Iterator[str]:
    """Problems of a header by itself."""
    missing = set(header.prompt_ids) - header.token_bytes.keys()
    if missing:
        yield f"token_bytes lacks token {min(missing)}"


def step_problems(step: StepRecord) -> Iterator[str]:
    """Problems of one step by itself."""
    yield from _tree_problems(step.tree)
    yield from _beam_problems(step.beams, step.tree)
    yield from _search_problems(step)
    nodes = step.tree.nodes
    for name, row in (("log_probability", step.log_probability), ("rank", step.rank)):
        if len(row) != nodes:
            yield f"{name} has {len(row)} entries for {nodes} nodes"
    yield from _path_problems(step)
    missing = _mentioned(step) - step.token_bytes.keys()
    if missing:
        yield f"token_bytes lacks token {min(missing)}"


def _tree_problems(tree: TreeRecord) -> Iterator[str]:
    nodes = tree.nodes
    if not nodes or len(tree.parent) != nodes or len(tree.depth) != nodes:
        yield f"tree lists differ in length ({nodes}, {len(tree.parent)}, {len(tree.depth)})"
        return
    if tree.parent[0] != -1 or tree.depth[0] != 0:
        yield "tree.parent[0] and tree.depth[0] must be -1 and 0: node 0 is the root"
    for node in range(1, nodes):
        parent = tree.parent[node]
        if not 0 <= parent < node:
            yield f"tree.parent[{node}] is {parent}, but a parent stands before its children"
        elif tree.depth[node] != tree.depth[parent] + 1:
            yield f"tree.depth[{node}] is {tree.depth[node]}, its parent's is {tree.depth[parent]}"


def _beam_problems(beams: BeamsRecord, tree: TreeRecord) -> Iterator[str]:
    shape = [len(row) for row in beams.tokens]
    same = shape == [len(row) for row in beams.log_probabilities] == [len(row) for row in tree.node_of]
    if not same or len(set(shape)) > 1 or len(beams.scores) != len(shape):
        yield "beams and node_of differ in shape"
        return
    for beam, (tokens, nodes) in enumerate(zip(beams.tokens, tree.node_of, strict=True)):
        for depth, (token, node) in enumerate(zip(tokens, nodes, strict=True)):
            if node == -1:
                continue
            if not 0 < node < tree.nodes or tree.token[node] != token:
                yield f"node_of[{beam}][{depth}] is {node}, which is no node with token {token}"
            elif tree.parent[node] != (nodes[depth - 1] if depth else 0):
                yield f"node_of[{beam}][{depth}] is {node}, which does not follow the beam's node before it"


def _search_problems(step: StepRecord) -> Iterator[str]:
    """Of what a trace before 1.1 lacks."""
    tree, unsent, nodes = step.tree, step.unsent, step.tree.nodes
    for name, row in (("log_probability", tree.log_probability), ("origin", tree.origin), ("copied", tree.copied)):
        if row and len(row) != nodes:
            yield f"tree.{name} has {len(row)} entries for {nodes} nodes"
    for node, origin in enumerate(tree.origin):
        if (origin == "root") != (node == 0):
            yield f"tree.origin[{node}] is {origin!r}, but node 0 is the root"
    if step.budget is not None and nodes > step.budget:
        yield f"the tree has {nodes} nodes, more than its budget of {step.budget}"
    if unsent is None:
        return
    if not len(unsent.token) == len(unsent.parent) == len(unsent.depth) == len(unsent.score):
        yield "the lists of unsent differ in length"
    elif any(parent >= nodes for parent in unsent.parent):
        yield f"unsent names parent {max(unsent.parent)}, but the tree has {nodes} nodes"


def _path_problems(step: StepRecord) -> Iterator[str]:
    path, tree = step.path, step.tree
    if not path or path[0] != 0 or any(not 0 <= node < tree.nodes for node in path):
        yield f"path {list(path)} does not start at the root or leaves the tree"
        return
    for above, node in pairwise(path):
        if tree.parent[node] != above:
            yield f"path goes from node {above} to {node}, which is not its child"
    nodes = tuple(pick.node for pick in step.picks)
    if nodes not in {path, path[:-1]}:
        yield f"picks stand at nodes {list(nodes)}, but the path is {list(path)}"
    for pick, node in zip(step.picks, path[1:], strict=False):
        if pick.token != tree.token[node]:
            yield f"node {node} was accepted with token {tree.token[node]}, but the pick there is {pick.token}"
    picked = tuple(pick.token for pick in step.picks)
    accepted = tuple(tree.token[node] for node in path[1:])
    if step.emitted not in {accepted[: len(step.emitted)], picked[: len(step.emitted)]}:
        yield f"emitted {list(step.emitted)}, which is not how the path starts"


def _mentioned(step: StepRecord) -> set[int]:
    """Token ids a step mentions."""
    ids = {*step.tree.token, *step.emitted, *(pick.token for pick in step.picks)}
    ids |= set(step.unsent.token) if step.unsent else set()
    return ids | {token for beam in step.beams.tokens for token in beam if token != -1}


class Order:
    """What must hold between a record and those of its lane before it, told while they come."""

    def __init__(self, header: Header) -> None:
        self._position = len(header.prompt_ids)  # where the next step starts
        self._steps = self._plain = 0
        self._before: StepRecord | None = None

    def problems(self, record: Record) -> Iterator[str]:
        """Problems of the next record; after one, the rest means nothing."""
        if isinstance(record, StepRecord):
            yield from self._step(record)
        elif isinstance(record, PlainRecord):
            if record.index != self._plain:
                yield f"the plain lane's tokens are not in order: {record.index} stands where {self._plain} should"
            self._plain += 1

    def _step(self, step: StepRecord) -> Iterator[str]:
        before = self._before
        if step.index != self._steps:
            yield f"step {step.index} stands where step {self._steps} should: a line is missing or doubled"
        elif step.position != self._position:
            yield f"step {step.index} starts at position {step.position}, but {self._position} tokens were committed"
        elif before and (before.next_root != step.tree.token[0] or len(before.emitted) != len(before.path)):
            yield f"step {before.index} does not lead to step {step.index}: their root or token counts differ"
        self._steps, self._position, self._before = self._steps + 1, self._position + len(step.path), step


def trace_problems(trace: Trace) -> Iterator[str]:
    """Problems of a whole trace beyond the order of its records."""
    if trace.steps and trace.prompt("redrafter") is None:
        yield "there are steps but no prompt record of their lane"
    yield from _summary_problems(trace)
    yield from _parity_problems(trace.parity)


def _summary_problems(trace: Trace) -> Iterator[str]:
    if trace.footer is None:
        return
    summary = trace.footer.summary
    for name, stated, counted in (
        ("new_tokens", summary.new_tokens, len(trace.redrafter_tokens)),
        ("num_spec_steps", summary.num_spec_steps, len(trace.steps)),
        ("num_accepted_draft_tokens", summary.num_accepted_draft_tokens, sum(step.accepted for step in trace.steps)),
        ("num_draft_tokens", summary.num_draft_tokens, sum(step.tree.nodes - 1 for step in trace.steps)),
        ("acceptance_histogram", sum(summary.acceptance_histogram), len(trace.steps)),
    ):
        if stated != counted:
            yield f"the summary's {name} is {stated}, the records say {counted}"


def _parity_problems(parity: ParityRecord | None) -> Iterator[str]:
    if parity is not None and parity.identical and parity.first_difference is not None:
        yield "the parity report says identical and names a first difference"
