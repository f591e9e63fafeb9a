"""A run's figures as one JSON object: ours, where each comes from, and what vLLM and llama.cpp count under their names.

Theirs follow their own definitions, which differ from ours where said so in `notes`. Knows figures, no prompt's text.
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from typing import Any

from playground.export.values import to_json
from playground.figures.provenance import summary_of, summary_sources
from playground.figures.totals import RunTotals
from playground.trace import SCHEMA_VERSION, Trace

FORMAT = "redrafter-summary"
NOTES = (
    "vllm: a step is a draft; drafted tokens are the nodes of its prefix tree, not one chain.",
    "llama.cpp: predicted_n counts the first token, which came with the prompt, and predicted_per_second divides by "
    "the time after it; redrafter_tokens_per_second leaves that token out.",
)


def to_summary(trace: Trace) -> str:
    """The whole object, indented."""
    return json.dumps(summary_values(trace), ensure_ascii=False, allow_nan=False, indent=1) + "\n"


def summary_values(trace: Trace) -> dict[str, Any]:
    """The object as plain values."""
    header, footer = trace.header, trace.footer
    return {
        "format": FORMAT,
        "schema_version": SCHEMA_VERSION,
        "complete": trace.complete,
        "finish_reason": footer.finish_reason if footer else None,
        "run": {
            name: to_json(getattr(header, name))
            for name in ("run_id", "created", "base", "drafter", "device", "dtype", "engine", "kernels", "exact")
        }
        | {"versions": to_json(header.versions), "settings": to_json(header.settings)},
        "summary": to_json(summary_of(trace)),
        "sources": {name: asdict(source) for name, source in summary_sources(trace).items()},
        "parity": to_json(trace.parity),
        "vllm": _vllm(trace),
        "llama.cpp": _llama_cpp(trace),
        "notes": list(NOTES),
    }


def _vllm(trace: Trace) -> dict[str, Any]:
    """Counters of vLLM's metrics endpoint, for this one request."""
    steps = RunTotals.of(trace).steps
    return {
        "vllm:prompt_tokens_total": len(trace.header.prompt_ids),
        "vllm:generation_tokens_total": len(trace.redrafter_tokens),
        "vllm:spec_decode_num_drafts_total": steps.count,
        "vllm:spec_decode_num_draft_tokens_total": steps.draft_tokens,
        "vllm:spec_decode_num_accepted_tokens_total": steps.accepted,
        "vllm:spec_decode_num_accepted_tokens_per_pos_total": {
            str(at.depth - 1): at.accepted for at in steps.positions
        },
    }


def _llama_cpp(trace: Trace) -> dict[str, Any]:
    """The `timings` of llama.cpp's server, for this one request."""
    totals, prompt = RunTotals.of(trace), trace.prompt("redrafter")
    prompt_n, prompt_ms = (prompt.tokens, prompt.ms) if prompt else (0, 0.0)
    predicted_n, predicted_ms = totals.redrafter.tokens, totals.redrafter.clock_ms
    return {
        **_timing("prompt", prompt_n, prompt_ms),
        **_timing("predicted", predicted_n, predicted_ms),
        "draft_n": totals.steps.draft_tokens,
        "draft_n_accepted": totals.steps.accepted,
    }


def _timing(name: str, count: int, ms: float) -> dict[str, Any]:
    timed = math.isfinite(ms) and ms > 0
    return {
        f"{name}_n": count,
        f"{name}_ms": to_json(ms),
        f"{name}_per_token_ms": ms / count if count and timed else None,
        f"{name}_per_second": 1000.0 * count / ms if timed else None,
    }
