"""What the page's JavaScript receives: the one definition of every picture and message, from which
`assets/js/types.d.ts` is written (`python -m scripts.page_types`; a field's comment becomes its description there).

Everything here is data; the page draws it with textContent, never as markup. Numbers are rounded, and null where there
is no finite one. Knows nothing of how pictures are made.
"""

from __future__ import annotations

from typing import Literal, NotRequired, TypedDict

StatusCode = Literal["r", "a", "x", "u"]  # root, accepted, rejected, never reached
NodeCode = Literal["r", "b", "c"]  # root, drafted by a beam, copied from earlier in the text
OriginCode = Literal["p", "a", "k", "n"]  # picked from the prompt, accepted, picked, plain lane
WorkState = Literal["queued", "prompt", "running", "done", "failed"]
PairState = Literal["idle", "loading", "ready", "failed"]
ViewName = Literal["live", "steps", "mask", "race", "shapes", "traces", "learn"]
Verdict = Literal["win", "even", "loss"]
Measure = Literal["speedup", "rate", "tokens_per_step", "nodes", "step_ms", "draft_ms", "verify_ms"]
MaybeNumber = float | None
StageTimes = tuple[MaybeNumber, MaybeNumber, MaybeNumber, MaybeNumber, MaybeNumber]
Fact = tuple[str, str]  # (what, value)
SourceKind = Literal["measured", "computed", "predicted", "set"]
SourceItem = tuple[str, SourceKind, str]  # (figure, where it comes from, how)


class NodeColumns(TypedDict):
    """The nodes of a tree, a column a list; node 0 is the root."""

    parent: list[int]  # -1 for the root
    depth: list[int]
    token: list[int]
    label: list[str]
    hex: list[str]
    status: str  # one StatusCode a node
    origin: str  # one NodeCode a node
    draft: list[MaybeNumber]  # the drafter's probability, of a copy its measured chance; null for the root
    base: list[MaybeNumber]  # the base model's under the node's parent, null for the root
    rank: list[int]  # the base model's, 1 = best, 0 for the root
    reason: list[str]
    beams: list[tuple[int, ...]]  # that run through it


class PickPicture(TypedDict):
    """The pick that ended the step and is the next root."""

    node: int  # whose pick it is
    token: int
    label: str
    hex: str
    base: MaybeNumber
    rank: int
    reason: str


class BeamPicture(TypedDict):
    """One row of the beams table."""

    b: int  # beam
    logp: MaybeNumber  # the drafter's of the whole beam, without noise
    nodes: tuple[int, ...]  # along the beam, without the root
    accepted: int  # its leading tokens that the base model accepted


class StepPicture(TypedDict):
    """One step: tree, beams, mask, verdict, times."""

    index: int
    position: int  # committed tokens before the step
    nodes: NodeColumns
    pick: PickPicture | None
    path: tuple[int, ...]  # accepted nodes, the root first
    beams: list[BeamPicture]
    mask: tuple[tuple[int, ...], ...]  # node -> the tree nodes it attends to, itself last
    saving: str  # what merging saved, or what the budget left
    verdict: str
    ms: StageTimes


class HeadPicture(TypedDict):
    """What ran, with what settings, on what prompt."""

    run: str
    created: str
    base: str
    baseParameters: int
    drafter: str
    drafterParameters: int
    device: str
    dtype: str
    engine: str
    kernels: str
    exact: bool
    width: int
    length: int
    nodes: str  # budget: a number, auto, or beams for none
    copyTail: bool
    maxNewTokens: int
    temperature: float
    topK: int
    topP: float
    seed: int
    race: bool
    chatTemplate: bool
    messages: list[tuple[str, str]]  # (role, content)
    promptTokens: int


