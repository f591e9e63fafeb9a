"""The records of a run: what happened in every step, in plain Python.

Everything on screen is drawn from these records and nothing else. No torch, no tokenizer, no I/O:
`playground.export` writes and reads them. Token ids are ints; the bytes of every id that a record
mentions stand in its `token_bytes`, since byte-level pieces are not valid UTF-8 alone.
One alphabet: W beam width, L beam length, N nodes; node 0 is the root; -1 marks an entry that stands
for nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

SCHEMA = "redrafter-trace"
SCHEMA_VERSION = "1.0"
INVALID_SCORE = -1e30  # of a beam that stands for nothing

Lane = Literal["redrafter", "plain"]
FinishReason = Literal["eos", "length", "window", "stopped"]


@dataclass(frozen=True)
class ModelInfo:
    """The base model as it ran."""

    name: str
    family: str
    parameters: int
    layers: int
    hidden_size: int
    vocab_size: int
    window: int
    config_hash: str


@dataclass(frozen=True)
class DrafterInfo:
    """The drafter as it ran; `file_hash` is the SHA-256 of its weights file."""

    name: str
    parameters: int
    draft_vocabulary: int
    tied_head: bool
    file_hash: str
    config_hash: str


@dataclass(frozen=True)
class RunSettings:
    """What the person asked for."""

    beam_width: int
    beam_length: int
    max_new_tokens: int
    temperature: float
    top_k: int
    top_p: float
    seed: int
    race: bool
    chat_template: bool


@dataclass(frozen=True)
class Header:
    """First record of a trace."""

    run_id: str
    created: str  # ISO 8601, UTC
    base: ModelInfo
    drafter: DrafterInfo
    device: str
    dtype: str
    engine: str  # "eager" or "captured"
    kernels: str  # "reference" or "triton"
    exact: bool
    versions: Mapping[str, str]
    settings: RunSettings
    messages: tuple[tuple[str, str], ...]  # (role, content)
    prompt_ids: tuple[int, ...]
    token_bytes: Mapping[int, bytes]  # of prompt_ids
    schema: str = SCHEMA
    schema_version: str = SCHEMA_VERSION


@dataclass(frozen=True)
class PromptRecord:
    """A lane has read the prompt and picked its first token, which is the first root."""

    lane: Lane
    tokens: int
    ms: float
    first_root: int
    log_probability: float  # of first_root under the base model, temperature 1
    token_bytes: Mapping[int, bytes]


@dataclass(frozen=True)
class BeamsRecord:
    """The draft: W beams of L tokens each, best score first."""

    tokens: tuple[tuple[int, ...], ...]  # [W][L], -1 invalid
    log_probabilities: tuple[tuple[float, ...], ...]  # [W][L], drafter's, 0.0 where invalid
    scores: tuple[float, ...]  # [W], sum along the beam, noise of sampling included; INVALID_SCORE where invalid

    @property
    def width(self) -> int:
        return len(self.tokens)

    @property
    def length(self) -> int:
        return len(self.tokens[0]) if self.tokens else 0


@dataclass(frozen=True)
class TreeRecord:
    """The deduplicated prefix tree; nodes are numbered beam by beam, parents before children."""

    token: tuple[int, ...]  # [N], token[0] is the root
    parent: tuple[int, ...]  # [N], parent[0] == -1
    depth: tuple[int, ...]  # [N], depth[0] == 0
    node_of: tuple[tuple[int, ...], ...]  # [W][L], -1 invalid

    @property
    def nodes(self) -> int:
        return len(self.token)


@dataclass(frozen=True)
class Pick:
    """The base model's own next token at a node of the accepted path."""

    node: int
    token: int
    log_probability: float  # raw, temperature 1, no filter
    rank: int  # 1 = the base model's most probable token; above 1 only when sampling


@dataclass(frozen=True)
class StageMs:
    """Milliseconds of one step, by stage."""

    draft: float
    tree: float
    verify: float
    accept: float
    commit: float

    @property
    def total(self) -> float:
        return self.draft + self.tree + self.verify + self.accept + self.commit


