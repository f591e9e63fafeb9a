"""The one decoding loop: settle what waits, propose what comes next, read once.

A step settles the proposal that the step before made (the prompt made the first): verify, accept, commit. Then it
drafts the next and builds its tree, unless the text is known to have ended, and hears what happened. The record of a
step tells its own draft. Recurrent drafting and plain decoding are this loop; plain decoding's tree is the root alone,
and its record another. Emits exactly what plain decoding of the same base model and seed emits, whoever drafts.
Does not know how a stage is carried out, tokenizers, trace files or the screen.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Generic, TypeVar

from playground import trace
from playground.config import PlaygroundError
from playground.decode.runner import Drafted, Judgement, Reading, Runner, Taken

Record = TypeVar("Record", bound=trace.StepRecord | trace.PlainRecord, covariant=True)


@dataclass(frozen=True)
class Step:
    """A step that is over. Its record can be made at any time: nothing that happens later changes it."""

    index: int
    position: int  # n before it
    drafted: Callable[[], Drafted] | None
    taken: Taken
    judgement: Callable[[], Judgement]
    ms: trace.StageMs
    clock_ms: float  # of the lane, after it
    tokens: int  # new ones, after it
    ended: bool  # the text


class Stopped(Exception):
    """A lane was told to stop while it read its prompt."""


def never() -> bool:
    return False


class Lane(ABC, Generic[Record]):
    """One decoding of one prompt. `start` it, then `step` it while `finish_reason` is None.

    Attributes:
        tokens: new tokens so far, the first root first.
        clock_ms: the lane's own computing so far; prompt processing and records excluded.
        finish_reason: why the text ended, None while it goes on.
        gaps: how close the pick of every token was, where the lane measures it.
    """

    name: ClassVar[trace.Lane]

    def __init__(self, runner: Runner, max_new_tokens: int) -> None:
        self.runner, self.max_new_tokens = runner, max_new_tokens
        self.tokens: list[int] = []
        self.gaps: list[float] = []
        self.clock_ms = 0.0
        self.finish_reason: trace.FinishReason | None = None
        self.steps = 0
        self._ahead: Reading  # of the slice that made the waiting proposal

    def start(self, prompt_ids: Sequence[int], should_stop: Callable[[], bool] = never) -> trace.PromptRecord:
        """Read the prompt, pick the first token, and make the first proposal.

        Raises:
            PlaygroundError: an empty prompt, or one that leaves no room in the model's window.
            Stopped: `should_stop` said so while the prompt was read; the lane has no text.
        """
        length, model = len(prompt_ids), self.runner.model
        if not 0 < length < model.window:
            raise PlaygroundError(
                f"The prompt has {length} tokens, but must have from 1 to {model.window - 1}: the window of "
                f"{model.name} is {model.window} and one new token must fit. Change the prompt's length."
            )
        self._prompt, self._limit = length, min(self.max_new_tokens, model.window - length)
        self.tokens, self.gaps, self.clock_ms, self.steps = [], [], 0.0, 0
        opening = self.runner.start(prompt_ids, self._limit, should_stop)
        if opening is None:
            raise Stopped
        self._opening = opening
        self._emit((self._opening.root,), self._opening.gap)
        if self.finish_reason is None:
            self.runner.propose()
            self._ahead = self.runner.read()
        return trace.PromptRecord(
            lane=self.name,
            tokens=length,
            ms=self._opening.ms,
            first_root=self._opening.root,
            log_probability=self._opening.log_probability,
            token_bytes={},
        )

    def first(self) -> Record | None:
        """The record of the token that the prompt gave, in a lane that has one."""
        return None

    def step(self) -> Record:
        """One step and its record."""
        return self.record(self.advance())

    def advance(self) -> Step:
        """One step: a token, or up to beam length + 1 of them."""
        ahead, position = self._ahead, self._prompt + len(self.tokens) - 1
        known = self.runner.settle()
        if known is None or self._end(known.picks) is None:
            self.runner.propose()
        reading = self._ahead = self.runner.read()
        assert reading.taken is not None
        settled = reading.ms
        ms = trace.StageMs(ahead.ms.draft, ahead.ms.tree, settled.verify, settled.accept, settled.commit)
        self.clock_ms += ms.total
        self._emit(reading.taken.picks, reading.gap)
        self.steps += 1
        return Step(
            index=self.steps - 1,
            position=position,
            drafted=ahead.drafted,
            taken=reading.taken,
            judgement=reading.judgement,
            ms=ms,
            clock_ms=self.clock_ms,
            tokens=len(self.tokens),
            ended=self.finish_reason is not None,
        )

    def _end(self, tokens: Sequence[int]) -> trace.FinishReason | None:
        """Why the text would end with these `tokens` added, None if it would not."""
        if tokens[-1] in self.runner.model.eos_ids:
            return "eos"
        if len(self.tokens) + len(tokens) < self._limit:
            return None
        return "length" if self._limit == self.max_new_tokens else "window"

    def _emit(self, tokens: Sequence[int], gap: float | None) -> None:
        self.finish_reason = self._end(tokens)
        self.tokens.extend(tokens)
        if gap is not None:
            self.gaps.append(gap)

    @abstractmethod
    def record(self, step: Step) -> Record:
        """What the trace says of a step; bytes of tokens are added by who has the tokenizer."""


class DraftingLane(Lane[trace.StepRecord]):
    """Recurrent drafting."""

    name = "redrafter"

    def record(self, step: Step) -> trace.StepRecord:
        assert step.drafted is not None
        drafted, taken, judgement = step.drafted(), step.taken, step.judgement()
        picks = zip(taken.path, taken.picks, judgement.pick_log_probability, judgement.pick_rank, strict=False)
        return trace.StepRecord(
            index=step.index,
            position=step.position,
            beams=drafted.beams,
            tree=drafted.tree,
            log_probability=judgement.log_probability,
            rank=judgement.rank,
            picks=tuple(trace.Pick(*pick) for pick in picks),
            path=taken.path,
            emitted=taken.picks,
            next_root=None if step.ended else taken.picks[-1],
            ms=step.ms,
            clock_ms=step.clock_ms,
            token_bytes={},
            budget=drafted.budget,
            unsent=drafted.unsent,
        )


class PlainLane(Lane[trace.PlainRecord]):
    """Plain decoding, the baseline of the race."""

    name = "plain"

    def first(self) -> trace.PlainRecord:
        opening = self._opening
        return trace.PlainRecord(0, opening.root, opening.log_probability, ms=0.0, clock_ms=0.0, token_bytes={})

    def record(self, step: Step) -> trace.PlainRecord:
        return trace.PlainRecord(
            index=step.tokens - 1,
            token=step.taken.picks[-1],
            log_probability=step.judgement().pick_log_probability[0],
            ms=step.ms.total,
            clock_ms=step.clock_ms,
            token_bytes={},
        )
