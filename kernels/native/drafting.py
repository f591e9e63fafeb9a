"""A recurrent drafter in the library: packed from arrays beside its base model, and the drafts it makes.

Knows arrays and the C library; what a drafter computes stands in `playground.drafter`, how trees are searched in
csrc/search.h.
"""

from __future__ import annotations

import ctypes
import weakref
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from kernels.native import abi
from kernels.native.choices import Rule
from kernels.native.errors import NativeError, check
from kernels.native.model import NativeModel
from kernels.native.spec import FORMATS, Format

Ints = np.ndarray[Any, np.dtype[np.int32]]
Floats = np.ndarray[Any, np.dtype[np.float32]]

LAYERS = ("input", "cell", "block", "output", "context-in", "context-out", "lookup", "bonus")


@dataclass(frozen=True)
class DrafterSpec:
    """A drafter's shape: see csrc/native.h. `drafted` tokens of the vocabulary can be drafted; `cut` 0 keeps all."""

    format: Format
    hidden: int
    exit: int
    blocks: int
    recurrent: bool
    drafted: int
    tied: bool
    taps: int = 0
    recent: int = 0
    context: int = 0
    lookup: int = 0
    match: int = 0
    cut: int = 0

    def to_c(self) -> abi.CDrafterSpec:
        numbers = {name: int(getattr(self, name)) for name in abi.DRAFTER_NUMBERS}
        return abi.CDrafterSpec(format=FORMATS.index(self.format), **numbers)


@dataclass(frozen=True)
class Costs:
    """What a step costs in milliseconds: a forward over 1, 2, .. nodes, a level of drafting, and what is fixed."""

    verify_ms: tuple[float, ...]
    level_ms: float = 0.0
    fixed_ms: float = 0.0
    draft_ms: float = 0.0  # of a draft besides its levels


@dataclass(frozen=True)
class SearchSettings:
    """How a tree is searched for. `nodes` None: the surviving beams. With `costs`, as many of the nodes as pay.

    `copied` tokens of the continuation of a match of at least `least_match` are candidates of their own, each by its
    chance in `chances`, by how many tokens agree; `calibration` is actual over predicted acceptance by depth.
    """

    width: int
    length: int
    nodes: int | None = None
    rule: Rule = field(default_factory=Rule)
    match: int = 16
    copied: int = 0
    least_match: int = 2
    past_vocabulary: bool = False
    chances: tuple[float, ...] = ()
    calibration: tuple[float, ...] = ()
    costs: Costs | None = None

    @property
    def room(self) -> int:
        """Nodes of the largest tree there can be, the root included."""
        return self.nodes or self.width * self.length + 1


class Search:
    """Settings as the library takes them, with the arrays they point to."""

    def __init__(self, settings: SearchSettings) -> None:
        self.settings = settings
        costs = settings.costs
        if costs is not None and settings.nodes is not None and len(costs.verify_ms) < settings.nodes:
            raise NativeError("argument", f"{len(costs.verify_ms)} costs are given for {settings.nodes} nodes.")
        self._chances = _table(settings.chances, abi.MOST_MATCH)
        self._calibration = _table(settings.calibration, abi.MOST_LEVELS)
        self._verify = None if costs is None else np.array(costs.verify_ms, np.float32)
        self.c = abi.CSearch(
            width=settings.width,
            length=settings.length,
            nodes=settings.nodes or 0,
            match=settings.match,
            copied=settings.copied,
            least_match=settings.least_match,
            past_vocabulary=settings.past_vocabulary,
            chances=_address(self._chances),
            calibration=_address(self._calibration),
            verify_ms=_address(self._verify),
            fixed_ms=costs.fixed_ms if costs else 0.0,
            draft_ms=costs.draft_ms if costs else 0.0,
            level_ms=costs.level_ms if costs else 0.0,
            rule=settings.rule.to_c(),
        )


def _table(values: tuple[float, ...], length: int) -> Floats | None:
    """`length` entries, the last one repeated; None for none."""
    if not values:
        return None
    return np.array((*values, *[values[-1]] * length)[:length], np.float32)


def _address(array: Any) -> int | None:
    return None if array is None else int(array.ctypes.data)


class _Room:
    """One piece of memory and its parts: what a search finds."""

    def __init__(self, memory: Ints, room: int, width: int, length: int) -> None:
        self.memory, self.sizes = memory, (room, width, length)
        beams, floats = width * length, memory.view(np.float32)
        a = 5 * room
        b = a + 2 * beams
        c = b + 3 * abi.MOST_OTHERS
        d = c + 2 * room
        e = d + beams
        self.nodes = memory[:a].reshape(5, room)
        self.beams = memory[a:b].reshape(2, width, length)
        self.others = memory[b:c].reshape(3, abi.MOST_OTHERS)
        self.node_numbers = floats[c:d].reshape(2, room)
        self.beam_log_probability = floats[d:e].reshape(width, length)
        self.beam_score, self.other_score = floats[e : e + width], floats[e + width :]

    @staticmethod
    def size(room: int, width: int, length: int) -> int:
        """Numbers of the whole piece."""
        return 7 * room + 3 * width * length + width + 4 * abi.MOST_OTHERS


