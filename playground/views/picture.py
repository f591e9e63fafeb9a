"""Infos as the page's pictures: short keys, rounded numbers, columns instead of objects; `page` says what each holds.

Knows how infos become pictures, and nothing of how the page draws them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from playground.config import nodes_name
from playground.figures.nodes import Status
from playground.figures.provenance import Source
from playground.figures.rates import Event, rate_points
from playground.figures.totals import RunTotals
from playground.trace import Header, NodeOrigin, StageMs, StepRecord, Trace
from playground.views.page import (
    EquationPicture,
    Figures,
    HeadPicture,
    LaneFigures,
    MaybeNumber,
    NodeCode,
    NodeColumns,
    OriginCode,
    PickPicture,
    RunPicture,
    StageTimes,
    StatusCode,
    StepPicture,
    StripItems,
    SurfacePicture,
    TextItems,
    TracePicture,
)
from playground.views.race import LaneInfo, RaceInfo, race_info
from playground.views.sources import screen_sources
from playground.views.speed import SpeedInfo
from playground.views.step import NodeInfo, PickInfo, step_info
from playground.views.sweep import SurfaceInfo
from playground.views.text import LaneText, Origin, RunText

FINE = 6  # places of numbers that are shown with fewer: rounding twice would show another number than words do
SMALLEST_SHARE = 10.0**-FINE

STATUS_CODES: dict[Status, StatusCode] = {"root": "r", "accepted": "a", "rejected": "x", "unreached": "u"}
NODE_CODES: dict[NodeOrigin, NodeCode] = {"root": "r", "beam": "b", "copy": "c"}
ORIGIN_CODES: dict[Origin, OriginCode] = {"prompt": "p", "accepted": "a", "picked": "k", "plain": "n"}


def step_picture(step: StepRecord, *, sampled: bool) -> StepPicture:
    """One step: tree, beams, mask, verdict, times."""
    info = step_info(step, sampled=sampled)
    return {
        "index": info.index,
        "position": info.position,
        "nodes": _node_columns(info.nodes),
        "pick": _pick(info.pick),
        "path": info.path,
        "beams": [
            {"b": beam.beam, "logp": _round(beam.log_probability, 3), "nodes": beam.nodes, "accepted": beam.accepted}
            for beam in info.beams
        ],
        "mask": info.mask,
        "saving": info.saving,
        "verdict": info.verdict,
        "ms": _stage_times(info.stage_ms, 3),
    }


def run_picture(trace: Trace, text: RunText, totals: RunTotals, *, tail: int | None = None) -> RunPicture:
    """A run as far as its records go.

    Args:
        tail: send only the last so many tokens and no replay (a frame of a live run); None sends all.
    """
    text.catch_up(trace)
    totals.catch_up(trace)
    steps, ours, plain = totals.steps, totals.redrafter.events, totals.plain.events
    picture: RunPicture = {
        "steps": steps.count,
        "text": _text_items(text.redrafter, tail),
        "plainText": _text_items(text.plain, tail),
        "figures": figures(race_info(trace, totals), screen_sources(trace, totals)),
        "rates": {"redrafter": _points(ours), "plain": _points(plain)},
        "positions": [(at.depth, at.accepted, at.drafted) for at in steps.positions if at.drafted],
        "histogram": steps.histogram,
        "strip": _strip(trace.steps[: steps.count], tail),
    }
    if tail is None:
        picture["replay"] = {"redrafter": _events(ours), "plain": _events(plain)}
    return picture


def head_picture(header: Header) -> HeadPicture:
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
        "nodes": nodes_name(settings.nodes),
        "copyTail": settings.copy_tail,
        "maxNewTokens": settings.max_new_tokens,
        "temperature": settings.temperature,
        "topK": settings.top_k,
        "topP": settings.top_p,
        "seed": settings.seed,
        "race": settings.race,
        "chatTemplate": settings.chat_template,
        "messages": list(header.messages),
        "promptTokens": len(header.prompt_ids),
    }


def trace_picture(trace: Trace) -> TracePicture:
    """A whole run, finished or cut off, with its last step drawn."""
    return growing_picture(trace, RunText(), RunTotals.of(trace), tail=None)


def growing_picture(trace: Trace, text: RunText, totals: RunTotals, *, tail: int | None) -> TracePicture:
    """The same of a run that may still grow; text, totals and tail as for `run_picture`."""
    return {
        "head": head_picture(trace.header),
        **run_picture(trace, text, totals, tail=tail),
        "step": step_picture(trace.steps[-1], sampled=trace.sampled) if trace.steps else None,
        "complete": trace.complete,
    }


def figures(info: RaceInfo, sources: Mapping[str, Source]) -> Figures:
    """The race's figures, and where every number on the page comes from."""
    return {
        "redrafter": _lane_figures(info.redrafter),
        "plain": _lane_figures(info.plain) if info.plain else None,
        "promptMs": _round(info.redrafter.prompt_ms, 1),
        "speedup": _round(info.speedup, FINE),
        "speedupFastest": _round(info.speedup_over_fastest_plain, FINE),
        "fastestDtype": info.fastest_plain_dtype,
        "tokensPerStep": _round(info.tokens_per_step, FINE),
        "steps": info.steps,
        "stageMs": _stage_times(info.stage_ms, 2),
        "drafterShare": _round(info.drafter_share, FINE),
        "meanNodes": _round(info.mean_nodes, 2),
        "saving": _round(info.saving, FINE),
        "peakMemory": info.peak_memory_bytes,
        "identical": info.identical,
        "parity": info.parity,
        "firstDifference": info.first_difference,
        "equation": _equation(info.speed),
        "finish": info.finish_reason,
        "sources": [(name, source.kind, source.words) for name, source in sources.items()],
    }


