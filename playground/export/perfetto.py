"""A trace as Chrome trace-event JSON, which ui.perfetto.dev and chrome://tracing open.

A lane is a process, its prompt, steps and stages are slices on one thread, rates and acceptance are counters, tokens
are arguments. Both lanes begin to decode at the same moment; the time within a lane is its own clock. Times are
microseconds on a grid of nanoseconds, so that slices nest exactly. Knows records and the text of tokens.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from typing import Any

from playground.export.values import to_json
from playground.figures.provenance import summary_sources
from playground.figures.rates import rate_points
from playground.figures.totals import LaneTotals, RunTotals
from playground.trace import Lane, StepRecord, Trace
from playground.views.text import RunText
from playground.views.token_text import token_label, visible

STAGES = ("draft", "tree", "verify", "accept", "commit")
PROCESSES: dict[Lane, tuple[int, str]] = {"redrafter": (1, "Recurrent drafting"), "plain": (2, "Plain decoding")}
THREAD = 1

Event = dict[str, Any]


def to_perfetto(trace: Trace) -> str:
    """The whole trace as one JSON object."""
    header = trace.header
    body = {
        "traceEvents": [*_names(trace), *_prompts(trace), *_steps(trace), *_plain(trace), *_rates(trace)],
        "displayTimeUnit": "ms",
        "otherData": {
            "run": visible(header.run_id),
            "created": visible(header.created),
            "base": visible(header.base.name),
            "drafter": visible(header.drafter.name),
            "device": visible(header.device),
            "dtype": visible(header.dtype),
            "settings": to_json(header.settings),
            "sources": {name: f"{source.kind}: {source.words}" for name, source in summary_sources(trace).items()},
        },
    }
    return json.dumps(body, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def _lanes(trace: Trace) -> list[Lane]:
    return [lane for lane in PROCESSES if trace.prompt(lane) or (trace.plain if lane == "plain" else trace.steps)]


def _names(trace: Trace) -> Iterator[Event]:
    for lane in _lanes(trace):
        process, name = PROCESSES[lane]
        at = {"ph": "M", "pid": process, "tid": THREAD}
        yield {**at, "name": "process_name", "args": {"name": name}}
        yield {**at, "name": "process_sort_index", "args": {"sort_index": process}}
        yield {**at, "name": "thread_name", "args": {"name": "decoding"}}


def _start(trace: Trace) -> int:
    """When both lanes have read their prompts, ns."""
    return max((_ns(record.ms) for record in trace.prompts), default=0)


def _prompts(trace: Trace) -> Iterator[Event]:
    start = _start(trace)
    for record in trace.prompts:
        own = _ns(record.ms)
        arguments = {"tokens": record.tokens, "first root": token_label(record.token_bytes.get(record.first_root, b""))}
        yield _slice("prompt", record.lane, start - own, own, arguments)


def _steps(trace: Trace) -> Iterator[Event]:
    start = end = _start(trace)
    for step in trace.steps:
        stages = [_ns(getattr(step.ms, stage)) for stage in STAGES]
        begin = max(end, start + _ns(step.clock_ms) - sum(stages))
        end = begin + sum(stages)
        yield _slice("step", "redrafter", begin, end - begin, _arguments(step))
        at = begin
        for stage, length in zip(STAGES, stages, strict=True):
            yield _slice(stage, "redrafter", at, length, {})
            at += length
        drafted = step.tree.nodes - 1
        yield _counter("tokens accepted and drafted", "redrafter", end, {"accepted": step.accepted, "drafted": drafted})


def _arguments(step: StepRecord) -> dict[str, Any]:
    labels = [token_label(step.token_bytes.get(token, b"")) for token in step.emitted]
    return {
        "index": step.index,
        "position": step.position,
        "tokens": " ".join(labels),
        "token ids": list(step.emitted),
        "accepted": step.accepted,
        "nodes": step.tree.nodes,
        "beams": f"{step.beams.width} x {step.beams.length}",
    }


def _plain(trace: Trace) -> Iterator[Event]:
    start = end = _start(trace)
    texts = RunText().catch_up(trace).plain.items
    for record, item in zip(trace.plain, texts, strict=True):
        length = _ns(record.ms) if record.index else 0  # token 0 came with the prompt
        begin = max(end, start + _ns(record.clock_ms) - length)
        end = begin + length
        arguments = {"index": record.index, "token id": record.token, "text": visible(item.text)}
        yield _slice("token", "plain", begin, length, arguments)


def _rates(trace: Trace) -> Iterator[Event]:
    start, totals = _start(trace), RunTotals.of(trace)
    lanes: tuple[tuple[Lane, LaneTotals], ...] = (("redrafter", totals.redrafter), ("plain", totals.plain))
    for lane, sums in lanes:
        for point in rate_points(sums.events, points=1000):
            if math.isfinite(point.tokens_per_second):
                rate = {"tokens/s": round(point.tokens_per_second, 3)}
                yield _counter("tokens per second", lane, start + _ns(point.clock_ms), rate)


def _slice(name: str, lane: Lane, start: int, length: int, arguments: dict[str, Any]) -> Event:
    at = {"ph": "X", "pid": PROCESSES[lane][0], "tid": THREAD, "ts": start / 1000, "dur": length / 1000}
    return {"name": name, "cat": lane, **at, "args": arguments}


def _counter(name: str, lane: Lane, at: int, values: dict[str, float]) -> Event:
    return {"name": name, "cat": lane, "ph": "C", "pid": PROCESSES[lane][0], "ts": at / 1000, "args": values}


def _ns(ms: float) -> int:
    """Nanoseconds of a time in ms; none of one that is no number."""
    return round(ms * 1e6) if math.isfinite(ms) else 0