PositionItem = tuple[int, int, int]  # (depth, steps that accepted it, steps that drafted it)
TextItem = tuple[str, OriginCode, int]  # (text, origin, step that emitted it; -1 for the first token)
StripItem = tuple[int, int, int]  # (accepted drafted tokens, drafted nodes, emitted tokens)
TextItems = TypedDict("TextItems", {"from": int, "items": list[TextItem]})  # what stands from that place on
StripItems = TypedDict("StripItems", {"from": int, "items": list[StripItem]})  # by step, from that place on


class LaneFigures(TypedDict):
    """One lane."""

    tokens: int
    clock: MaybeNumber  # ms
    rate: MaybeNumber  # tokens per second


class AdvicePicture(TypedDict):
    """A beam shape that would have won where this run did not."""

    width: int
    length: int
    nodes: str  # budget: a number, auto, or beams for none
    speedup: MaybeNumber  # estimated
    words: str


class EquationPicture(TypedDict):
    """Tokens per step / cost of a step in plain steps = speed-up."""

    tokensPerStep: MaybeNumber
    cost: MaybeNumber  # of a step in plain steps; null without a plain lane, and so are the next three
    draft: MaybeNumber  # of that, the drafter's
    nodes: MaybeNumber  # of that, what more nodes than one add; below 0 where noise outweighs it
    speedup: MaybeNumber
    verdict: Verdict | None
    settled: bool  # enough steps to mean something
    words: str
    advice: AdvicePicture | None


class Figures(TypedDict):
    """The run in figures."""

    redrafter: LaneFigures
    plain: LaneFigures | None
    promptMs: MaybeNumber
    speedup: MaybeNumber
    speedupFastest: MaybeNumber
    fastestDtype: str | None
    tokensPerStep: MaybeNumber
    steps: int
    stageMs: StageTimes
    drafterShare: MaybeNumber
    meanNodes: MaybeNumber
    saving: MaybeNumber
    peakMemory: int | None  # bytes
    identical: bool | None
    parity: str
    firstDifference: int | None  # index of the first new token that differs
    equation: EquationPicture | None  # null before the first step
    finish: str | None
    sources: list[SourceItem]  # where each of the page's numbers comes from


class Rates(TypedDict):
    """Tokens per second along the run: (the lane's own time in ms, rate)."""

    redrafter: list[tuple[MaybeNumber, MaybeNumber]]
    plain: list[tuple[MaybeNumber, MaybeNumber]]


class Replay(TypedDict):
    """When each lane had written how much: (lane clock in ms, tokens)."""

    redrafter: list[tuple[MaybeNumber, int]]
    plain: list[tuple[MaybeNumber, int]]


class RunPicture(TypedDict):
    """A run as far as its records go."""

    steps: int
    text: TextItems
    plainText: TextItems
    figures: Figures
    rates: Rates
    positions: list[PositionItem]
    histogram: list[int]  # steps by accepted drafted tokens
    strip: StripItems
    replay: NotRequired[Replay]  # of a whole run


class TracePicture(RunPicture):
    """A trace: what ran, how it went, and its newest step."""

    head: HeadPicture
    step: StepPicture | None  # null before there is one
    complete: bool  # it has its footer


class MeasurePicture(TypedDict):
    """One heat map."""

    key: Measure
    name: str
    unit: str
    up: bool  # higher is better
    values: list[list[MaybeNumber]]  # [widths][lengths], null where nothing is known yet
    spans: list[list[tuple[float, float] | None]]  # the same, least and most of a cell's runs; empty for most measures


class SurfacePicture(TypedDict):
    """Heat maps over beam shapes."""

    widths: tuple[int, ...]
    lengths: tuple[int, ...]
    best: tuple[int, int] | None  # the fastest (width, length), where it leads by more than noise
    done: int
    total: int
    words: str
    warning: str
    measures: list[MeasurePicture]


