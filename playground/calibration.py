"""What a step costs on this machine in each dtype: measured once per model and device, kept in the cache folder.

Answers two questions: which dtype drafts fastest, and how fast plain decoding of these weights can be at best.
Other work only ever adds to a time. So what was measured on a busy machine is noted as such and measured again at a
quiet start, and a run that was faster than what was measured has it forgotten.
Knows the base model and the drafter; nothing of prompts, runs or traces.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch

from playground.base_model.adapter import BaseModel
from playground.base_model.cache import KVCache
from playground.config import BeamShape
from playground.figures.summary import PlainCosts
from playground.files import write_json

CONTEXT = 64  # tokens before the measured step
TREE_NODES = 24  # what the default beam shape leaves after equal prefixes are merged
WARM_UPS, REPEATS = 2, 7
NOISY = 0.3  # spread of the repeats above which other work was going on
BUSY = 0.5  # processes that want to run, a core: above it a new measurement would tell no more than the old one
SURPRISE = 0.8  # a run's plain tokens in this share of the measured time prove it wrong
FEWEST_TOKENS = 16  # of a run that proves anything
VERSION = 3  # of the file: raised when what is measured changes


@dataclass(frozen=True)
class StepCosts:
    """Milliseconds of one forward: over one token, and over the tree of the default beam shape."""

    plain_ms: float
    tree_ms: float
    spread: float = 0.0  # of the repeats, median over best, less 1: high where other work was going on
    kept_in: Path | None = field(default=None, compare=False)


Costs = dict[str, StepCosts]


def offered(device: torch.device) -> tuple[str, ...]:
    """Dtypes worth comparing on a device; CUDA runs bfloat16."""
    return {"cuda": ("bfloat16",), "mps": ("float16", "float32")}.get(device.type, ("bfloat16", "float32"))


def fastest_drafting(costs: Costs) -> str:
    """The dtype whose verification is fastest: tokens per step hardly depend on it, so it decides the rate."""
    return min(costs, key=lambda dtype: costs[dtype].tree_ms)


def plain_costs(costs: Costs, dtype: str) -> PlainCosts | None:
    """The plain steps' costs as the summary wants them; None where the run's own dtype was not measured."""
    if dtype not in costs:
        return None
    return PlainCosts(dtype, tuple((name, cost.plain_ms) for name, cost in costs.items()))


def measure(base: BaseModel) -> StepCosts:
    """Time a base model's two forwards, drained to the end: the best of several, since other work only ever adds.

    Fits in the model's window, however short: fewer tokens before the step, then a flatter tree.
    """
    context = max(1, min(CONTEXT, base.window - 1 - BeamShape().length))
    deepest = max(0, min(BeamShape().length, base.window - 1 - context))
    cache = base.new_cache(context + TREE_NODES)
    base.prefill(torch.arange(context, device=base.device) % base.vocab_size, cache)
    plain, tree = (_forward_ms(base, cache, nodes, deepest) for nodes in (1, TREE_NODES))
    spread = max(statistics.median(times) / min(times) - 1 for times in (plain, tree))
    return StepCosts(plain_ms=min(plain), tree_ms=min(tree), spread=spread)


def _forward_ms(base: BaseModel, cache: KVCache, nodes: int, deepest: int) -> list[float]:
    """Milliseconds of each repeat."""
    depth = torch.arange(nodes, device=base.device).clamp(max=deepest)
    sees = torch.ones(nodes, nodes, dtype=torch.bool, device=base.device).tril()
    tokens = torch.arange(nodes, device=base.device) % base.vocab_size
    times = []
    for _ in range(WARM_UPS + REPEATS):
        start = time.perf_counter()
        logits = base.forward(tokens, depth, sees, cache).logits
        logits[0, 0].item()  # waits for the device
        times.append((time.perf_counter() - start) * 1e3)
    return times[WARM_UPS:]


def is_busy() -> bool:
    """Whether other work is going on; unknown, as on Windows, counts as no."""
    try:
        return os.getloadavg()[0] > BUSY * (os.cpu_count() or 1)
    except (AttributeError, OSError):
        return False


def note_run(costs: Costs, dtype: str, token_ms: Sequence[float]) -> None:
    """Forget what was measured where a run's plain tokens were clearly faster: the next start measures again.

    Args:
        token_ms: of the plain lane's tokens, none left out.
    """
    known = costs.get(dtype)
    if known is None or known.kept_in is None or len(token_ms) < FEWEST_TOKENS:
        return
    if statistics.median(token_ms) < SURPRISE * known.plain_ms:
        known.kept_in.unlink(missing_ok=True)


def machine(device: torch.device) -> str:
    """What the figures hold for besides the model."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.processor() or platform.machine()
    return f"{platform.node()}/{name}/{device.type}/{torch.get_num_threads()} threads/torch {torch.__version__}"


class CostFile:
    """The measured costs of one model (any text that tells it apart) on one device of this machine."""

    def __init__(self, folder: Path, model: str, device: torch.device) -> None:
        key = hashlib.sha256(f"{VERSION}|{model}|{machine(device)}".encode()).hexdigest()[:16]
        self.path = folder / "calibration" / f"{key}.json"

    def read(self) -> Costs:
        """What is known; a file that is missing or damaged means nothing is, and it is measured anew."""
        try:
            known = json.loads(self.path.read_text(encoding="utf-8"))
            return {
                dtype: StepCosts(float(c["plain_ms"]), float(c["tree_ms"]), float(c["spread"]), self.path)
                for dtype, c in known.items()
            }
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return {}

    def write(self, costs: Costs) -> None:
        """Keep the costs; a folder that cannot be written to only means measuring again next time."""
        try:
            figures = ("plain_ms", "tree_ms", "spread")
            body = {dtype: {name: getattr(cost, name) for name in figures} for dtype, cost in costs.items()}
            write_json(self.path, body)
        except OSError:
            return


@dataclass(frozen=True)
class Known:
    """What is known of the dtypes asked about: costs, and why others cannot run here."""

    costs: Costs
    failed: dict[str, Exception]


def known_costs(
    file: CostFile, dtypes: tuple[str, ...], load: Callable[[str], BaseModel], progress: Callable[[float, str], None]
) -> Known:
    """Costs of `dtypes`, measuring (with one model in memory at a time) those that no earlier start measured well.

    A dtype that cannot be loaded or measured leaves the others as they are; it is tried again at the next start.

    Args:
        load: makes the base model in a dtype.
    """
    costs, failed = file.read(), dict[str, Exception]()
    quiet = not is_busy()
    wanted = [dtype for dtype in dtypes if dtype not in costs or (quiet and costs[dtype].spread > NOISY)]
    for index, dtype in enumerate(wanted):
        progress(index / len(wanted), f"Measuring {dtype} on this machine, once")
        try:
            costs[dtype] = replace(measure(load(dtype)), kept_in=file.path)
        except Exception as error:  # whatever a library makes of a dtype it does not have
            failed[dtype] = error.with_traceback(None)  # which would hold the model
            costs.pop(dtype, None)
    if len(failed) < len(wanted):
        file.write(costs)
    return Known({dtype: costs[dtype] for dtype in dtypes if dtype in costs}, failed)
