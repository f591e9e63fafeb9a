"""The training loop: many cheap steps on stored teacher states, resumable at any checkpoint.

Several processes under `accelerate launch` average their gradients. Knows neither how the corpus was made nor what
happens to the drafter afterwards.
"""

from __future__ import annotations

import json
import math
import time
from collections import deque
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from playground.config import PlaygroundError
from playground.distill.corpus.corpus import Corpus
from playground.distill.training.batches import BatchSource
from playground.distill.training.objective import Objective
from playground.distill.training.options import TrainOptions
from playground.distill.training.processes import Processes
from playground.distill.training.simulate import held_out_places, simulate
from playground.drafter.cell import Drafter
from playground.files import write_text, written_whole
from playground.memory import is_out_of_memory
from playground.progress import Stopped

STATE_FILE = "training.pt"
LOG_FILE = "training.jsonl"

_SAVE_SECONDS = 60.0  # of work an interruption may cost
_WARM_UP_STEPS = 3
_MEASURED_STEPS, _MEASURED_SECONDS = 8, 10.0
_MEASURED_PLACES = 64  # of a measurement's, to tell what the whole takes
_REMEMBERED_STEPS = 5000

Recent = Callable[[float], float]
"""Seconds of a step, the mean over the latest so many seconds of training."""

Revise = Callable[[int, TrainOptions, Recent], TrainOptions]


@dataclass(frozen=True)
class TrainProgress:
    """What a progress bar shows."""

    step: int
    loss: float
    places: int  # trained on by this run
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
    halved: Callable[[int], None] = lambda size: None,
    revise: Revise = lambda step, options, recent: options,
) -> list[dict[str, Any]]:
    """Train in place; checkpoints and a log go to `out`. Resumes from a checkpoint found there.

    Args:
        checkpointed: called with the log's newest entry, the drafter standing as that entry measured it.
        stop: asked after every step; where it is true the state is saved and `Stopped` raised.
        halved: told the places of a batch from now on, where those before had no room in memory.
        revise: given the step, the options and what steps took lately: the options from now on. The main
            process alone is asked, for all.

    Returns:
        The log: one entry for each checkpoint, with loss and simulated tokens per step.

    Raises:
        PlaygroundError: the loss became NaN or infinite, or there is no memory for the smallest batch; the last
            checkpoint stays.
    """
    run = _Run(drafter, source, objective, options)
    run.resume(out)

    def keep() -> None:
        if not run.processes.main:
            return
        due = run.due
        if due:
            run.measure(corpus, out, stop)
        if due or run.seconds_unsaved > _SAVE_SECONDS:
            run.save(out)
        if due:
            checkpointed(run.log[-1])

    keep()  # a checkpoint that an earlier run reached and was stopped in
    while not run.over:
        if not run.one_step_in_memory():
            halved(run.source.size)
            continue
        report(run.progress())
        if run.processes.agree(stop()) and not run.over:
            if run.processes.main:
                run.save(out)
            raise Stopped
        run.revise(revise)
        keep()
    return run.log


def seconds_per_step(
    drafter: Drafter,
    source: BatchSource,
    objective: Objective,
    options: TrainOptions,
    tick: Callable[[], None] = lambda: None,
) -> float:
    """Measured over a few steps, or over fewer where they are slow; this trains the drafter, so throw it away.

    Several processes take these steps together and get the same answer, that of the slowest.

    Args:
        tick: called after every step; may raise.
    """
    run, times = _Run(drafter, source, objective, options), list[float]()
    while len(times) < _WARM_UP_STEPS + _MEASURED_STEPS and not (len(times) > 1 and sum(times) > _MEASURED_SECONDS):
        run.one_step()
        times.append(run.processes.largest(run.recent(0.0)))  # all take as many steps
        tick()
    timed = times[_WARM_UP_STEPS:] or times[1:]
    return sum(timed) / len(timed)


