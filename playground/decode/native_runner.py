"""The runner on the native CPU library: a few calls a step, and no PyTorch between them.

Both lanes are this code; plain decoding's tree is the root alone. A row's bits do not depend on the rows beside it, so
their texts agree bit for bit. Knows nothing of the loop.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from kernels.native import Costs, Draft, NativeCache, Rule, Search, SearchSettings, Segment
from kernels.native.choices import Acceptance, Judged, judge, pick
from kernels.native.drafting import Found, FoundParts
from playground.base_model.native import NativeBase
from playground.config import DEFAULT_NODES, BeamShape, CostCurve, Sampling
from playground.decode.copy_tail import LEAST_MATCH
from playground.decode.recording import ORIGINS
from playground.decode.runner import Drafted, Judgement, Opening, Reading, Taken
from playground.drafter.config import DrafterConfig
from playground.drafter.lookup import LONGEST_MATCH
from playground.drafter.native import NativeDraftModel
from playground.trace import INFINITE, BeamsRecord, StageMs, TreeRecord, UnsentRecord

CHUNK = 128  # prompt tokens a forward takes at once: some 0.2 s of a small model
Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True)
class NativeDecoding:
    """One way to decode natively. Without a drafter it is plain decoding, the tree being the root alone."""

    base: NativeBase
    sampling: Sampling
    drafter: NativeDraftModel | None = None
    shape: BeamShape = field(default_factory=BeamShape)
    costs: CostCurve | None = None  # by which a budget is chosen step by step
    judged: bool = True  # records say what the base model thought of every token

    @property
    def max_nodes(self) -> int:
        """Nodes of the largest tree, the root included."""
        return self.shape.max_nodes if self.drafter else 1


def rule_in_c(sampling: Sampling) -> Rule:
    return Rule(sampling.temperature, sampling.top_k, sampling.top_p, sampling.seed)


def search_settings(
    shape: BeamShape, sampling: Sampling, config: DrafterConfig, costs: CostCurve | None
) -> SearchSettings:
    """How trees are searched for, as the library takes it."""
    nodes, budgeted = shape.nodes, None
    if isinstance(nodes, str):
        nodes = shape.max_nodes if costs else DEFAULT_NODES
        budgeted = costs_in_c(costs, nodes) if costs else None
    return SearchSettings(
        width=shape.width,
        length=shape.length,
        nodes=nodes,
        rule=rule_in_c(sampling),
        match=LONGEST_MATCH,
        copied=min(shape.copy_tokens, nodes - 1) if nodes else 0,
        least_match=LEAST_MATCH,
        past_vocabulary=config.copies_beyond,
        chances=config.copy_chances,
        calibration=config.calibration,
        costs=budgeted,
    )


def costs_in_c(costs: CostCurve, nodes: int) -> Costs:
    """The curve at every node count up to `nodes`."""
    verify = tuple(costs.verify(count) for count in range(1, nodes + 1))
    return Costs(verify, level_ms=costs.level_ms, fixed_ms=costs.fixed_ms)


class _Clock:
    """Milliseconds of what was done since the last mark."""

    def __init__(self) -> None:
        self._last = time.perf_counter()

    def mark(self) -> float:
        now = time.perf_counter()
        ms, self._last = (now - self._last) * 1e3, now
        return ms


class NativeRunner:
    """See `playground.decode.runner.Runner`."""

    def __init__(self, decoding: NativeDecoding) -> None:
        self.decoding = decoding
        base, nodes = decoding.base, decoding.max_nodes
        self._library, self._handle = base.model.library.c, base.model.handle
        self._rule = rule_in_c(decoding.sampling)
        self._taps = tuple(layer - 1 for layer in base.taps) if decoding.drafter else ()
        self._accepted = Acceptance(self._library, self._handle, self._rule, base.eos, nodes, base.vocab_size)
        settings, drafter = SearchSettings(1, 1), decoding.drafter
        if drafter is not None:
            settings = search_settings(decoding.shape, decoding.sampling, drafter.config, decoding.costs)
        self._search, self._draft = Search(settings), Draft(settings)
        self._state = np.empty(base.hidden_size * (1 + len(self._taps)), np.float32)  # before the root
        self._cache: NativeCache
        self._history: Array  # committed tokens, then the root
        self._committed = self._last = 0  # n; position of the last token that is wanted
        self._taken: Taken | None
        self._gap: float | None
        self._judgement: Callable[[], Judgement]
        self._reset_slice()

    @property
    def model(self) -> NativeBase:
        return self.decoding.base

    def start(self, prompt_ids: Sequence[int], limit: int, should_stop: Callable[[], bool]) -> Opening | None:
        """Read a prompt in chunks and pick the first root; None where it was stopped between two of them."""
        count, model = len(prompt_ids), self.model.model
        self._cache = model.new_cache(count + limit + self.decoding.max_nodes)
        self._history = np.zeros(count + limit + 1, np.int32)
        self._history[:count] = prompt_ids
        self._committed, self._last = 0, count + limit - 1
        clock = _Clock()
        while self._committed < count:
            if self._committed and should_stop():
                return None
            chunk = self._history[self._committed : min(self._committed + CHUNK, count)]
            found = model.forward([Segment.chain(self._cache, self._committed, chunk)], self._taps)
            self._committed = self._cache.commit(self._committed, np.arange(len(chunk), dtype=np.int32))
        logits = model.logits(found.hidden[-1:])
        picks, gaps = pick(self._library, self._handle, self._rule, logits, np.array([count]))
        self._keep_state(found, len(found.hidden) - 1)
        root = int(picks[0])
        self._history[count] = root
        self._root_alone(root)
        ms = clock.mark()
        found_root = judge(self._library, self._handle, logits, np.zeros(1, np.int32), picks)
        gap = None if self.decoding.drafter else float(gaps[0])
        self._reset_slice()
        return Opening(root, float(found_root.log_probability[0]), gap, ms)

    def settle(self) -> Taken:
        """Verify, accept, commit; what the record asks comes after, off the clock."""
        nodes, draft, accepted = self._draft.nodes, self._draft, self._accepted
        tree = (draft.token[:nodes], draft.parent[:nodes], draft.depth[:nodes])
        self._reset_slice()
        clock = _Clock()
        found = self.model.model.forward([Segment(self._cache, self._committed, *tree)], self._taps)
        verify = clock.mark()
        accepted.walk(*tree, self._committed, found.hidden, nodes)
        path, picks = accepted.path, accepted.picks
        accept = clock.mark()
        emitted = picks[picks >= 0]
        self._keep_state(found, int(path[-1]))
        before, self._committed = self._committed, self._cache.commit(self._committed, path)
        room = self._history[before + 1 : before + 1 + len(emitted)]
        room[:] = emitted[: len(room)]
        self._ms = StageMs(draft=0.0, tree=0.0, verify=verify, accept=accept, commit=clock.mark())
        taken = self._taken = Taken(tuple(path.tolist()), tuple(emitted.tolist()))
        if self.decoding.judged:
            self._judgement = partial(judgement, accepted.judge(*tree[:2]), taken)
            self._gap = None if self.decoding.drafter else accepted.gap
        return taken

    def propose(self) -> None:
        """Draft and build the tree."""
        decoding = self.decoding
        root = int(self._history[self._committed])
        if decoding.drafter is None:
            self._root_alone(root)
            return
        wanted = max(0, min(self._last - self._committed - 1, decoding.shape.depth))
        decoding.drafter.native.draft(
            self._search, self._state, self._history, self._committed + 1, self.model.eos, wanted, self._draft
        )
        self._wanted, self._proposed = wanted, True

    def read(self) -> Reading:
        """End the slice."""
        drafted = None
        if self._proposed:
            told = self._draft.c
            self._ms = StageMs(
                draft=told.draft_ms,
                tree=told.tree_ms,
                verify=self._ms.verify,
                accept=self._ms.accept,
                commit=self._ms.commit,
            )
            length = min(self.decoding.shape.length, self._wanted)
            drafted = partial(drafted_record, Found(self._draft), length, self._search.settings.nodes is not None)
        return Reading(self._ms, self._taken, self._gap, self._judgement, drafted)

    def _reset_slice(self) -> None:
        self._ms = StageMs(draft=0.0, tree=0.0, verify=0.0, accept=0.0, commit=0.0)
        self._taken = self._gap = None
        self._judgement = Judgement
        self._proposed, self._wanted = False, 0

    def _root_alone(self, root: int) -> None:
        self._draft.c.nodes = 1
        self._draft.token[0] = root

    def _keep_state(self, found: Any, row: int) -> None:
        """What the next draft begins from: hidden state and taps at the last committed token."""
        hidden = self.model.hidden_size
        self._state[:hidden] = found.hidden[row]
        for index in range(len(self._taps)):
            self._state[(index + 1) * hidden : (index + 2) * hidden] = found.taps[index, row]


def judgement(found: Judged, taken: Taken) -> Judgement:
    """A step's judgement from what was found of its nodes but the root, and then of its last pick, if it has one."""
    log_probability, rank = found.log_probability.tolist(), found.rank.tolist()
    picks, nodes = [node - 1 for node in taken.path[1:]], len(rank)
    if len(taken.picks) > len(picks):
        nodes -= 1
        picks.append(nodes)
    return Judgement(
        log_probability=(0.0, *log_probability[:nodes]),
        rank=(0, *rank[:nodes]),
        pick_log_probability=tuple([log_probability[place] for place in picks]),
        pick_rank=tuple([rank[place] for place in picks]),
    )