@dataclass(frozen=True)
class StepRecord:
    """One step of recurrent drafting."""

    index: int  # from 0
    position: int  # n, committed tokens before the step; the root stands at position n
    beams: BeamsRecord
    tree: TreeRecord
    log_probability: tuple[float, ...]  # [N] base model's, of each node's token under its parent; 0.0 for the root
    rank: tuple[int, ...]  # [N] base model's, of each node's token under its parent, 1 = best; 0 for the root
    picks: tuple[Pick, ...]  # along the path, one for each of its nodes unless it ends in end-of-sequence
    path: tuple[int, ...]  # accepted nodes, the root (0) first
    emitted: tuple[int, ...]  # accepted drafted tokens and the next root, after every cut
    next_root: int | None  # None when the step ended the run
    ms: StageMs
    clock_ms: float  # the lane's own clock after this step, prompt excluded
    token_bytes: Mapping[int, bytes]

    @property
    def accepted(self) -> int:
        """Accepted drafted tokens, 0..L, before any cut."""
        return len(self.path) - 1

    @property
    def beam_slots(self) -> int:
        return self.beams.width * self.beams.length

    @property
    def saving(self) -> float:
        """Share of the beam slots that merging prefixes saved, 1 - (N - 1) / (W L)."""
        return 1.0 - (self.tree.nodes - 1) / self.beam_slots if self.beam_slots else 0.0


@dataclass(frozen=True)
class PlainRecord:
    """One token of the plain lane."""

    index: int  # from 0; token 0 came from the prompt's forward
    token: int
    log_probability: float
    ms: float
    clock_ms: float
    token_bytes: Mapping[int, bytes]


@dataclass(frozen=True)
class ParityRecord:
    """Whether the two lanes wrote the same text; None where the plain lane did not finish."""

    identical: bool | None
    compared: int  # tokens compared
    first_difference: int | None  # index of the first new token that differs
    redrafter_token: int | None = None
    plain_token: int | None = None
    gap: float | None = None  # plain lane's difference between its two best (noised, if sampling) logits there


@dataclass(frozen=True)
class Summary:
    """The run in figures. Names are vLLM's where it has one. Rates exclude prompt processing."""

    new_tokens: int
    tokens_per_step: float
    redrafter_tokens_per_second: float
    plain_tokens_per_second: float | None
    speedup: float | None  # over the plain lane of this run
    speedup_over_fastest_plain: float | None  # over the fastest plain decoding of these weights in any dtype on offer
    fastest_plain_dtype: str | None
    drafter_share: float  # draft ms / all ms of the lane
    stage_ms: StageMs  # sums over the run
    prompt_ms: float
    mean_acceptance_length: float  # counts the bonus token
    draft_acceptance_rate: float
    acceptance_histogram: tuple[int, ...]  # [L + 1], steps by accepted drafted tokens
    num_spec_steps: int
    num_accepted_draft_tokens: int
    num_draft_tokens: int  # sum of N - 1
    peak_memory_bytes: int


@dataclass(frozen=True)
class Footer:
    """Last record; a trace without one was cut off."""

    finish_reason: FinishReason
    summary: Summary
    text: str
    sentence: str  # the verdict in words, also when drafting was slower


@dataclass(frozen=True)
class SweepCell:
    """One measured beam shape of a sweep."""

    width: int
    length: int
    tokens_per_step: float
    tokens_per_second: float
    speedup: float | None
    mean_nodes: float
    step_ms: StageMs  # mean of a step
    new_tokens: int
    identical: bool | None


@dataclass(frozen=True)
class SweepRecord:
    """A sweep over beam shapes on one prompt; stands beside runs, not in them."""

    widths: tuple[int, ...]
    lengths: tuple[int, ...]
    cells: tuple[SweepCell, ...]  # those measured so far, in order
    plain_tokens_per_second: float | None
    prompt: str
    finished: bool


Record = Header | PromptRecord | StepRecord | PlainRecord | ParityRecord | Footer


@dataclass
class Trace:
    """A run as its records arrive; complete once `footer` stands."""

    header: Header
    prompts: list[PromptRecord] = field(default_factory=list)
    steps: list[StepRecord] = field(default_factory=list)
    plain: list[PlainRecord] = field(default_factory=list)
    parity: ParityRecord | None = None
    footer: Footer | None = None

    def add(self, record: Record) -> None:
        """Append a record that followed the header.

        Raises:
            ValueError: a second header.
        """
        match record:
            case PromptRecord():
                self.prompts.append(record)
            case StepRecord():
                self.steps.append(record)
            case PlainRecord():
                self.plain.append(record)
            case ParityRecord():
                self.parity = record
            case Footer():
                self.footer = record
            case Header():
                raise ValueError("A trace has one header.")

    @property
    def complete(self) -> bool:
        return self.footer is not None

    def prompt(self, lane: Lane) -> PromptRecord | None:
        return next((record for record in self.prompts if record.lane == lane), None)

    @property
    def redrafter_tokens(self) -> list[int]:
        """New tokens of the drafting lane, the first root first."""
        first = self.prompt("redrafter")
        head = [first.first_root] if first else []
        return head + [token for step in self.steps for token in step.emitted]
