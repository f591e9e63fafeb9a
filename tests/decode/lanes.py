"""What the decoding tests share: tiny base models, drafters that follow a script, and lanes to run them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from kernels import kernel_set
from playground.base_model.adapter import BaseModel
from playground.base_model.types import BaseOutput
from playground.config import COPY_TOKENS, BeamShape, Sampling
from playground.decode.decoding import Decoding, Drafting
from playground.decode.direct import DirectRunner
from playground.decode.engine import DraftingLane, PlainLane
from playground.decode.runner import Runner
from playground.drafter.config import DEFAULT_COPY_CHANCES
from playground.drafter.lookup import LONGEST_MATCH, Lookback, look_back
from playground.trace import StepRecord
from tests.families import VOCABULARY, build

KERNELS = kernel_set("reference", torch.device("cpu"))
GREEDY = Sampling()


def tiny_base(family: str, eos: Sequence[int] = (), **overrides: Any) -> BaseModel:
    """A tiny random model of a family in float64 that ends its text at `eos` only."""
    model = build(family, **overrides).double()
    model.config.eos_token_id = model.generation_config.eos_token_id = list(eos) or None
    return BaseModel.from_model(model, kernels=KERNELS)


@dataclass
class CountedRows:
    """A cache that keeps nothing: all the markov base needs to know is how many tokens came before."""

    capacity: int
    committed_tensor: torch.Tensor = field(default_factory=lambda: torch.zeros((), dtype=torch.int64))

    @property
    def committed(self) -> int:
        return int(self.committed_tensor)

    def extend(self, count: int) -> None:
        assert self.committed + count <= self.capacity
        self.committed_tensor.add_(count)

    def commit_counted(self, path: torch.Tensor, length: torch.Tensor) -> None:
        self.extend(int(length))

    def follow(self, committed: int) -> None:
        assert committed == self.committed

    def reset(self) -> None:
        self.committed_tensor.zero_()


class MarkovBase:
    """A base model whose next token hangs on the last one only: `table` [V, V] of logits. Fast, and easy to foresee."""

    name, device, dtype, taps, kernels = "markov", torch.device("cpu"), torch.float32, (), KERNELS

    def __init__(self, table: torch.Tensor, eos: Sequence[int] = (), window: int = 100_000) -> None:
        self.table, self.eos_ids, self.window = table, frozenset(eos), window
        self.vocab_size = self.hidden_size = self.context_size = len(table)
        self.fed: list[int] = []  # highest position of each forward

    def new_cache(self, capacity: int) -> CountedRows:
        return CountedRows(capacity)

    def prefill(self, tokens: torch.Tensor, cache: CountedRows) -> BaseOutput:
        cache.extend(len(tokens))
        return BaseOutput(self.table[tokens[-1:]], self.table[tokens[-1:]])

    def forward(
        self, tokens: torch.Tensor, depth: torch.Tensor, ancestors: torch.Tensor, cache: CountedRows
    ) -> BaseOutput:
        assert cache.committed + len(tokens) <= cache.capacity
        assert ancestors.shape == (len(tokens), len(tokens))
        self.fed.append(cache.committed + int(depth.max()))
        return BaseOutput(self.table[tokens], self.table[tokens])


@dataclass(frozen=True)
class Texts:
    """Drafter state of a scripted drafter: the text of each beam, and what the text was looked up to go on with."""

    beams: tuple[tuple[int, ...], ...]
    seen: Lookback | None = None

    def select(self, index: torch.Tensor) -> Texts:
        return Texts(tuple(self.beams[beam] for beam in index.tolist()), self.seen)


class Scripted:
    """A drafter whose logits [V'] are a function of the text so far, and whose text is looked up like any other."""

    cut: int | None = None
    calibration: tuple[float, ...] = ()
    copy_chances: tuple[float, ...] = DEFAULT_COPY_CHANCES

    def __init__(
        self, opinion: Callable[[tuple[int, ...]], torch.Tensor], full_ids: torch.Tensor | None = None
    ) -> None:
        self.opinion, self.full_ids = opinion, full_ids

    def start(self, hidden: torch.Tensor, tokens: torch.Tensor, root_position: torch.Tensor) -> Texts:
        seen = look_back(tokens, root_position[None], recent=0, continuation=COPY_TOKENS, longest=LONGEST_MATCH)
        return Texts((tuple(tokens[: int(root_position)].tolist()),), seen)

    def full_tokens(self, state: Texts, drafted: torch.Tensor) -> torch.Tensor:
        if self.full_ids is None:
            return drafted
        return torch.where(drafted < 0, -1, self.full_ids[drafted.clamp_min(0)])

    def copied(self, state: Texts) -> Lookback:
        assert state.seen is not None
        return state.seen

    def advance(self, state: Texts, tokens: torch.Tensor) -> tuple[Texts, torch.Tensor]:
        beams = tuple((*text, token) for text, token in zip(state.beams, tokens.tolist(), strict=True))
        after = Texts(beams, state.seen)
        logits = torch.stack([self.opinion(text) for text in after.beams])
        return after, logits if self.full_ids is None else logits[:, self.full_ids]


def opinion_of(
    truth: Sequence[int], prefer: Callable[[int, int], dict[int, float]], vocabulary: int = VOCABULARY
) -> Callable[[tuple[int, ...]], torch.Tensor]:
    """Noise, and while the text follows `truth`, what `prefer(position, true token)` adds to single tokens.

    It is sure enough of itself that sampling's noise hardly moves it. Off the truth it is as sure, so that the accepted
    path is often not the first beam's.
    """

    def opinion(text: tuple[int, ...]) -> torch.Tensor:
        here = len(text)
        logits = torch.randn(vocabulary, generator=torch.Generator().manual_seed(here))
        if here < len(truth) and list(text) == list(truth[:here]):
            for token, bonus in prefer(here, truth[here]).items():
                logits[token] += bonus
        else:
            logits[here * 7 % vocabulary] += 40.0
        return logits

    return opinion


def right(position: int, token: int) -> dict[int, float]:
    return {token: 40.0}


def wrong(position: int, token: int) -> dict[int, float]:
    return {token: -100.0}


def mixed(position: int, token: int) -> dict[int, float]:
    """Right, but often only as the second choice, and every fifth time not at all."""
    if position % 5 == 0:
        return {token: -100.0}
    return {token: 40.0, (token + 1) % VOCABULARY: 48.0 if position % 3 == 0 else 20.0}


MakeRunner = Callable[[Decoding], Runner]


def plain_run(
    base: Any, prompt: Sequence[int], sampling: Sampling, new_tokens: int, runner: MakeRunner = DirectRunner
) -> PlainLane:
    """The plain lane, run to its end."""
    return run_plain(PlainLane(runner(Decoding(base, sampling)), new_tokens), prompt)


def run_plain(lane: PlainLane, prompt: Sequence[int]) -> PlainLane:
    lane.start(prompt)
    while lane.finish_reason is None:
        lane.step()
    return lane


@dataclass(frozen=True)
class Drafted:
    """The drafting lane, run to its end."""

    lane: DraftingLane
    steps: list[StepRecord]


def drafting_run(
    base: Any,
    drafter: Any,
    shape: BeamShape,
    prompt: Sequence[int],
    sampling: Sampling,
    new_tokens: int,
    runner: MakeRunner = DirectRunner,
) -> Drafted:
    return run_drafting(DraftingLane(runner(Decoding(base, sampling, Drafting(drafter, shape))), new_tokens), prompt)


def run_drafting(lane: DraftingLane, prompt: Sequence[int]) -> Drafted:
    lane.start(prompt)
    steps = []
    while lane.finish_reason is None:
        steps.append(lane.step())
    return Drafted(lane, steps)


def several_accepted(step: StepRecord) -> bool:
    return step.accepted >= 2


def rejected_in_mid_path(step: StepRecord) -> bool:
    """The walk went down at least one node and stopped at one that had children."""
    return step.accepted >= 1 and step.path[-1] in step.tree.parent
