"""The training loop: many cheap steps on stored teacher states, resumable at any checkpoint.

Learning rate: linear warm-up, a plateau, a linear decay over the last part; so a run can be lengthened as
long as it stands on the plateau. Several processes under `accelerate launch` average their gradients.
Knows neither how the corpus was made nor what happens to the drafter afterwards.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from playground.config import BeamShape, PlaygroundError
from playground.distill.corpus.corpus import Corpus
from playground.distill.training.batches import BatchSource
from playground.distill.training.objective import Objective
from playground.distill.training.processes import Processes
from playground.distill.training.simulate import simulate
from playground.drafter.cell import Drafter
from playground.files import write_text, written_whole
from playground.progress import Stopped

STATE_FILE = "training.pt"
LOG_FILE = "training.jsonl"

_SAVE_SECONDS = 60.0  # of work an interruption may cost
_WARM_UP_STEPS = 3


@dataclass(frozen=True)
class TrainOptions:
    """How long and how fast to train."""

    steps: int = 10_000
    learning_rate: float = 1e-3
    warmup_steps: int = 200
    decay_share: float = 0.3
    checkpoint_every: int = 1000
    clip_norm: float = 1.0
    shapes: tuple[BeamShape, ...] = (BeamShape(8, 5, None), *(BeamShape(8, 5, nodes) for nodes in (6, 16, 48)))

    @property
    def decay_from(self) -> float:
        """The step at which the plateau ends."""
        return self.steps * (1 - self.decay_share)

    def of_length(self, steps: int, now: int) -> TrainOptions:
        """With other steps, where the learning rates up to step `now` are the same all the same."""
        other = replace(self, steps=steps)
        return other if now < min(self.decay_from, other.decay_from) else self

    def rate(self, step: int) -> float:
        """Learning rate of a step."""
        decay_from = self.decay_from
        warm = min(1.0, (step + 1) / max(self.warmup_steps, 1))
        cool = 1.0 if step < decay_from else max(0.0, (self.steps - step) / (self.steps - decay_from))
        return self.learning_rate * min(warm, cool)


@dataclass(frozen=True)
class TrainProgress:
    """What a progress bar shows."""

    step: int
    loss: float
    places_per_second: float


def train(
    drafter: Drafter,
    source: BatchSource,
    corpus: Corpus,
    objective: Objective,
    options: TrainOptions,
    out: Path,
    report: Callable[[TrainProgress], None] = lambda progress: None,
    *,
    checkpointed: Callable[[dict[str, Any]], None] = lambda entry: None,
    stop: Callable[[], bool] = lambda: False,
    revise: Callable[[int, int], int] = lambda step, steps: steps,
) -> list[dict[str, Any]]:
    """Train in place; checkpoints and a log go to `out`. Resumes from a checkpoint found there.

    Args:
        checkpointed: called with the log's newest entry, the drafter standing as that entry measured it.
        stop: asked between steps; where it is true the state is saved and `Stopped` raised.
        revise: given the step and the planned steps, as long as the learning rate stands on its plateau: the steps
            from now on.

    Returns:
        The log: one entry for each checkpoint, with loss and simulated tokens per step.

    Raises:
        PlaygroundError: the loss became NaN or infinite; the last checkpoint stays.
    """
    run = _Run(drafter, source, objective, options)
    main = run.processes.main
    run.resume(out)
    while run.step < run.options.steps:
        run.one_step()
        over = run.step == run.options.steps
        if run.step % 10 == 0 or over:
            report(run.progress())
            if run.processes.agree(stop()) and not over:
                if main:
                    run.save(out)
                raise Stopped
            run.options = run.options.of_length(revise(run.step, run.options.steps), run.step)
        measured = run.step % options.checkpoint_every == 0 or over
        if measured and main:
            run.measure(corpus)
        if main and (measured or run.seconds_unsaved > _SAVE_SECONDS):
            run.save(out)
        if measured and main:
            checkpointed(run.log[-1])
    return run.log


def seconds_per_step(
    drafter: Drafter, source: BatchSource, objective: Objective, options: TrainOptions, steps: int = 8
) -> float:
    """Measured on a drafter that is thrown away afterwards: this trains it."""
    run, began = _Run(drafter, source, objective, options), 0.0
    for step in range(_WARM_UP_STEPS + steps):
        if step == _WARM_UP_STEPS:
            began = time.perf_counter()
        run.one_step()
    return (time.perf_counter() - began) / steps


def read_log(out: Path) -> list[dict[str, Any]]:
    """The log of the run in `out`, empty where there is none."""
    file = out / LOG_FILE
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def trained_steps(out: Path) -> int:
    """Steps the checkpoint in `out` has behind it, 0 where there is none."""
    file = out / STATE_FILE
    return int(torch.load(file, map_location="cpu", weights_only=True, mmap=True)["step"]) if file.exists() else 0


class _Run:
    """A training run between two checkpoints: the drafter, its optimiser, and how far they are."""

    def __init__(self, drafter: Drafter, source: BatchSource, objective: Objective, options: TrainOptions) -> None:
        self.drafter, self.source, self.objective, self.options = drafter, source, objective, options
        self.processes = Processes.launched(drafter.device)
        rate = options.learning_rate
        self.optimizer = torch.optim.AdamW(drafter.parameters(), lr=rate, weight_decay=0.0, fused=True)
        self.step, self.log = 0, list[dict[str, Any]]()
        self._losses: list[float] = []  # since the log's newest entry
        self._first, self._began = 0, time.perf_counter()
        self._saved = self._began

    def resume(self, out: Path) -> None:
        """Take up the checkpoint in `out`, if there is one."""
        out.mkdir(parents=True, exist_ok=True)
        file = out / STATE_FILE
        if file.exists():
            state = torch.load(file, map_location=self.drafter.device, weights_only=True)
            self.drafter.load_state_dict(state["drafter"])
            self.optimizer.load_state_dict(state["optimizer"])
            self.step = self._first = int(state["step"])
            self.log = [entry for entry in read_log(out) if entry["step"] <= self.step]
        self._began = self._saved = time.perf_counter()

    def one_step(self) -> None:
        """One optimiser step."""
        for group in self.optimizer.param_groups:
            group["lr"] = self.options.rate(self.step)
        processes = self.processes
        batch = self.source.batch(self.step * processes.world + processes.rank).to(self.drafter.device)
        with torch.autocast(self.drafter.device.type, dtype=torch.bfloat16):
            loss = self.objective(batch)
        if not math.isfinite(loss.value):
            raise self._not_finite(f"The loss became {loss.value}")
        self.optimizer.zero_grad(set_to_none=True)
        loss.total.backward()
        processes.average(self.drafter)
        nn.utils.clip_grad_norm_(self.drafter.parameters(), self.options.clip_norm)
        self.optimizer.step()
        self._losses.append(loss.value)
        self.step += 1

    def progress(self) -> TrainProgress:
        """Where this run stands."""
        rate = (self.step - self._first) / (time.perf_counter() - self._began)
        latest = self._losses[-100:]
        return TrainProgress(self.step, sum(latest) / len(latest), rate * self.source.size * self.processes.world)

    def measure(self, corpus: Corpus) -> None:
        """A log entry: where training stands, on held-out text."""
        with torch.autocast(self.drafter.device.type, dtype=torch.bfloat16):
            found = simulate(self.drafter, self.source, corpus, self.options.shapes)
        loss, seconds = sum(self._losses) / max(len(self._losses), 1), time.perf_counter() - self._began
        self.log.append({"step": self.step, "loss": round(loss, 4), "seconds": round(seconds)} | asdict(found))
        self._losses = []

    @property
    def seconds_unsaved(self) -> float:
        """Of work that an interruption would cost now."""
        return time.perf_counter() - self._saved

    def save(self, out: Path) -> None:
        """Write the checkpoint and the log."""
        if not all(bool(weight.isfinite().all()) for weight in self.drafter.parameters()):
            raise self._not_finite("A weight became NaN or infinite")
        state = {"drafter": self.drafter.state_dict(), "optimizer": self.optimizer.state_dict(), "step": self.step}
        with written_whole(out / STATE_FILE) as partial:
            torch.save(state, partial)
        write_text(out / LOG_FILE, "".join(json.dumps(entry) + "\n" for entry in self.log))
        self._saved = time.perf_counter()

    def _not_finite(self, what: str) -> PlaygroundError:
        return PlaygroundError(
            f"{what} at step {self.step}. The last good checkpoint is kept; continue from it with a lower "
            f"--learning-rate than {self.options.learning_rate:g}."
        )
