// Written by `python -m scripts.page_types` from playground/views/page.py: change it there.

/** root, accepted, rejected, never reached */
export type StatusCode = "r" | "a" | "x" | "u";

/** root, drafted by a beam, copied from earlier in the text */
export type NodeCode = "r" | "b" | "c";

/** picked from the prompt, accepted, picked, plain lane */
export type OriginCode = "p" | "a" | "k" | "n";

export type WorkState = "queued" | "prompt" | "running" | "done" | "failed";

export type PairState = "idle" | "loading" | "ready" | "failed";

export type ViewName = "live" | "steps" | "mask" | "race" | "shapes" | "traces" | "learn";

export type Verdict = "win" | "even" | "loss";

export type Measure = "speedup" | "rate" | "tokens_per_step" | "nodes" | "step_ms" | "draft_ms" | "verify_ms";

export type MaybeNumber = number | null;

export type StageTimes = [MaybeNumber, MaybeNumber, MaybeNumber, MaybeNumber, MaybeNumber];

/** (what, value) */
export type Fact = [string, string];

export type SourceKind = "measured" | "computed" | "predicted" | "set";

/** (figure, where it comes from, how) */
export type SourceItem = [string, SourceKind, string];

/** The nodes of a tree, a column a list; node 0 is the root. */
export interface NodeColumns {
  /** -1 for the root */
  parent: number[];
  depth: number[];
  token: number[];
  label: string[];
  hex: string[];
  /** one StatusCode a node */
  status: string;
  /** one NodeCode a node */
  origin: string;
  /** the drafter's probability, of a copy its measured chance; null for the root */
  draft: MaybeNumber[];
  /** the base model's under the node's parent, null for the root */
  base: MaybeNumber[];
  /** the base model's, 1 = best, 0 for the root */
  rank: number[];
  reason: string[];
  /** that run through it */
  beams: number[][];
}

/** The pick that ended the step and is the next root. */
export interface PickPicture {
  /** whose pick it is */
  node: number;
  token: number;
  label: string;
  hex: string;
  base: MaybeNumber;
  rank: number;
  reason: string;
}

/** One row of the beams table. */
export interface BeamPicture {
  /** beam */
  b: number;
  /** the drafter's of the whole beam, without noise */
  logp: MaybeNumber;
  /** along the beam, without the root */
  nodes: number[];
  /** its leading tokens that the base model accepted */
  accepted: number;
}

/** One step: tree, beams, mask, verdict, times. */
export interface StepPicture {
  index: number;
  /** committed tokens before the step */
  position: number;
  nodes: NodeColumns;
  pick: PickPicture | null;
  /** accepted nodes, the root first */
  path: number[];
  beams: BeamPicture[];
  /** node -> the tree nodes it attends to, itself last */
  mask: number[][];
  /** what merging saved, or what the budget left */
  saving: string;
  verdict: string;
  ms: StageTimes;
}

/** What ran, with what settings, on what prompt. */
export interface HeadPicture {
  run: string;
  created: string;
  base: string;
  baseParameters: number;
  drafter: string;
  drafterParameters: number;
  device: string;
  dtype: string;
  engine: string;
  kernels: string;
  exact: boolean;
  width: number;
  length: number;
  /** budget: a number, auto, or beams for none */
  nodes: string;
  copyTail: boolean;
  maxNewTokens: number;
  temperature: number;
  topK: number;
  topP: number;
  seed: number;
  race: boolean;
  chatTemplate: boolean;
  /** (role, content) */
  messages: [string, string][];
  promptTokens: number;
}

/** (depth, steps that accepted it, steps that drafted it) */
export type PositionItem = [number, number, number];

/** (text, origin, step that emitted it; -1 for the first token) */
export type TextItem = [string, OriginCode, number];

/** (accepted drafted tokens, drafted nodes, emitted tokens) */
export type StripItem = [number, number, number];

