"""Infos as compact plain values for the page's drawing code: short keys, rounded numbers, columns instead of objects.

The only place that knows the page's JSON. Everything in it is data; the page draws it with textContent, never as
markup. Keys are explained where they are made.
"""

from __future__ import annotations

import math
from typing import Any

from playground.figures.totals import RunTotals
from playground.trace import Header, StepRecord, Trace
from playground.views.charts import acceptance_by_position, rate_points
from playground.views.race import RaceInfo, race_info
from playground.views.step import StepInfo, step_info
from playground.views.sweep import SurfaceInfo
from playground.views.text import LaneText, RunText
from playground.views.tree import tree_layout

STATUS_CODES = {"root": "r", "accepted": "a", "rejected": "x", "unreached": "u"}
ORIGIN_CODES = {"prompt": "p", "accepted": "a", "picked": "k", "plain": "n"}


def step_picture(step: StepRecord, *, sampled: bool) -> dict[str, Any]:
    """One step: tree with its layout, beams, mask, verdict, times."""
    info = step_info(step, sampled=sampled)
    layout = tree_layout(step.tree.parent, info.pick.node if info.pick else None)
    return {
        "index": info.index,
        "position": info.position,
        "columns": layout.columns,
        "rows": layout.rows,
        "nodes": _node_columns(info, [round(row, 2) for row in layout.row]),
        "pick": _pick(info, layout.pick_row),
        "path": info.path,
        "beams": [
            {"b": beam.beam, "logp": round(beam.log_probability, 3), "nodes": beam.nodes, "accepted": beam.accepted}
            for beam in info.beams
        ],
        "mask": info.mask,
        "slots": info.slots,
        "saving": info.saving,
        "verdict": info.verdict,
        "ms": [round(value, 3) for value in info.stage_ms],
        "emitted": info.emitted,
    }


def run_picture(trace: Trace, text: RunText, totals: RunTotals, *, tail: int | None = None) -> dict[str, Any]:
    """A run as far as its records go.

    Args:
        tail: send only the last so many tokens and no replay (a frame of a live run); None sends all.
    """
    text.catch_up(trace)
    totals.catch_up(trace)
    whole = tail is None
    picture: dict[str, Any] = {
        "steps": totals.steps,
        "text": _lane_items(text.redrafter, tail),
        "plainText": _lane_items(text.plain, tail),
        "figures": figures(race_info(trace, totals)),
        "rates": {
            "redrafter": _points(totals.redrafter_events),
            "plain": _points(totals.plain_events),
        },
        "positions": [[bar.depth, bar.accepted, bar.drafted] for bar in acceptance_by_position(totals) if bar.drafted],
        "histogram": totals.histogram,
        "strip": _strip(trace, totals.steps, tail),
    }
    if whole:
        picture["replay"] = {
            "redrafter": [[round(ms, 2), tokens] for ms, tokens in totals.redrafter_events],
            "plain": [[round(ms, 2), tokens] for ms, tokens in totals.plain_events],
        }
    return picture


def head_picture(header: Header) -> dict[str, Any]:
    """What ran, with what settings, on what prompt."""
    settings = header.settings
    return {
        "run": header.run_id,
        "created": header.created,
        "base": header.base.name,
        "baseParameters": header.base.parameters,
        "drafter": header.drafter.name,
        "drafterParameters": header.drafter.parameters,
        "device": header.device,
        "dtype": header.dtype,
        "engine": header.engine,
        "kernels": header.kernels,
        "exact": header.exact,
        "width": settings.beam_width,
        "length": settings.beam_length,
        "maxNewTokens": settings.max_new_tokens,
        "temperature": settings.temperature,
        "topK": settings.top_k,
        "topP": settings.top_p,
        "seed": settings.seed,
        "race": settings.race,
        "messages": [list(message) for message in header.messages],
        "promptTokens": len(header.prompt_ids),
    }


def trace_picture(trace: Trace) -> dict[str, Any]:
    """A whole finished (or cut off) run, with its last step drawn."""
    picture = {"head": head_picture(trace.header), **run_picture(trace, RunText(), RunTotals.of(trace))}
    if trace.steps:
        picture["step"] = step_picture(trace.steps[-1], sampled=trace.header.settings.temperature > 0)
    picture["complete"] = trace.complete
    return picture