def seconds_per_checkpoint(
    drafter: Drafter,
    source: BatchSource,
    corpus: Corpus,
    options: TrainOptions,
    tick: Callable[[], None] = lambda: None,
) -> float:
    """What a log entry takes, estimated from a few of its places."""
    places = len(held_out_places(corpus, source.unroll))
    if not places:
        return 0.0
    began = time.perf_counter()
    with torch.autocast(drafter.device.type, dtype=torch.bfloat16):
        simulate(drafter, source, corpus, options.shapes, _MEASURED_PLACES, tick)
    return (time.perf_counter() - began) * max(1.0, places / _MEASURED_PLACES)


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
        self._seconds: deque[float] = deque(maxlen=_REMEMBERED_STEPS)  # of the latest steps
        self.places = 0  # trained on by this run
        self._began = self._saved = time.perf_counter()

    def resume(self, out: Path) -> None:
        """Take up the checkpoint in `out`, if there is one."""
        out.mkdir(parents=True, exist_ok=True)
        file = out / STATE_FILE
        if file.exists():
            state = torch.load(file, map_location=self.drafter.device, weights_only=True)
            self.drafter.load_state_dict(state["drafter"])
            self.optimizer.load_state_dict(state["optimizer"])
            self.step = int(state["step"])
            self._losses = list(state.get("losses", ()))
            self.log = [entry for entry in read_log(out) if entry["step"] <= self.step]
        self._began = self._saved = time.perf_counter()

    @property
    def over(self) -> bool:
        """Whether all steps are done."""
        return self.step >= self.options.steps

    @property
    def due(self) -> bool:
        """Whether the log lacks an entry of this step."""
        logged = self.log[-1]["step"] if self.log else 0
        return self.step > logged and (self.over or self.step % self.options.checkpoint_every == 0)

    def recent(self, window: float) -> float:
        """See `Recent`; of the latest step at least."""
        total, count = 0.0, 0
        for seconds in reversed(self._seconds):
            total, count = total + seconds, count + 1
            if total > window:
                break
        return total / max(count, 1)

    def one_step_in_memory(self) -> bool:
        """One optimiser step; where it has no room, batches are halved instead and False is returned.

        Raises:
            PlaygroundError: batches are as small as they can be, or other processes have the same size.
        """
        try:
            self.one_step()
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            if self.source.size == 1 or self.processes.world > 1:
                raise PlaygroundError(
                    f"There is no room in memory to train on {self.source.size} places at once. Use a smaller --batch, "
                    "or free some memory."
                ) from error
        else:
            return True
        self.optimizer.zero_grad(set_to_none=True)
        self.source = self.source.resized(self.source.size // 2)
        if self.drafter.device.type == "cuda":
            torch.cuda.empty_cache()
        return False

    def one_step(self) -> None:
        """One optimiser step."""
        began = time.perf_counter()
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
        self.places += self.source.size * processes.world
        self._seconds.append(time.perf_counter() - began)

    def revise(self, decide: Revise) -> None:
        """Go on as the main process decides; see `train`."""
        mine = decide(self.step, self.options, self.recent) if self.processes.main else self.options
        self.options = self.processes.of_main(mine)

    def progress(self) -> TrainProgress:
        """Where this run stands."""
        latest = self._losses[-100:]
        rate = self.places / (time.perf_counter() - self._began)
        return TrainProgress(self.step, sum(latest) / max(len(latest), 1), self.places, rate)

    def measure(self, corpus: Corpus, out: Path, stop: Callable[[], bool]) -> None:
        """A log entry: where training stands, on held-out text.

        Raises:
            Stopped: on request, the state saved, where this process is alone: others would wait for it.
        """

        def tick() -> None:
            if self.processes.world == 1 and stop():
                self.save(out)
                raise Stopped

        with torch.autocast(self.drafter.device.type, dtype=torch.bfloat16):
            found = simulate(self.drafter, self.source, corpus, self.options.shapes, tick=tick)
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
        state: dict[str, Any] = {"drafter": self.drafter.state_dict(), "optimizer": self.optimizer.state_dict()}
        state |= {"step": self.step, "losses": self._losses}
        with written_whole(out / STATE_FILE) as partial:
            torch.save(state, partial)
        write_text(out / LOG_FILE, "".join(json.dumps(entry) + "\n" for entry in self.log))
        self._saved = time.perf_counter()

    def _not_finite(self, what: str) -> PlaygroundError:
        return PlaygroundError(
            f"{what} at step {self.step}. The last good checkpoint is kept; continue from it with a lower "
            f"--learning-rate than {self.options.learning_rate:g}."
        )
