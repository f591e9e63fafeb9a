"""What a run may spend: hours by the rates measured here, disk for the base model's states, and who is told of it.

Knows an author, a request and a plan; carries out no stage.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from functools import cached_property
from pathlib import Path

from playground.config import PlaygroundError
from playground.distill.author import Author
from playground.distill.corpus.conversation import CorpusOptions
from playground.distill.corpus.self_written import ENDLESS_ROWS
from playground.distill.measuring import measure_rates
from playground.distill.plan import Plan
from playground.distill.request import Sizes, TrainRequest
from playground.distill.schedule import FEWEST_PROMPTS, Rates, Schedule
from playground.distill.teacher.states import StatesInfo, bytes_needed, states_room
from playground.distill.trial import TrialOptions

_PATIENCE = 1.5  # times the seconds that were planned for the trial
_FEWEST_TOKENS = 4096  # of a corpus that is cut short
_SLOWER, _FASTER = 4.0, 0.5  # than when it was measured: what the ending is taken to be at most


class Allowance:
    """The hours and the disk of one run."""

    def __init__(
        self,
        author: Author,
        request: TrainRequest,
        sizes: Sizes,
        plan: Plan,
        say: Callable[[str], None],
        *,
        tick: Callable[[], None] = lambda: None,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        """
        Args:
            tick: called while rates are measured; may raise.
        """
        self.author, self.request, self.sizes, self.plan, self.say = author, request, sizes, plan, say
        self._tick, self._clock = tick, clock
        self.schedule = Schedule(request.hours or sizes.hours, author.base.device.type)
        self.row_tokens = min(request.row_tokens, author.base.window)
        self.taps: tuple[int, ...] = ()  # of the drafter to train: what the teacher's forward is measured with
        self._began = clock() if request.began is None else request.began
        self._before = max(plan.elapsed, plan.seconds_spent())  # of earlier runs

    @cached_property
    def rates(self) -> Rates:
        """Measured when they are first wanted."""
        return measure_rates(self.author, self.taps, self.row_tokens, self._tick)

    @cached_property
    def trial_options(self) -> TrialOptions:
        """With the number of prompts asked for, or that there is time for."""
        asked = self.request.trial
        count = self.schedule.trial_prompts(asked.prompts, self.sizes.trial_prompts, self._prompt_seconds)
        return replace(asked, prompts=count)

    @property
    def trial_seconds(self) -> float:
        return (self.trial_options.prompts or 0) * self._prompt_seconds

    @property
    def _prompt_seconds(self) -> float:
        """Of the trial, for one prompt: plainly and at every shape."""
        trial = self.request.trial
        return trial.new_tokens * self.rates.token_seconds * (1 + len(trial.shapes))

    @property
    def hours_decide(self) -> bool:
        """Whether training is as long as the hours allow, instead of as long as was asked."""
        return self.request.steps is None

    def trial_ends(self, known: int = 0) -> Callable[[int], bool]:
        """Whether a trial that begins or goes on now has tried enough: all asked for, or what its time allows.

        Args:
            known: prompts of the trial that an earlier run has tried.
        """
        if self.request.trial.prompts is not None:
            return lambda tried: False
        began, planned = self._clock(), _PATIENCE * self.trial_seconds

        def enough(tried: int) -> bool:
            seconds = self._clock() - began
            left = self.schedule.seconds - self.spent_seconds() if self.hours_decide else planned - seconds
            prompt = seconds / (tried - known) if tried > known else self._prompt_seconds
            return tried >= FEWEST_PROMPTS and prompt > left

        return enough

    def reading_ends(self) -> Callable[[int], bool]:
        """Whether so many tokens of the corpus have to do, as more would leave no time to train on them."""
        request = self.request
        as_given = request.rows is not None or (request.corpus is not None and request.hours is None)
        if as_given or not self.hours_decide:
            return lambda done: False
        return lambda done: (
            done >= _FEWEST_TOKENS and self.spent_seconds() > self.schedule.reading_ends(self.trial_seconds)
        )

    def spent_seconds(self) -> float:
        """Since the beginning, by the clock: earlier runs as far as they were noted, and this one with its loading."""
        return self._before + self._clock() - self._began

    def steps_left(self, step_seconds: float) -> int:
        """Training steps that the rest of the hours holds; what comes after them is as slow as they are.

        Args:
            step_seconds: of a step as things go now.
        """
        planned = self.plan.step_seconds
        pace = min(max(step_seconds / planned, _FASTER), _SLOWER) if planned else 1.0
        ending = (self.trial_seconds + self.plan.checkpoint_seconds) * pace
        return self.schedule.steps_left(self.spent_seconds(), ending, step_seconds)

    def say_plan(self, tokens: int | None, done: int = 0) -> None:
        """The plan as far as it is known; `tokens` of the corpus once it is written, `done` training steps."""
        steps = self.plan.steps if tokens else None
        self.say(self.schedule.plan(self.rates, self.trial_seconds, self.spent_seconds(), tokens, steps, done))

    def writing_seconds(self) -> Callable[[float], float] | None:
        """How long the corpus may take, given the tokens a second so far; None where only rows limit it."""
        if self.request.rows is not None:
            return None
        gone, trial, told = self.spent_seconds(), self.trial_seconds, False  # measured before the model is busy

        def seconds(rate: float) -> float:
            nonlocal told
            self.rates = replace(self.rates, written=rate)
            if rate and not told:
                told = True
                self.say_plan(None)
            return self.schedule.writing_seconds(self.rates, trial, gone)

        return seconds

    def corpus_options(self, work: Path, info: StatesInfo) -> CorpusOptions:
        """No more rows than there is disk for their states; says how much that is.

        Args:
            info: of the states of one row.

        Raises:
            PlaygroundError: more rows were asked for.
        """
        request = self.request
        most = states_room(work, info, request.disk_bytes) // self.row_tokens
        million = bytes_needed(replace(info, tokens=1_000_000)) / 1e9
        room = bytes_needed(replace(info, tokens=most * self.row_tokens)) / 1e9
        self.say(
            f"The base model's states of the corpus go to {work / 'teacher'}: {million:.2f} GB for a million tokens, "
            f"{room:.1f} GB at most."
        )
        if request.rows is not None and request.rows > most:
            raise PlaygroundError(
                f"--rows is {request.rows}, but there is disk for the states of {most} rows of {self.row_tokens} "
                f"tokens. Free some space, choose another folder with --work, raise --disk, or ask for fewer rows."
            )
        wanted = ENDLESS_ROWS if request.max_tokens is None else -(-request.max_tokens // self.row_tokens)
        return CorpusOptions(
            rows=request.rows or max(1, min(wanted, most)),
            row_tokens=self.row_tokens,
            shard_rows=request.shard_rows or self.sizes.shard_rows,
            seed=request.seed,
        )