/** what stands from that place on */
export interface TextItems {
  from: number;
  items: TextItem[];
}

/** by step, from that place on */
export interface StripItems {
  from: number;
  items: StripItem[];
}

/** One lane. */
export interface LaneFigures {
  tokens: number;
  /** ms */
  clock: MaybeNumber;
  /** tokens per second */
  rate: MaybeNumber;
}

/** A beam shape that would have won where this run did not. */
export interface AdvicePicture {
  width: number;
  length: number;
  /** budget: a number, auto, or beams for none */
  nodes: string;
  /** estimated */
  speedup: MaybeNumber;
  words: string;
}

/** Tokens per step / cost of a step in plain steps = speed-up. */
export interface EquationPicture {
  tokensPerStep: MaybeNumber;
  /** of a step in plain steps; null without a plain lane, and so are the next three */
  cost: MaybeNumber;
  /** of that, the drafter's */
  draft: MaybeNumber;
  /** of that, what more nodes than one add; below 0 where noise outweighs it */
  nodes: MaybeNumber;
  speedup: MaybeNumber;
  verdict: Verdict | null;
  /** enough steps to mean something */
  settled: boolean;
  words: string;
  advice: AdvicePicture | null;
}

/** The run in figures. */
export interface Figures {
  redrafter: LaneFigures;
  plain: LaneFigures | null;
  promptMs: MaybeNumber;
  speedup: MaybeNumber;
  speedupFastest: MaybeNumber;
  fastestDtype: string | null;
  tokensPerStep: MaybeNumber;
  steps: number;
  stageMs: StageTimes;
  drafterShare: MaybeNumber;
  meanNodes: MaybeNumber;
  saving: MaybeNumber;
  /** bytes */
  peakMemory: number | null;
  identical: boolean | null;
  parity: string;
  /** index of the first new token that differs */
  firstDifference: number | null;
  /** null before the first step */
  equation: EquationPicture | null;
  finish: string | null;
  /** where each of the page's numbers comes from */
  sources: SourceItem[];
}

/** Tokens per second along the run: (the lane's own time in ms, rate). */
export interface Rates {
  redrafter: [MaybeNumber, MaybeNumber][];
  plain: [MaybeNumber, MaybeNumber][];
}

/** When each lane had written how much: (lane clock in ms, tokens). */
export interface Replay {
  redrafter: [MaybeNumber, number][];
  plain: [MaybeNumber, number][];
}

/** A run as far as its records go. */
export interface RunPicture {
  steps: number;
  text: TextItems;
  plainText: TextItems;
  figures: Figures;
  rates: Rates;
  positions: PositionItem[];
  /** steps by accepted drafted tokens */
  histogram: number[];
  strip: StripItems;
  /** of a whole run */
  replay?: Replay;
}

/** A trace: what ran, how it went, and its newest step. */
export interface TracePicture extends RunPicture {
  head: HeadPicture;
  /** null before there is one */
  step: StepPicture | null;
  /** it has its footer */
  complete: boolean;
}

/** One heat map. */
export interface MeasurePicture {
  key: Measure;
  name: string;
  unit: string;
  /** higher is better */
  up: boolean;
  /** [widths][lengths], null where nothing is known yet */
  values: MaybeNumber[][];
  /** the same, least and most of a cell's runs; empty for most measures */
  spans: ([number, number] | null)[][];
}

/** Heat maps over beam shapes. */
export interface SurfacePicture {
  widths: number[];
  lengths: number[];
  /** the fastest (width, length), where it leads by more than noise */
  best: [number, number] | null;
  done: number;
  total: number;
  words: string;
  warning: string;
  measures: MeasurePicture[];
}

/** The loaded pair as cards. */
export interface PairPicture {
  base: string;
  drafter: string | null;
  device: string;
  dtype: string;
  engine: string;
  kernels: string;
  chatTemplate: boolean;
  /** of the beam shape that pays best here, taken where nobody chose one */
  width: number;
  length: number;
  baseCard: Fact[];
  drafterCard: Fact[] | null;
  /** Markdown */
  cardText: string;
  expect: string;
  /** the command that trains a drafter for this base model; empty for a page that may not know its place */
  training: string;
}

