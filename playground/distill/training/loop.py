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
from dataclasses import asdict, dataclass
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
    shapes: tuple[BeamShape, ...] = (BeamShape(1, 3), BeamShape(8, 5))
    stop_at: int | None = None  # stop early, leaving the schedule as it is

    def rate(self, step: int) -> float:
        """Learning rate of a step."""
        decay_from = self.steps * (1 - self.decay_share)
        warm = min(1.0, (step + 1) / max(self.warmup_steps, 1))
        cool = 1.0 if step < decay_from else max(0.0, (self.steps - step) / (self.steps - decay_from))
        return self.learning_rate * min(warm, cool)


@dataclass(frozen=True)
class TrainProgress:
    """What a progress line shows."""

    step: int
    steps: int
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
) -> list[dict[str, Any]]:
    """Train in place; checkpoints and a log go to `out`. Resumes from a checkpoint found there.

    Args:
        checkpointed: called with the log's newest entry, the drafter standing as that entry measured it.
        stop: asked between steps; where it is true the state is saved and `Stopped` raised.

    Returns:
        The log: one entry for each checkpoint, with loss and simulated tokens per step.

    Raises:
        PlaygroundError: the loss became NaN or infinite; the last checkpoint stays.
    """
    processes = Processes.launched(drafter.device)
    out.mkdir(parents=True, exist_ok=True)
    optimizer = _optimizer(drafter, options)
    step, log = _resume(drafter, optimizer, out)
    last = min(options.steps, options.stop_at or options.steps)
    began, first, losses = time.perf_counter(), step, []
    saved = began
    while step < last:
        losses.append(_one_step(drafter, source, objective, optimizer, options, step, processes))
        step += 1
        if step % 10 == 0 or step == last:
            rate = (step - first) / (time.perf_counter() - began)
            mean = sum(losses[-100:]) / len(losses[-100:])
            report(TrainProgress(step, last, mean, rate * source.size * processes.world))
            if processes.agree(stop()) and step < last:
                if processes.main:
                    _checkpoint(drafter, optimizer, options, step, log, out)
                raise Stopped
        measured = step % options.checkpoint_every == 0 or step == last
        if measured and processes.main:
            log.append(_measure(drafter, source, corpus, options, step, losses, began))
            losses = []
        if processes.main and (measured or time.perf_counter() - saved > _SAVE_SECONDS):
            _checkpoint(drafter, optimizer, options, step, log, out)
            saved = time.perf_counter()
        if measured and processes.main:
            checkpointed(log[-1])
    return log


def seconds_per_step(
    drafter: Drafter, source: BatchSource, objective: Objective, options: TrainOptions, steps: int = 8
) -> float:
    """Measured on a drafter that is thrown away afterwards: this trains it."""
    processes, optimizer = Processes.launched(drafter.device), _optimizer(drafter, options)
    began = 0.0
    for step in range(_WARM_UP_STEPS + steps):
        if step == _WARM_UP_STEPS:
            began = time.perf_counter()
        _one_step(drafter, source, objective, optimizer, options, step, processes)
    return (time.perf_counter() - began) / steps


def read_log(out: Path) -> list[dict[str, Any]]:
    """The log of the run in `out`, empty where there is none."""
    file = out / LOG_FILE
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def trained_steps(out: Path) -> int:
    """Steps the checkpoint in `out` has behind it, 0 where there is none."""
    file = out / STATE_FILE
    return int(torch.load(file, map_location="cpu", weights_only=True, mmap=True)["step"]) if file.exists() else 0


def _optimizer(drafter: Drafter, options: TrainOptions) -> torch.optim.Optimizer:
    return torch.optim.AdamW(drafter.parameters(), lr=options.learning_rate, weight_decay=0.0, fused=True)


def _one_step(
    drafter: Drafter,
    source: BatchSource,
    objective: Objective,
    optimizer: torch.optim.Optimizer,
    options: TrainOptions,
    step: int,
    processes: Processes,
) -> float:
    """One optimiser step; returns its cross-entropy."""
    for group in optimizer.param_groups:
        group["lr"] = options.rate(step)
    batch = source.batch(step * processes.world + processes.rank).to(drafter.device)
    with torch.autocast(drafter.device.type, dtype=torch.bfloat16):
        loss = objective(batch)
    if not math.isfinite(loss.cross_entropy):
        raise _not_finite(f"The loss became {loss.cross_entropy}", step, options)
    optimizer.zero_grad(set_to_none=True)
    loss.total.backward()  # type: ignore[no-untyped-call]
    processes.average(drafter)
    nn.utils.clip_grad_norm_(drafter.parameters(), options.clip_norm)
    optimizer.step()
    return loss.cross_entropy


def _not_finite(what: str, step: int, options: TrainOptions) -> PlaygroundError:
    return PlaygroundError(
        f"{what} at step {step}. The last good checkpoint is kept; continue from it with a lower --learning-rate than "
        f"{options.learning_rate:g}."
    )


def _measure(
    drafter: Drafter,
    source: BatchSource,
    corpus: Corpus,
    options: TrainOptions,
    step: int,
    losses: list[float],
    began: float,
) -> dict[str, Any]:
    """A log entry: where training stands, on held-out text."""
    with torch.autocast(drafter.device.type, dtype=torch.bfloat16):
        found = simulate(drafter, source, corpus, options.shapes)
    loss, seconds = sum(losses) / max(len(losses), 1), time.perf_counter() - began
    return {"step": step, "loss": round(loss, 4), "seconds": round(seconds)} | asdict(found)


def _checkpoint(
    drafter: Drafter,
    optimizer: torch.optim.Optimizer,
    options: TrainOptions,
    step: int,
    log: list[dict[str, Any]],
    out: Path,
) -> None:
    if not all(bool(weight.isfinite().all()) for weight in drafter.parameters()):
        raise _not_finite("A weight became NaN or infinite", step, options)
    state = {"drafter": drafter.state_dict(), "optimizer": optimizer.state_dict(), "step": step}
    with written_whole(out / STATE_FILE) as partial:
        torch.save(state, partial)
    write_text(out / LOG_FILE, "".join(json.dumps(entry) + "\n" for entry in log))


def _resume(drafter: Drafter, optimizer: torch.optim.Optimizer, out: Path) -> tuple[int, list[dict[str, Any]]]:
    """Load the checkpoint in `out`, if there is one; returns its step and log."""
    file = out / STATE_FILE
    if not file.exists():
        return 0, []
    state = torch.load(file, map_location=drafter.device, weights_only=True)
    drafter.load_state_dict(state["drafter"])
    optimizer.load_state_dict(state["optimizer"])
    return int(state["step"]), [entry for entry in read_log(out) if entry["step"] <= state["step"]]


def initialise(drafter: Drafter, embedding_rms: float, seed: int) -> None:
    """Fresh weights at the scales of the base model: embeddings may be 15 times smaller than hidden states."""
    torch.manual_seed(seed)
    for module in drafter.modules():
        if isinstance(module, nn.Linear):
            module.reset_parameters()
    with torch.no_grad():
        gain = 1.7 / max(embedding_rms, 1e-4)  # brings W e to unit variance under the default uniform init
        for name in ("rnn_w", "lookup_w"):
            layer = getattr(drafter, name, None)
            if layer is not None:
                layer.weight.mul_(gain)
        if drafter.config.context_dim:
            drafter.context_out.weight.zero_()
            drafter.context_out.bias.zero_()
        if drafter.config.lookup_tokens:
            drafter.lookup_bonus.weight.zero_()
