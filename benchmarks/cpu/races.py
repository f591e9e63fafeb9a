"""Races with the default shape of this machine over kinds of prompts: rates, speed-ups, identical texts."""

from __future__ import annotations

import statistics
import threading
from pathlib import Path
from typing import Any

from playground.bench.prompts import read_questions, spread
from playground.config import BeamShape, Message, RunRequest
from playground.session import Session
from playground.trace import Footer, ParityRecord
from playground.ui.presets import PRESETS

TWELVE = Path(__file__).resolve().parents[1] / "prompts" / "twelve.jsonl"


def prompts_of(mt_bench: Path | None) -> dict[str, list[str]]:
    """The sets of prompts by name; MT-Bench's where its file is named."""
    sets = {
        "twelve": [question.turns[0] for question in read_questions(TWELVE)],
        "presets": [preset.prompt for preset in PRESETS],
    }
    if mt_bench is None:
        return sets
    return {"mt_bench": [question.turns[0] for question in spread(read_questions(mt_bench), 8)], **sets}


def races(session: Session, mt_bench: Path | None, new_tokens: int) -> dict[str, Any]:
    sets = prompts_of(mt_bench).items()
    found: dict[str, Any] = {name: _set(session, prompts, new_tokens) for name, prompts in sets}
    if mt_bench is None:
        found["missing"] = "MT-Bench: name its question.jsonl with --mt-bench."
    return found


def _set(session: Session, prompts: list[str], new_tokens: int) -> dict[str, Any]:
    runs = [race(session, prompt, new_tokens) for prompt in prompts]
    speedups = [run["speedup"] for run in runs if run["speedup"] is not None]
    return {
        "prompts": len(runs),
        "median_speedup": round(statistics.median(speedups), 3),
        "least_speedup": round(min(speedups), 3),
        "tokens_per_step": round(statistics.mean(run["tokens_per_step"] for run in runs), 3),
        "identical": sum(run["identical"] for run in runs),
        "tokens_per_second": round(statistics.median(run["tokens_per_second"] for run in runs), 1),
        "plain_tokens_per_second": round(statistics.median(run["plain_tokens_per_second"] for run in runs), 1),
        "runs": runs,
    }


def race(session: Session, prompt: str, new_tokens: int, shape: BeamShape | None = None) -> dict[str, Any]:
    """One race, with the default shape if none is named."""
    request = RunRequest((Message("user", prompt),), shape=shape or session.shape, max_new_tokens=new_tokens)
    records = list(session.run(request, threading.Event()))
    footer, parity = records[-1], records[-2]
    assert isinstance(footer, Footer) and isinstance(parity, ParityRecord)
    summary = footer.summary
    return {
        "prompt": prompt[:60],
        "new_tokens": summary.new_tokens,
        "speedup": summary.speedup,
        "tokens_per_step": summary.tokens_per_step,
        "tokens_per_second": summary.redrafter_tokens_per_second,
        "plain_tokens_per_second": summary.plain_tokens_per_second,
        "draft_over_verify": summary.stage_ms.draft / summary.stage_ms.verify,
        "identical": bool(parity.identical),
    }