/** How far the pair is, and what it is. */
export interface StatusPicture {
  state: PairState;
  stage: string;
  /** share of the whole */
  done: number;
  message: string;
  error: string;
  /** grows with every loaded pair */
  revision: number;
  pair: PairPicture | null;
}

/** Work that could not begin. */
export interface FailedFrame {
  kind: "run" | "sweep";
  key: string;
  state: "failed";
  message: string;
}

/** A run that has no trace yet, or what every frame of one tells. */
export interface RunState {
  kind: "run";
  /** empty before the run has a trace */
  key: string;
  state: WorkState;
  message: string;
  /** runs before this one in the line */
  position: number;
  /** key of the recorded run that this one makes again; empty for a run of its own */
  again: string;
}

/** A run while it is made, or whole. */
export interface RunFrame extends RunState, TracePicture {
}

/** A sweep while it is measured. */
export interface SweepFrame {
  kind: "sweep";
  state: WorkState;
  stopped: boolean;
  /** runs before this one in the line */
  position: number;
  message: string;
  surface: SurfacePicture | null;
}

/** The first message of a page. */
export interface Hello {
  kind: "hello";
  status: StatusPicture;
  /** (key, name) */
  examples: [string, string][];
  example: RunFrame | null;
  /** (word, meaning) */
  glossary: [string, string][];
  /** (view, data-tour mark, title, words) */
  tour: [ViewName, string, string, string][];
}

/** A sentence for the person. */
export interface Said {
  kind: "said";
  tone: "error" | "info";
  message: string;
}

/** The answer to this page's own wish for another pair. */
export interface Loading {
  kind: "loading";
  status: StatusPicture;
}

export type Message = Hello | Said | Loading | RunState | RunFrame | SweepFrame | FailedFrame;

/** What a call answers when it cannot do what was asked. */
export interface Failure {
  error: string;
}

/** A trace as JSON Lines. */
export interface Download {
  text: string;
}

/** A trace the server no longer keeps. */
export interface Forgotten {
  forgotten: boolean;
}

/** A run in one of the export formats. */
export interface Exported {
  /** of the file */
  name: string;
  mediaType: string;
  base64: string;
}

/** A chart and the table that says the same. */
export interface ChartPicture {
  title: string;
  /** JSON of a Plotly figure */
  figure: string;
  columns: string[];
  rows: string[][];
}

/** Two runs: the chart, its table, and what differs in words. */
export interface ComparePicture extends ChartPicture {
  words: string[];
}

/** One thing that a run and the same run made again both say. */
export interface ClaimPicture {
  what: string;
  /** null: there was nothing to compare */
  agrees: boolean | null;
  words: string;
}

/** Two steps that start at the same place of the same text. */
export interface MeetingPicture {
  /** new tokens written before either */
  at: number;
  /** index of the step */
  left: number;
  right: number;
  sameTree: boolean;
  samePicks: boolean;
}

/** Two runs side by side. */
export interface SidesPicture {
  samePrompt: boolean;
  /** index of the first new token that differs; null where one text begins the other */
  firstDifference: number | null;
  claims: ClaimPicture[];
  /** whether a difference would be a surprise */
  expectation: string;
  /** what is the same and what is not */
  words: string[];
  /** (setting, first, second) */
  differences: [string, string, string][];
  columns: string[];
  /** figures in pairs */
  rows: string[][];
  /** (figure, where the first run's comes from, where the second's) */
  sources: [string, string, string][];
  meetings: MeetingPicture[];
}

/** The drafter over one run or several: the chart, its table, and what it says. */
export interface HonestyPicture extends ChartPicture {
  words: string[];
}

/** The chart library. */
export interface PlotCode {
  code: string;
}