class PairPicture(TypedDict):
    """The loaded pair as cards."""

    base: str
    drafter: str | None
    device: str
    dtype: str
    engine: str
    kernels: str
    chatTemplate: bool
    width: int  # of the beam shape that pays best here, taken where nobody chose one
    length: int
    baseCard: list[Fact]
    drafterCard: list[Fact] | None
    cardText: str  # Markdown
    expect: str
    training: str  # the command that trains a drafter for this base model; empty for a page that may not know its place


class StatusPicture(TypedDict):
    """How far the pair is, and what it is."""

    state: PairState
    stage: str
    done: float  # share of the whole
    message: str
    error: str
    revision: int  # grows with every loaded pair
    pair: PairPicture | None


class FailedFrame(TypedDict):
    """Work that could not begin."""

    kind: Literal["run", "sweep"]
    key: str
    state: Literal["failed"]
    message: str


class RunState(TypedDict):
    """A run that has no trace yet, or what every frame of one tells."""

    kind: Literal["run"]
    key: str  # empty before the run has a trace
    state: WorkState
    message: str
    position: int  # runs before this one in the line
    again: str  # key of the recorded run that this one makes again; empty for a run of its own


class RunFrame(RunState, TracePicture):
    """A run while it is made, or whole."""


class SweepFrame(TypedDict):
    """A sweep while it is measured."""

    kind: Literal["sweep"]
    state: WorkState
    stopped: bool
    position: int  # runs before this one in the line
    message: str
    surface: SurfacePicture | None


class Hello(TypedDict):
    """The first message of a page."""

    kind: Literal["hello"]
    status: StatusPicture
    examples: list[tuple[str, str]]  # (key, name)
    example: RunFrame | None
    glossary: list[tuple[str, str]]  # (word, meaning)
    tour: list[tuple[ViewName, str, str, str]]  # (view, data-tour mark, title, words)


class Said(TypedDict):
    """A sentence for the person."""

    kind: Literal["said"]
    tone: Literal["error", "info"]
    message: str


class Loading(TypedDict):
    """The answer to this page's own wish for another pair."""

    kind: Literal["loading"]
    status: StatusPicture


Message = Hello | Said | Loading | RunState | RunFrame | SweepFrame | FailedFrame


class Failure(TypedDict):
    """What a call answers when it cannot do what was asked."""

    error: str


class Download(TypedDict):
    """A trace as JSON Lines."""

    text: str


class Forgotten(TypedDict):
    """A trace the server no longer keeps."""

    forgotten: bool


class Exported(TypedDict):
    """A run in one of the export formats."""

    name: str  # of the file
    mediaType: str
    base64: str


class ChartPicture(TypedDict):
    """A chart and the table that says the same."""

    title: str
    figure: str  # JSON of a Plotly figure
    columns: list[str]
    rows: list[list[str]]


class ComparePicture(ChartPicture):
    """Two runs: the chart, its table, and what differs in words."""

    words: list[str]


class ClaimPicture(TypedDict):
    """One thing that a run and the same run made again both say."""

    what: str
    agrees: bool | None  # null: there was nothing to compare
    words: str


class MeetingPicture(TypedDict):
    """Two steps that start at the same place of the same text."""

    at: int  # new tokens written before either
    left: int  # index of the step
    right: int
    sameTree: bool
    samePicks: bool


class SidesPicture(TypedDict):
    """Two runs side by side."""

    samePrompt: bool
    firstDifference: int | None  # index of the first new token that differs; null where one text begins the other
    claims: list[ClaimPicture]
    expectation: str  # whether a difference would be a surprise
    words: list[str]  # what is the same and what is not
    differences: list[tuple[str, str, str]]  # (setting, first, second)
    columns: list[str]
    rows: list[list[str]]  # figures in pairs
    sources: list[tuple[str, str, str]]  # (figure, where the first run's comes from, where the second's)
    meetings: list[MeetingPicture]


class HonestyPicture(ChartPicture):
    """The drafter over one run or several: the chart, its table, and what it says."""

    words: list[str]


class PlotCode(TypedDict):
    """The chart library."""

    code: str
