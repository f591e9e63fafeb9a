"""How long training is: decided from a measured step, and decided anew as it goes, so that the hours are met.

A machine grows busy and idle again while training runs, so what was planned is compared with the clock every few
seconds. Knows an allowance and a plan; takes no training step that counts.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import replace

from playground.base_model.adapter import BaseModel
from playground.config import PlaygroundError
from playground.distill.allowance import Allowance
from playground.distill.corpus.corpus import Corpus
from playground.distill.plan import Plan
from playground.distill.teacher.states import TeacherStates
from playground.distill.training.batches import BatchSource
from playground.distill.training.loop import Recent, seconds_per_checkpoint, seconds_per_step
from playground.distill.training.options import Cooling, TrainOptions
from playground.distill.training.processes import Processes
from playground.distill.training.recipe import Recipe, assemble
from playground.memory import is_out_of_memory
from playground.progress import Bars

_ENOUGH_STEPS, _FEWEST_PLACES, _FEWEST_STEPS = 1000, 64, 50
_CHECKPOINT_SHARE = 0.1  # of training, at most: each checkpoint is measured
_STEPS_TO_JUDGE, _SECONDS_TO_JUDGE = 8, 10.0
_WINDOW_SHARE, _SHORTEST_WINDOW = 0.15, 20.0
"""A rate is the mean over a share of the seconds that are left: a short stall early on would end the plateau for good,
and near the end there is no time to make up for one."""
_NEAR = 0.02  # of the steps that are left: nothing is changed for less
_NEWS, _NEWS_SECONDS = 0.1, 60.0  # of the steps: changes are told once they add up to more, and not all the time


class Pace:
    """The steps of one run's training."""

    def __init__(
        self,
        allowance: Allowance,
        plan: Plan,
        bars: Bars,
        save: Callable[[], None],
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.allowance, self.plan, self.bars, self._save, self._clock = allowance, plan, bars, save, clock
        self._looked = clock()
        self._first: int | None = None  # step that this process began with
        self._told, self._told_at = plan.steps or 0, -_NEWS_SECONDS

    def options(self, learning_rate: float) -> TrainOptions:
        """Of the training planned."""
        plan = self.plan
        assert plan.steps is not None and plan.checkpoint_every is not None
        return TrainOptions(
            steps=plan.steps,
            learning_rate=learning_rate,
            warmup_steps=min(200, max(1, plan.steps // 5)),
            checkpoint_every=plan.checkpoint_every,
            cooling=Cooling(*plan.cooling) if plan.cooling else None,
        )

    def choose(self, recipe: Recipe, corpus: Corpus, states: TeacherStates, base: BaseModel, rate: float) -> Recipe:
        """Decide on the steps once: those asked for, or those that fit into the hours at the measured rate.

        Where that would be few, batches are made smaller: many small steps teach more than a few large ones.

        Returns:
            The recipe with the batches decided on.

        Raises:
            PlaygroundError: the corpus is too small for a batch.
        """
        plan, asked = self.plan, self.allowance.request.steps
        if asked is not None:
            plan.steps, plan.cooling = asked, None
        elif plan.steps is None:
            self._measure(recipe, corpus, states, base, TrainOptions(learning_rate=rate))
            self.allowance.say_plan(corpus.tokens)
        self._told = plan.steps or 0
        plan.checkpoint_every = plan.checkpoint_every or self._checkpoint_every()
        self._save()
        return recipe if plan.places is None else replace(recipe, batch=plan.places)

    def _measure(
        self, recipe: Recipe, corpus: Corpus, states: TeacherStates, base: BaseModel, options: TrainOptions
    ) -> None:
        plan, allowance, processes = self.plan, self.allowance, Processes.launched(base.device)
        spare, source, objective = assemble(recipe, corpus, states, base, "spare")
        self.bars.look()
        plan.checkpoint_seconds = seconds_per_checkpoint(spare, source, corpus, options, self.bars.look)
        while True:
            require_a_batch(source)
            try:
                seconds = seconds_per_step(spare, source, objective, options, self.bars.look)
            except Exception as error:
                if not is_out_of_memory(error) or source.size == 1 or processes.world > 1:
                    raise
                source = source.resized(source.size // 2)
                continue
            fit = processes.largest(allowance.steps_left(seconds))  # all halve as often
            steps = max(_FEWEST_STEPS, int(fit * (1 - _CHECKPOINT_SHARE)))
            fewer = source.size // 2
            if allowance.request.places or steps >= _ENOUGH_STEPS or fewer < _FEWEST_PLACES:
                break
            source = source.resized(fewer)
        allowance.rates = replace(allowance.rates, step_seconds=seconds)
        plan.steps, plan.places, plan.step_seconds = steps, source.size, seconds

    def _checkpoint_every(self) -> int:
        """So seldom that measuring takes a small share of training."""
        every = min(1000, max(250, math.ceil((self.plan.steps or 0) / 8)))
        if not self.plan.step_seconds:
            return every
        return max(every, math.ceil(self.plan.checkpoint_seconds / (_CHECKPOINT_SHARE * self.plan.step_seconds)))

    def revise(self, step: int, options: TrainOptions, recent: Recent) -> TrainOptions:
        """Looks now and then whether training still ends in time; see `loop.train`."""
        self._first = step if self._first is None else self._first
        if step - self._first < _STEPS_TO_JUDGE or self._clock() - self._looked < _SECONDS_TO_JUDGE:
            return options
        self._looked = self._clock()
        left = self.allowance.schedule.seconds - self.allowance.spent_seconds()
        seconds = recent(max(_SHORTEST_WINDOW, _WINDOW_SHARE * left))
        each = seconds + self.plan.checkpoint_seconds / options.checkpoint_every
        steps = step + self.allowance.steps_left(each)
        if abs(steps - options.steps) <= max(1.0, _NEAR * (options.steps - step)):
            return options
        return self._change(options.of_length(steps, step), step, seconds)

    def _change(self, options: TrainOptions, step: int, seconds: float) -> TrainOptions:
        plan = self.plan
        plan.steps = options.steps
        plan.cooling = (options.cooling.step, options.cooling.share) if options.cooling else None
        self._save()
        self.bars.total(options.steps)
        now = self._clock()
        if abs(options.steps - self._told) > _NEWS * self._told and now - self._told_at >= _NEWS_SECONDS:
            self._told, self._told_at = options.steps, now
            self.allowance.rates = replace(self.allowance.rates, step_seconds=seconds)
            self.allowance.say_plan(plan.corpus_tokens, step)
        return options


def require_a_batch(source: BatchSource) -> None:
    """Refuse a corpus without enough places for one batch.

    Raises:
        PlaygroundError: places and batch.
    """
    if source.steps_per_epoch < 1:
        raise PlaygroundError(
            f"The corpus gives {len(source.places)} places to learn from, but a batch takes {source.size}. "
            f"Use a larger corpus (--rows, --hours), or a smaller --batch."
        )
