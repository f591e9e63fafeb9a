"""What a step costs on this machine in each dtype: measured once per model and device, kept in the cache folder.

Answers two questions: which dtype drafts fastest, and how fast plain decoding of these weights can be at best.
Knows the base model and the drafter; nothing of prompts, runs or traces.
"""

from __future__ import annotations

import hashlib
import json
import platform
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
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
VERSION = 2  # of the file: raised when what is measured changes


@dataclass(frozen=True)
class StepCosts:
    """Milliseconds of one forward: over one token, and over the tree of the default beam shape."""

    plain_ms: float
    tree_ms: float


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
    """Time a base model's two forwards, drained to the end: the best of several, since other work only ever adds."""
    ids = torch.arange(CONTEXT, device=base.device) % base.vocab_size
    cache = base.new_cache(CONTEXT + TREE_NODES)
    base.prefill(ids, cache)
    return StepCosts(plain_ms=_forward_ms(base, cache, 1), tree_ms=_forward_ms(base, cache, TREE_NODES))


def _forward_ms(base: BaseModel, cache: KVCache, nodes: int) -> float:
    depth = torch.arange(nodes, device=base.device).clamp(max=BeamShape().length)
    sees = torch.ones(nodes, nodes, dtype=torch.bool, device=base.device).tril()
    tokens = torch.arange(nodes, device=base.device) % base.vocab_size
    times = []
    for _ in range(WARM_UPS + REPEATS):
        start = time.perf_counter()
        logits = base.forward(tokens, depth, sees, cache).logits
        logits[0, 0].item()  # waits for the device
        times.append((time.perf_counter() - start) * 1e3)
    return min(times[WARM_UPS:])


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
            return {dtype: StepCosts(float(c["plain_ms"]), float(c["tree_ms"])) for dtype, c in known.items()}
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return {}

    def write(self, costs: Costs) -> None:
        """Keep the costs; a folder that cannot be written to only means measuring again next time."""
        try:
            write_json(self.path, {dtype: asdict(cost) for dtype, cost in costs.items()})
        except OSError:
            return


def known_costs(
    file: CostFile, dtypes: tuple[str, ...], load: Callable[[str], BaseModel], progress: Callable[[float, str], None]
) -> Costs:
    """Costs of `dtypes`, measuring (with one model in memory at a time) those that no earlier start measured.

    Args:
        load: makes the base model in a dtype.
    """
    costs = file.read()
    missing = [dtype for dtype in dtypes if dtype not in costs]
    for index, dtype in enumerate(missing):
        progress(index / len(missing), f"Measuring {dtype} on this machine, once")
        costs[dtype] = measure(load(dtype))
    if missing:
        file.write(costs)
    return {dtype: costs[dtype] for dtype in dtypes}
