"""What carries out the stages of a step, and what the loop hears of it: plain Python alone.

So a runner may be made of anything: stages called one by one, replayed graphs, a library of another language. The
loop (`playground.decode.engine`) knows the order of the stages and when a text ends; a runner knows the work.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from playground.trace import BeamsRecord, StageMs, TreeRecord, UnsentRecord


class WritingModel(Protocol):
    """What the loop needs to know of the base model."""

    @property
    def name(self) -> str: ...
    @property
    def window(self) -> int: ...
    @property
    def eos_ids(self) -> frozenset[int]: ...


@dataclass(frozen=True)
class Opening:
    """The prompt has been read and the first root picked."""

    root: int
    log_probability: float  # the base model's, raw
    gap: float | None  # how close the pick was; None in a drafting lane
    ms: float


@dataclass(frozen=True)
class Taken:
    """A verdict on the host."""

    path: tuple[int, ...]  # accepted nodes, the root first
    picks: tuple[int, ...]  # the pick at each, in order: the tokens the step emits


@dataclass(frozen=True)
class Drafted:
    """A proposal on the host."""

    beams: BeamsRecord
    tree: TreeRecord
    budget: int | None = None  # nodes there might have been; None for the surviving beams' tree
    unsent: UnsentRecord | None = None


@dataclass(frozen=True)
class Judgement:
    """What the base model thinks of a step's tokens, raw: temperature 1, no filter. Empty where nobody asked."""

    log_probability: tuple[float, ...] = ()  # [N] of each node's token under its parent, 0 for the root
    rank: tuple[int, ...] = ()  # [N], 1 = best, 0 for the root; equal logits rank by id
    pick_log_probability: tuple[float, ...] = ()  # of each pick
    pick_rank: tuple[int, ...] = ()


@dataclass(frozen=True)
class Reading:
    """What the host knows after its one wait of a slice. What only a record tells is made when the record is."""

    ms: StageMs  # verify, accept and commit of what was settled; draft and tree of what was proposed after it
    taken: Taken | None  # None where nothing was settled: after the prompt
    gap: float | None  # how close the pick was; None in a drafting lane, and where nobody asked
    judgement: Callable[[], Judgement]  # of what was settled
    drafted: Callable[[], Drafted] | None  # what waits to be settled; None where nothing was drafted


class Runner(Protocol):
    """Holds a text's state: n committed tokens, the root at position n, the proposal that waits to be settled.

    A slice of work is `propose` and `read`, or `settle`, perhaps `propose`, and `read`; its time counts from its first
    call. What is prepared once (captures, for one) is outside every slice.
    """

    @property
    def model(self) -> WritingModel: ...

    def start(self, prompt_ids: Sequence[int], limit: int, should_stop: Callable[[], bool]) -> Opening | None:
        """Read a prompt and pick the first root; forget any text before. At most `limit` tokens will be written.

        A runner that reads a prompt in parts asks `should_stop` between them; None where it was told to.
        """
        ...

    def settle(self) -> Taken | None:
        """Verify the waiting proposal, accept, commit. None where only `read` will tell, as asking would be a wait."""
        ...

    def propose(self) -> None:
        """Draft after the root, no further than tokens are wanted, and build the tree; harmless behind a text's end."""
        ...

    def read(self) -> Reading:
        """End the slice."""
        ...