class Found:
    """What a search found, in memory of its own. Taken in one copy; the parts are looked up when they are asked for."""

    def __init__(self, draft: Draft) -> None:
        self._memory, self._sizes = draft.room.memory.copy(), draft.room.sizes
        self._nodes, self._others = draft.nodes, draft.others
        self.scored, self.budget = draft.scored, draft.budget

    def parts(self) -> FoundParts:
        """As many of each as there are."""
        room, nodes, others = _Room(self._memory, *self._sizes), self._nodes, self._others
        return FoundParts(
            nodes=room.nodes[:, :nodes],
            node_log_probability=room.node_numbers[1, :nodes],
            beams=room.beams,
            beam_log_probability=room.beam_log_probability,
            beam_score=room.beam_score,
            others=room.others[:, :others],
            other_score=room.other_score[:others],
        )


@dataclass(frozen=True)
class FoundParts:
    """Arrays of what was found: N nodes, the root first, W beams of L tokens, U that were scored but not sent."""

    nodes: Ints  # [5, N] token, parent, depth, origin, how deep on a copy
    node_log_probability: Floats  # [N]
    beams: Ints  # [2, W, L] tokens and nodes, -1 for none
    beam_log_probability: Floats  # [W, L]
    beam_score: Floats  # [W]
    others: Ints  # [3, U] token, parent, depth
    other_score: Floats  # [U]


class Draft:
    """Room for what a search finds, used again and again; arrays are views of it.

    Attributes:
        nodes, levels, others, match, scored: how many of each there are; scored: candidates, sent or not.
        token, parent, depth, origin, copy, score, log_probability: of nodes, the root first.
        beam_token, beam_node, beam_log_probability: [W, L], -1 for none; beam_score [W].
        other_token, other_parent, other_depth, other_score: the best that were scored but not sent.
    """

    def __init__(self, settings: SearchSettings) -> None:
        sizes = max(settings.room, abi.MOST_COPIED + 1), settings.width, settings.length
        room = self.room = _Room(np.zeros(_Room.size(*sizes), np.int32), *sizes)
        self.token, self.parent, self.depth, self.origin, self.copy = room.nodes
        self.score, self.log_probability = room.node_numbers
        self.beam_token, self.beam_node = room.beams
        self.beam_log_probability, self.beam_score = room.beam_log_probability, room.beam_score
        self.other_token, self.other_parent, self.other_depth = room.others
        self.other_score = room.other_score
        room.beams.fill(-1)
        self.parent[0] = -1
        arrays = {name: array.ctypes.data for name, array in vars(self).items() if name != "room"}
        self.c = abi.CDraft(nodes=1, **arrays)

    @property
    def nodes(self) -> int:
        return int(self.c.nodes)

    @property
    def levels(self) -> int:
        return int(self.c.levels)

    @property
    def others(self) -> int:
        return int(self.c.others)

    @property
    def match(self) -> int:
        return int(self.c.match)

    @property
    def scored(self) -> int:
        return int(self.c.scored)

    @property
    def budget(self) -> int:
        """Nodes there might have been; of a tree of beams, of no meaning."""
        return int(self.c.budget)


class NativeDrafter:
    """A drafter beside its base model, which it keeps alive."""

    def __init__(self, base: NativeModel, spec: DrafterSpec, layers: Mapping[str, Any], ids: Ints | None) -> None:
        """Pack float32 arrays.

        Args:
            layers: by name of `LAYERS` ("block" with its number, like "block.0"), each a weight [outputs, inputs] or a
                pair of a weight and a bias; the cell's inputs are the embedding, then the state.
            ids: [drafted] full ids, rising; None where the head covers the vocabulary.

        Raises:
            NativeError: shapes that do not fit the spec or the base model, or no memory.
        """
        handle, library = ctypes.c_void_p(), base.library
        ids = None if ids is None else np.ascontiguousarray(ids, np.int32)
        if ids is not None and len(ids) != spec.drafted:
            raise NativeError("argument", f"{len(ids)} ids are given, but {spec.drafted} tokens can be drafted.")
        check(library.c.native_drafter_new(base.handle, spec.to_c(), _address(ids), ctypes.byref(handle)))
        self.base, self.spec, self.handle = base, spec, handle
        weakref.finalize(self, _free, base, handle)
        for name, layer in layers.items():
            self._pack(name, *(layer if isinstance(layer, tuple) else (layer, None)))

    def _pack(self, name: str, weight: Any, bias: Any) -> None:
        kind, _, index = name.partition(".")
        weight = np.ascontiguousarray(weight, np.float32)
        bias = None if bias is None else np.ascontiguousarray(bias, np.float32)
        if kind not in LAYERS or weight.ndim != 2 or (bias is not None and bias.shape != weight.shape[:1]):
            raise NativeError("argument", f"The drafter's layer {name!r} is unknown or of shape {weight.shape}.")
        place = (LAYERS.index(kind), int(index or 0))
        check(
            self.base.library.c.native_drafter_pack(
                self.handle, *place, weight.ctypes.data, _address(bias), *weight.shape
            )
        )

    def draft(
        self, search: Search, state: Floats, history: Ints, count: int, eos: Ints, wanted: int, draft: Draft
    ) -> None:
        """Search after `history[:count]`, whose last token is the root, no deeper than `wanted`; fills `draft`.

        Args:
            state: [H (1 + taps)] float32, the base model's before the root.
            eos: [E] int32 ids that end a text.

        Raises:
            NativeError: a token outside the vocabulary, or sizes out of range.
        """
        check(
            self.base.library.c.native_draft(
                self.handle,
                search.c,
                state.ctypes.data,
                history.ctypes.data,
                count,
                eos.ctypes.data,
                len(eos),
                wanted,
                draft.c,
            )
        )


def _free(base: NativeModel, handle: ctypes.c_void_p) -> None:
    base.library.c.native_drafter_free(handle)
