"""What the tree is worth: the default one beside surviving beams, the same engine, drafter and prompts.

Every prompt is raced with each shape in turn, so that a busy moment hits all of them. Knows races; nothing of how a
tree is searched.
"""

from __future__ import annotations

import statistics
from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.cpu.races import prompts_of, race
from playground.config import BeamShape
from playground.session import Session

_PAPERS = BeamShape(8, 5, None)


def trees(session: Session, mt_bench: Path | None, new_tokens: int) -> dict[str, Any]:
    """Median speed-ups by shape over the twelve prompts, and MT-Bench's eight where `mt_bench` names its file."""
    sets = prompts_of(mt_bench)
    prompts = [prompt for name in ("mt_bench", "twelve") for prompt in sets.get(name, ())]
    shapes = (session.shape, replace(session.shape, nodes=None), _PAPERS)
    runs = defaultdict[str, list[dict[str, Any]]](list)
    for prompt in prompts:
        for shape in dict.fromkeys(shapes):
            runs[str(shape)].append(race(session, prompt, new_tokens, shape))
    found = {shape: _figures(of_shape) for shape, of_shape in runs.items()}
    median = {shape: figures["median_speedup"] for shape, figures in found.items()}
    over = {str(shape): round(median[str(session.shape)] / median[str(shape)], 3) for shape in shapes[1:]}
    told = {"prompts": len(prompts), "default": str(session.shape), "shapes": found}
    return {**told, "default_over_surviving_beams": over}


def _figures(runs: list[dict[str, Any]]) -> dict[str, Any]:
    speedups = [run["speedup"] for run in runs if run["speedup"] is not None]
    return {
        "median_speedup": round(statistics.median(speedups), 3),
        "least_speedup": round(min(speedups), 3),
        "tokens_per_step": round(statistics.mean(run["tokens_per_step"] for run in runs), 3),
        "draft_over_verify": round(statistics.median(run["draft_over_verify"] for run in runs), 3),
        "identical": sum(run["identical"] for run in runs),
    }
