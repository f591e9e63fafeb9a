"""The prefix tree of a step as an SVG picture that stands alone: text stays text, colours are its own.

The same look as the page's tree. Drawn from the view's info; knows no browser.
"""

from __future__ import annotations

from dataclasses import dataclass
from xml.etree import ElementTree

from playground.figures.format import percent
from playground.figures.graph import step_graph
from playground.trace import StepRecord
from playground.views.graph import Place, places
from playground.views.sources import FIXED
from playground.views.step import StepInfo, step_info
from playground.views.token_text import cells, visible

SVG = "http://www.w3.org/2000/svg"
ROW, PILL, CELL, GAP, MARGIN, LETTERS = 34.0, 26.0, 7.3, 34.0, 12.0, 18  # pixels; letters of a label
PICK = "pick"  # beside the nodes' numbers
GLYPHS = {"root": "◆", "accepted": "✓", "rejected": "✕", "unreached": "○", "picked": "★"}
STYLE = """
svg { background: #fff; font-family: ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace; }
.edge { fill: none; stroke: #c8d0da; stroke-width: 1.4; }
.edge.accepted { stroke: #0f766e; stroke-width: 3; }
.edge.rejected { stroke: #e3a0b0; }
.edge.picked { stroke: #a4530a; stroke-width: 2.4; stroke-dasharray: 2 5; stroke-linecap: round; }
rect { fill: #f6f7f9; stroke: #c8d0da; stroke-width: 1.2; }
text { font-size: 12px; fill: #18212f; dominant-baseline: central; unicode-bidi: isolate; white-space: pre; }
.share { font-size: 10px; fill: #566275; text-anchor: end; }
.glyph { font-size: 11px; text-anchor: middle; }
.root rect { fill: #eef0ff; stroke: #4f46e5; } .root .glyph { fill: #4f46e5; }
.accepted rect { fill: #d9f3ec; stroke: #0f766e; stroke-width: 1.8; } .accepted .glyph { fill: #0f766e; }
.rejected rect { fill: #fdecf0; stroke: #e08aa0; } .rejected .glyph { fill: #c2274b; }
.unreached .glyph, .unreached .label { fill: #67748a; }
.picked rect { fill: #fdf0dc; stroke: #a4530a; stroke-dasharray: 4 3; } .picked .glyph { fill: #a4530a; }
"""


@dataclass(frozen=True)
class _Pill:
    """One token as drawn."""

    look: str  # a status, or "picked"
    label: str
    share: float | None  # the base model's probability
    place: Place
    above: int  # index of its parent's pill, -1 for the root
    reason: str

    @property
    def column(self) -> int:
        return self.place.column

    @property
    def row(self) -> float:
        return self.place.row

    @property
    def width(self) -> float:
        return 34.0 + cells(self.label) * CELL + (0.0 if self.share is None else 42.0)


def to_svg(step: StepRecord, *, sampled: bool, run_id: str = "") -> str:
    """The tree of a step.

    Args:
        sampled: the temperature was above 0.
        run_id: of the run, for the picture's description.
    """
    info = step_info(step, sampled=sampled)
    graph = step_graph(step)
    if info.pick is not None:
        graph.add_edge(info.pick.node, PICK)
    pills = _pills(info, places(graph))
    left = _columns(pills)
    width = left[-1] - GAP + MARGIN
    height = 2 * MARGIN + PILL + max(pill.row for pill in pills) * ROW
    size = {"width": f"{width:g}", "height": f"{height:g}", "viewBox": f"0 0 {width:g} {height:g}"}
    picture = ElementTree.Element("svg", {"xmlns": SVG, **size, "role": "img"})
    _text(picture, "title", f"Prefix tree of step {info.index + 1}")
    about = f"{info.verdict} {info.saving}. Percentages: {FIXED['base'].words}." + (
        f" Run {visible(run_id)}." if run_id else ""
    )
    _text(picture, "desc", about)
    _text(picture, "style", STYLE)
    for pill in sorted(pills, key=lambda one: one.look in {"accepted", "picked"}):  # the path lies over the others
        if pill.above >= 0:
            _edge(picture, pills[pill.above], pill, left)
    for node, pill in enumerate(pills):
        _draw(picture, node, pill, left)
    return ElementTree.tostring(picture, encoding="unicode") + "\n"


def _pills(info: StepInfo, place: dict[object, Place]) -> list[_Pill]:
    pills = [
        _Pill(node.status, _clip(node.label), node.base_probability, place[node.node], node.parent, node.reason)
        for node in info.nodes
    ]
    if info.pick is not None:
        pick = info.pick
        pills.append(_Pill("picked", _clip(pick.label), pick.probability, place[PICK], pick.node, pick.reason))
    return pills


def _columns(pills: list[_Pill]) -> list[float]:
    """The left edge of every column, and of the one after the last."""
    left = [MARGIN]
    for column in range(1 + max(pill.column for pill in pills)):
        left.append(left[-1] + max(pill.width for pill in pills if pill.column == column) + GAP)
    return left


def _edge(picture: ElementTree.Element, above: _Pill, pill: _Pill, left: list[float]) -> None:
    x0, x1 = left[above.column] + above.width, left[pill.column]
    y0, y1 = (MARGIN + PILL / 2 + one.row * ROW for one in (above, pill))
    bend = (x1 - x0) / 2
    curve = f"M{x0:g} {y0:g}C{x0 + bend:g} {y0:g} {x1 - bend:g} {y1:g} {x1:g} {y1:g}"
    ElementTree.SubElement(picture, "path", {"class": f"edge {pill.look}", "d": curve})


def _draw(picture: ElementTree.Element, node: int, pill: _Pill, left: list[float]) -> None:
    at = f"translate({left[pill.column]:g} {MARGIN + pill.row * ROW:g})"
    group = ElementTree.SubElement(picture, "g", {"class": pill.look, "data-node": str(node), "transform": at})
    _text(group, "title", pill.reason)
    box = {"width": f"{pill.width:g}", "height": f"{PILL:g}", "rx": f"{PILL / 2:g}"}
    ElementTree.SubElement(group, "rect", box)
    middle = f"{PILL / 2 + 0.5:g}"
    _text(group, "text", GLYPHS[pill.look], {"class": "glyph", "x": "14", "y": middle})
    _text(group, "text", pill.label, {"class": "label", "x": "25", "y": middle})
    if pill.share is not None:
        _text(group, "text", percent(pill.share), {"class": "share", "x": f"{pill.width - 10:g}", "y": middle})


def _text(parent: ElementTree.Element, tag: str, text: str, attributes: dict[str, str] | None = None) -> None:
    ElementTree.SubElement(parent, tag, attributes or {}).text = text


def _clip(label: str) -> str:
    return label if len(label) <= LETTERS else label[: LETTERS - 1] + "…"