def drafted_record(found: Found, length: int, budgeted: bool) -> Drafted:
    """A proposal as records tell it, its beams cut to the `length` that was wanted; of no length, nothing was searched.

    The library stops a search where another level cannot pay; what the record then says of the beams ends there.
    """
    budgeted, parts = budgeted and length > 0, found.parts()
    token, parent, depth, origin, copied = map(tuple, parts.nodes.tolist())
    beam_token, beam_node = parts.beams[:, :, :length].tolist()
    return Drafted(
        beams=BeamsRecord(
            tokens=_rows(beam_token),
            log_probabilities=_rows(parts.beam_log_probability[:, :length].tolist()),
            scores=tuple(np.maximum(parts.beam_score, -INFINITE).tolist()),
        ),
        tree=TreeRecord(
            token=token,
            parent=parent,
            depth=depth,
            node_of=_rows(beam_node),
            log_probability=tuple(parts.node_log_probability.tolist()),
            origin=tuple([ORIGINS[one] for one in origin]),
            copied=copied,
        ),
        budget=found.budget if budgeted else None,
        unsent=_unsent(parts, found.scored) if budgeted else None,
    )


def _unsent(parts: FoundParts, total: int) -> UnsentRecord:
    token, parent, depth = map(tuple, parts.others.tolist())
    return UnsentRecord(token, parent, depth, score=tuple(parts.other_score.tolist()), total=total)


def _rows(table: list[list[Any]]) -> tuple[tuple[Any, ...], ...]:
    return tuple(map(tuple, table))