def figures(info: RaceInfo) -> dict[str, Any]:
    """The race's figures; the keys are RaceInfo's."""
    ms = info.stage_ms
    return {
        "redrafter": _lane_figures(info.redrafter.tokens, info.redrafter.clock_ms, info.redrafter.tokens_per_second),
        "plain": info.plain and _lane_figures(info.plain.tokens, info.plain.clock_ms, info.plain.tokens_per_second),
        "promptMs": _round(info.redrafter.prompt_ms, 1),
        "speedup": _round(info.speedup, 3),
        "speedupFastest": _round(info.speedup_over_fastest_plain, 3),
        "fastestDtype": info.fastest_plain_dtype,
        "tokensPerStep": _round(info.tokens_per_step, 3),
        "steps": info.steps,
        "stageMs": [round(value, 2) for value in (ms.draft, ms.tree, ms.verify, ms.accept, ms.commit)],
        "drafterShare": _round(info.drafter_share, 4),
        "meanNodes": _round(info.mean_nodes, 2),
        "saving": _round(info.saving, 4),
        "peakMemory": info.peak_memory_bytes,
        "identical": info.identical,
        "parity": info.parity,
        "sentence": info.sentence,
        "finish": info.finish_reason,
    }


def surface_picture(info: SurfaceInfo) -> dict[str, Any]:
    """Heat maps over beam shapes."""
    return {
        "source": info.source,
        "widths": info.widths,
        "lengths": info.lengths,
        "best": info.best,
        "done": info.done,
        "total": info.total,
        "words": info.words,
        "measures": [
            {
                "key": measure.measure,
                "name": measure.name,
                "unit": measure.unit,
                "up": measure.higher_is_better,
                "values": [[_round(value, 3) for value in row] for row in measure.values],
            }
            for measure in info.measures
        ],
    }


def _node_columns(info: StepInfo, rows: list[float]) -> dict[str, Any]:
    nodes = info.nodes
    return {
        "parent": [node.parent for node in nodes],
        "depth": [node.depth for node in nodes],
        "row": rows,
        "token": [node.token for node in nodes],
        "label": [node.label for node in nodes],
        "hex": [node.hex for node in nodes],
        "status": "".join(STATUS_CODES[node.status] for node in nodes),
        "draft": [_round(node.draft_probability, 6) for node in nodes],
        "base": [_round(node.base_probability, 6) for node in nodes],
        "rank": [node.rank for node in nodes],
        "reason": [node.reason for node in nodes],
        "beams": [node.beams for node in nodes],
    }


def _pick(info: StepInfo, row: float | None) -> dict[str, Any] | None:
    pick = info.pick
    if pick is None:
        return None
    return {
        "node": pick.node,
        "row": row,
        "token": pick.token,
        "label": pick.label,
        "hex": pick.hex,
        "base": round(pick.probability, 6),
        "rank": pick.rank,
        "reason": pick.reason,
    }


def _lane_items(lane: LaneText, tail: int | None) -> dict[str, Any]:
    total = len(lane.items)
    start = 0 if tail is None else max(0, total - tail)
    items = [[item.text, ORIGIN_CODES[item.origin], item.step] for item in lane.items[start:]]
    return {"from": start, "items": items}


def _strip(trace: Trace, steps: int, tail: int | None) -> dict[str, Any]:
    """By step: accepted drafted tokens, drafted nodes, emitted tokens."""
    start = 0 if tail is None else max(0, steps - tail)
    items = [[step.accepted, step.tree.nodes - 1, len(step.emitted)] for step in trace.steps[start:steps]]
    return {"from": start, "items": items}


def _points(events: list[tuple[float, int]]) -> list[list[float]]:
    return [[round(point.clock_ms), round(point.tokens_per_second, 2)] for point in rate_points(events)]


def _lane_figures(tokens: int, clock_ms: float, rate: float | None) -> dict[str, Any]:
    return {"tokens": tokens, "clock": round(clock_ms, 1), "rate": _round(rate, 2)}


def _round(value: float | None, places: int) -> float | None:
    return None if value is None or not math.isfinite(value) else round(value, places)
