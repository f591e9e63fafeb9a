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
from playground.distill.batches import BatchSource
from playground.distill.corpus import Corpus
from playground.distill.objective import LossWeights, Objective
from playground.distill.simulate import simulate
from playground.models.drafter import Drafter

STATE_FILE = "training.pt"
LOG_FILE = "training.jsonl"


@dataclass(frozen=True)
class TrainOptions:
    """How long and how fast to train."""

    steps: int = 10_000
    learning_rate: float = 1e-3
    warmup_steps: int = 200
    decay_share: float = 0.25
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
    seconds_left: float


def train(
    drafter: Drafter,
    source: BatchSource,
    corpus: Corpus,
    objective: Objective,
    options: TrainOptions,
    out: Path,
    report: Callable[[TrainProgress], None] = lambda progress: None,
) -> list[dict[str, Any]]:
    """Train in place; checkpoints and a log go to `out`. Resumes from a checkpoint found there.

    Returns:
        The log: one entry for each checkpoint, with loss and simulated tokens per step.

    Raises:
        PlaygroundError: the loss became NaN or infinite; the last checkpoint stays.
    """
    from accelerate import PartialState

    processes = PartialState(cpu=drafter.device.type == "cpu")
    rank, world = processes.process_index, processes.num_processes
    out.mkdir(parents=True, exist_ok=True)
    optimizer = torch.optim.AdamW(drafter.parameters(), lr=options.learning_rate, weight_decay=0.0, fused=True)
    step, log = _resume(drafter, optimizer, out)
    last = min(options.steps, options.stop_at or options.steps)
    began, first, losses = time.perf_counter(), step, []
    while step < last:
        losses.append(_one_step(drafter, source, objective, optimizer, options, step, rank, world))
        step += 1
        if step % 10 == 0 or step == last:
            seconds = time.perf_counter() - began
            rate = (step - first) / seconds
            mean = sum(losses[-100:]) / len(losses[-100:])
            report(TrainProgress(step, last, mean, rate * source.size * world, (last - step) / rate))
        if (step % options.checkpoint_every == 0 or step == last) and rank == 0:
            log.append(_measure(drafter, source, corpus, options, step, losses, began))
            _checkpoint(drafter, optimizer, step, log, out)
            losses = []
    return log


def _one_step(
    drafter: Drafter,
    source: BatchSource,
    objective: Objective,
    optimizer: torch.optim.Optimizer,
    options: TrainOptions,
    step: int,
    rank: int,
    world: int,
) -> float:
    """One optimiser step; returns its cross-entropy."""
    for group in optimizer.param_groups:
        group["lr"] = options.rate(step)
    batch = source.batch(step * world + rank).to(drafter.device)
    with torch.autocast(drafter.device.type, dtype=torch.bfloat16):
        loss = objective(batch)
    if not math.isfinite(loss.cross_entropy):
        raise PlaygroundError(
            f"The loss became {loss.cross_entropy} at step {step}. The last checkpoint is kept; continue from it with a "
            f"lower --learning-rate than {options.learning_rate:g}."
        )
    optimizer.zero_grad(set_to_none=True)
    loss.total.backward()  # type: ignore[no-untyped-call]
    if world > 1:
        _average_gradients(drafter, world)
    nn.utils.clip_grad_norm_(drafter.parameters(), options.clip_norm)
    optimizer.step()
    return loss.cross_entropy


def _average_gradients(drafter: Drafter, world: int) -> None:
    for parameter in drafter.parameters():
        if parameter.grad is not None:
            torch.distributed.all_reduce(parameter.grad)
            parameter.grad /= world


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
    entry = {"step": step, "loss": round(sum(losses) / max(len(losses), 1), 4), "seconds": round(time.perf_counter() - began)}
    return entry | asdict(found)


def _checkpoint(
    drafter: Drafter, optimizer: torch.optim.Optimizer, step: int, log: list[dict[str, Any]], out: Path
) -> None:
    state = {"drafter": drafter.state_dict(), "optimizer": optimizer.state_dict(), "step": step}
    partial = out / f"{STATE_FILE}.partial"
    torch.save(state, partial)
    partial.replace(out / STATE_FILE)
    (out / LOG_FILE).write_text("".join(json.dumps(entry) + "\n" for entry in log))


def _resume(drafter: Drafter, optimizer: torch.optim.Optimizer, out: Path) -> tuple[int, list[dict[str, Any]]]:
    """Load the checkpoint in `out`, if there is one; returns its step and log."""
    file = out / STATE_FILE
    if not file.exists():
        return 0, []
    state = torch.load(file, map_location=drafter.device, weights_only=True)
    drafter.load_state_dict(state["drafter"])
    optimizer.load_state_dict(state["optimizer"])
    log = [json.loads(line) for line in (out / LOG_FILE).read_text().splitlines()]
    return int(state["step"]), log


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