def surface_picture(info: SurfaceInfo) -> SurfacePicture:
    """Heat maps over beam shapes."""
    return {
        "widths": info.widths,
        "lengths": info.lengths,
        "best": info.best,
        "done": info.done,
        "total": info.total,
        "words": info.words,
        "warning": info.warning,
        "measures": [
            {
                "key": measure.measure,
                "name": measure.name,
                "unit": measure.unit,
                "up": measure.higher_is_better,
                "values": [[_round(value, 3) for value in row] for row in measure.values],
                "spans": [
                    [(round(span[0], 3), round(span[1], 3)) if span else None for span in row] for row in measure.spans
                ],
            }
            for measure in info.measures
        ],
    }


def _equation(info: SpeedInfo | None) -> EquationPicture | None:
    if info is None:
        return None
    equation, cost, advice = info.equation, info.equation.cost, info.advice
    return {
        "tokensPerStep": _round(equation.tokens_per_step, FINE),
        "cost": _round(cost.total if cost else None, FINE),
        "draft": _round(cost.draft if cost else None, FINE),
        "nodes": _round(cost.nodes if cost else None, FINE),
        "speedup": _round(equation.speedup, FINE),
        "verdict": equation.verdict,
        "settled": equation.settled,
        "words": info.words,
        "advice": None
        if advice is None
        else {
            "width": advice.width,
            "length": advice.length,
            "nodes": advice.nodes,
            "speedup": _round(advice.speedup, FINE),
            "words": advice.words,
        },
    }


def _node_columns(nodes: Sequence[NodeInfo]) -> NodeColumns:
    return {
        "parent": [node.parent for node in nodes],
        "depth": [node.depth for node in nodes],
        "token": [node.token for node in nodes],
        "label": [node.label for node in nodes],
        "hex": [node.hex for node in nodes],
        "status": "".join(STATUS_CODES[node.status] for node in nodes),
        "origin": "".join(NODE_CODES[node.origin] for node in nodes),
        "draft": [_share(node.draft_probability) for node in nodes],
        "base": [_share(node.base_probability) for node in nodes],
        "rank": [node.rank for node in nodes],
        "reason": [node.reason for node in nodes],
        "beams": [node.beams for node in nodes],
    }


def _pick(pick: PickInfo | None) -> PickPicture | None:
    if pick is None:
        return None
    return {
        "node": pick.node,
        "token": pick.token,
        "label": pick.label,
        "hex": pick.hex,
        "base": _share(pick.probability),
        "rank": pick.rank,
        "reason": pick.reason,
    }


def _text_items(lane: LaneText, tail: int | None) -> TextItems:
    start = _start(len(lane.items), tail)
    return {"from": start, "items": [(one.text, ORIGIN_CODES[one.origin], one.step) for one in lane.items[start:]]}


def _strip(steps: Sequence[StepRecord], tail: int | None) -> StripItems:
    start = _start(len(steps), tail)
    return {
        "from": start,
        "items": [(step.accepted, step.tree.nodes - 1, len(step.emitted)) for step in steps[start:]],
    }


def _start(total: int, tail: int | None) -> int:
    return 0 if tail is None else max(0, total - tail)


def _points(events: Sequence[Event]) -> list[tuple[MaybeNumber, MaybeNumber]]:
    return [(_round(point.clock_ms, 0), _round(point.tokens_per_second, 2)) for point in rate_points(events)]


def _events(events: Sequence[Event]) -> list[tuple[MaybeNumber, int]]:
    return [(_round(clock_ms, 2), tokens) for clock_ms, tokens in events]


def _lane_figures(lane: LaneInfo) -> LaneFigures:
    return {"tokens": lane.tokens, "clock": _round(lane.clock_ms, 1), "rate": _round(lane.tokens_per_second, FINE)}


def _stage_times(ms: StageMs, places: int) -> StageTimes:
    return (
        _round(ms.draft, places),
        _round(ms.tree, places),
        _round(ms.verify, places),
        _round(ms.accept, places),
        _round(ms.commit, places),
    )


def _share(value: float | None) -> MaybeNumber:
    """A probability; one that is not quite 0 stays more than 0, and is shown so."""
    rounded = _round(value, FINE)
    return SMALLEST_SHARE if rounded == 0.0 and value else rounded


def _round(value: float | None, places: int) -> MaybeNumber:
    """Null where there is no finite number: JSON has no other word for it."""
    if value is None or not math.isfinite(value):
        return None
    return round(value, places) if places else round(value)
