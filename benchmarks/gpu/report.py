"""Figures, verdicts and the machine they were taken on; knows no engine."""

from __future__ import annotations

import itertools
import json
import math
import platform
import statistics
import subprocess
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch


@dataclass
class Report:
    """What was measured so far."""

    machine: dict[str, Any]
    figures: dict[str, Any] = field(default_factory=dict)
    verdicts: list[dict[str, Any]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    spent: dict[str, float] = field(default_factory=dict)

    def add(self, section: str, name: str, value: Any) -> None:
        self.figures.setdefault(section, {})[name] = value

    def judge(self, target: str, value: float | None, limit: float, *, at_least: bool, timed: bool = True) -> None:
        """One verdict; a value that could not be measured is None, and so is what a smoke run timed."""
        if timed and self.machine["smoke"]:
            value = None
        met = None if value is None else (value >= limit if at_least else value <= limit)
        sign = ">=" if at_least else "<="
        self.verdicts.append({"target": target, "value": value, "limit": f"{sign} {limit:g}", "met": met})

    def require(self, targets: Sequence[str]) -> None:
        """A verdict for every target, by the words it begins with: those that nothing was said of are not measured."""
        for target in targets:
            if not any(verdict["target"].startswith(target) for verdict in self.verdicts):
                self.verdicts.append({"target": target, "value": None, "limit": "", "met": None})

    def skip(self, section: str, why: str) -> None:
        self.notes.append(f"{section}: skipped, {why}")

    def fail(self, section: str, error: Exception) -> None:
        where = "".join(traceback.format_exception(error)[-3:])
        self.notes.append(f"{section}: {type(error).__name__}: {error}\n{where}")

    def seconds(self, section: str, spent: float) -> None:
        self.spent[section] = round(spent, 1)

    def as_dict(self) -> dict[str, Any]:
        """What JSON can hold: a number that is not finite becomes its name."""
        told = {
            "machine": self.machine,
            "verdicts": self.verdicts,
            "figures": self.figures,
            "notes": self.notes,
            "seconds": self.spent,
        }
        return {name: _finite(value) for name, value in told.items()}

    def resume(self, written: Path) -> None:
        """Go on from what another process wrote."""
        before = json.loads(written.read_text())
        self.verdicts, self.figures, self.notes = before["verdicts"], before["figures"], before["notes"]
        self.spent = before["seconds"]

    def table(self) -> str:
        """Notes, then one line a target."""
        lines = [f"{self.machine['device']}, torch {self.machine['torch']}, triton {self.machine['triton']}"]
        lines += [f"! {note}" for note in self.notes]
        words = {True: "met", False: "MISSED", None: "not measured"}
        for verdict in self.verdicts:
            value = f"{verdict['value']:.4g}" if isinstance(verdict["value"], int | float) else verdict["value"] or "-"
            lines.append(f"{verdict['target']:<72} {value:>10} {verdict['limit']:>10}  {words[verdict['met']]}")
        return "\n".join(lines)


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _finite(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(part) for part in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def machine(*, smoke: bool) -> dict[str, Any]:
    """Commit, device and versions as the libraries report them."""
    cuda = torch.cuda.is_available()
    return {
        "commit": _commit(),
        "device": torch.cuda.get_device_name() if cuda else f"CPU ({platform.machine()})",
        "memory_bytes": torch.cuda.get_device_properties(0).total_memory if cuda else None,
        "torch": torch.__version__,
        "cuda": torch.version.cuda,
        "triton": _version("triton"),
        "transformers": _version("transformers"),
        "python": platform.python_version(),
        "float32 products": torch.get_float32_matmul_precision(),  # "highest": no TF32
        "smoke": smoke,
    }


def _commit() -> str | None:
    """The commit of this folder; None where it is a copy, or git is not installed."""
    git = ["git", "-C", str(Path(__file__).parent), "rev-parse", "HEAD"]
    try:
        done = subprocess.run(git, capture_output=True, text=True, check=False)
    except OSError:
        return None
    return done.stdout.strip() or None


def device_is_lost() -> bool:
    """Whether a kernel broke this process's hold on the device: every later call would fail as well."""
    if not torch.cuda.is_available():
        return False
    try:
        torch.cuda.synchronize()
    except RuntimeError:
        return True
    return False


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def device() -> torch.device:
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def milliseconds(run: Callable[[], object], *, repeats: int = 20, warm_ups: int = 3) -> float:
    """Median time of one run; on CUDA between events, with a full queue so that launches do not show."""
    if not torch.cuda.is_available():  # a smoke run: the figure means nothing
        start = time.perf_counter()
        run()
        return (time.perf_counter() - start) * 1e3
    for _ in range(warm_ups):
        run()
    marks = [torch.cuda.Event(enable_timing=True) for _ in range(repeats + 1)]
    torch.cuda._sleep(2_000_000)  # about a millisecond for the host to get ahead
    marks[0].record()
    for mark in marks[1:]:
        run()
        mark.record()
    torch.cuda.synchronize()
    return statistics.median(start.elapsed_time(end) for start, end in itertools.pairwise(marks))


def graphed(run: Callable[[], object]) -> Callable[[], object]:
    """`run` as a CUDA graph, as the engine replays it; elsewhere `run` itself."""
    if not torch.cuda.is_available():
        return run
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(3):
            run()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        run()
    return graph.replay


def ceiling(*, smoke: bool) -> float:
    """Bytes a second of a large device-to-device copy, read and written: the card's own measured ceiling."""
    size = 2**20 if smoke else 2**31
    source = torch.empty(size, dtype=torch.uint8, device=device())
    target = torch.empty_like(source)
    return 2 * size / (milliseconds(lambda: target.copy_(source), repeats=10) * 1e-3)
