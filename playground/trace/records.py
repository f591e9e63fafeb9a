"""The records of a run: what happened in every step, in plain Python, frozen once made.

Everything on screen is drawn from these records and nothing else. This is their one description: validation and the
JSON Schema follow from the fields' types and comments, so a trailing comment is what a reader of the schema is told.
A record without a default for a field asks for that key; fields added later have one, so that older traces stay
readable. No torch, no tokenizer, no I/O. Token ids are ints; the bytes of every id that a record mentions stand in its
`token_bytes`, since byte-level pieces are not valid UTF-8 alone.
One alphabet: W beam width, L beam length, N nodes; node 0 is the root; -1 marks an entry that stands for nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Final, Literal

from playground.config import (
    MAX_BEAM_LENGTH,
    MAX_BEAM_WIDTH,
    MAX_NEW_TOKENS,
    MAX_NODES,
    MAX_SEED,
    MAX_TEMPERATURE,
    MAX_TOP_K,
    CostCurve,
    Role,
)
from playground.trace.fields import (
    Count,
    Limits,
    LogProbability,
    MaybeNode,
    MaybeToken,
    Ms,
    Node,
    Number,
    Pattern,
    Token,
    TokenBytes,
)
from playground.trace.info import DrafterInfo, ModelInfo

SCHEMA: Final = "redrafter-trace"
SCHEMA_VERSION = "1.2"

Lane = Literal["redrafter", "plain"]
FinishReason = Literal["eos", "length", "window", "stopped"]
NodeOrigin = Literal["root", "beam", "copy"]
Detail = Literal["full", "light"]
Width = Annotated[int, Limits(1, MAX_BEAM_WIDTH)]
Length = Annotated[int, Limits(1, MAX_BEAM_LENGTH)]


@dataclass(frozen=True)
class RunSettings:
    """What the person asked for."""

    beam_width: Width
    beam_length: Length
    max_new_tokens: Annotated[int, Limits(1, MAX_NEW_TOKENS)]
    temperature: Annotated[float, Limits(0, MAX_TEMPERATURE)]  # 0 is greedy
    top_k: Annotated[int, Limits(0, MAX_TOP_K)]  # 0 keeps every token
    top_p: Annotated[float, Limits(above=0, high=1)]  # 1 keeps every token
    seed: Annotated[int, Limits(0, MAX_SEED)]
    race: bool  # the plain lane ran too
    chat_template: bool
    nodes: Annotated[int, Limits(2, MAX_NODES)] | Literal["auto"] | None = None  # budget; null: the surviving beams
    copy_tail: bool = False  # under a budget, what followed an earlier match in the text may join the tree


@dataclass(frozen=True)
class Header:
    """First record of a trace."""

    run_id: str
    created: str  # ISO 8601, UTC
    base: ModelInfo
    drafter: DrafterInfo
    device: str
    dtype: str
    engine: str  # "eager", "captured" or "native"
    kernels: str  # "reference", "triton", or "native" and its instruction set
    exact: bool  # both lanes equal bit for bit
    versions: Mapping[str, str]
    settings: RunSettings
    messages: tuple[tuple[Role, str], ...]  # (role, content)
    prompt_ids: tuple[Token, ...]
    token_bytes: TokenBytes  # of prompt_ids
    schema: Literal["redrafter-trace"] = SCHEMA
    schema_version: Annotated[str, Pattern(r"^1\.[0-9]+$")] = SCHEMA_VERSION
    costs: CostCurve | None = None  # by which budgets were chosen step by step; null: 16 nodes each
    likelihood_change: Number | None = None  # of a bundled text against float32, +0.01 is 1% better; null: not measured
    detail: Detail = "full"  # "light": steps have neither beams nor candidates that were not sent


@dataclass(frozen=True)
class PromptRecord:
    """A lane has read the prompt and picked its first token, which is the first root."""

    lane: Lane
    tokens: Count
    ms: Ms
    first_root: Token
    log_probability: LogProbability  # of first_root under the base model, temperature 1
    token_bytes: TokenBytes


@dataclass(frozen=True)
class BeamsRecord:
    """The draft: W beams of L tokens each, best score first."""

    tokens: tuple[tuple[MaybeToken, ...], ...]  # [W][L], -1 invalid
    log_probabilities: tuple[tuple[LogProbability, ...], ...]  # [W][L], drafter's, 0.0 where invalid
    scores: tuple[Number, ...]  # [W], sum along the beam, noise of sampling included; -1e30 where invalid

    @property
    def width(self) -> int:
        return len(self.tokens)

    @property
    def length(self) -> int:
        return len(self.tokens[0]) if self.tokens else 0


@dataclass(frozen=True)
class TreeRecord:
    """The tree: numbered best first under a budget, beam by beam else; a parent stands before its children."""

    token: tuple[Token, ...]  # [N], token[0] is the root
    parent: tuple[MaybeNode, ...]  # [N], parent[0] == -1
    depth: tuple[Count, ...]  # [N], depth[0] == 0
    node_of: tuple[tuple[MaybeNode, ...], ...]  # [W][L], -1 where the beam's token is no node
    log_probability: tuple[LogProbability, ...] = ()  # [N] drafter's under the parent, of a copy its chance; 0.0 root
    origin: tuple[NodeOrigin, ...] = ()  # [N] "copy": no beam drafted it, it repeats what followed an earlier match
    copied: tuple[Count, ...] = ()  # [N] how deep on what followed an earlier match, drafted or not; 0 where it is not

    @property
    def nodes(self) -> int:
        return len(self.token)


@dataclass(frozen=True)
class UnsentRecord:
    """Candidates that were scored but not sent, best first: the first 16, and those that were picked all the same."""

    token: tuple[Token, ...]  # [U]
    parent: tuple[MaybeNode, ...]  # [U] -1 where the parent was not sent either
    depth: tuple[Count, ...]  # [U]
    score: tuple[Number, ...]  # [U] along the path, noise of sampling included
    total: Count  # candidates that were scored, sent or not


@dataclass(frozen=True)
class Pick:
    """The base model's own next token at a node of the accepted path."""

    node: Node
    token: Token
    log_probability: LogProbability  # raw, temperature 1, no filter
    rank: Count  # 1 = the base model's most probable token; above 1 only when sampling


@dataclass(frozen=True)
class StageMs:
    """Milliseconds of one step, by stage."""

    draft: Ms
    tree: Ms
    verify: Ms
    accept: Ms
    commit: Ms

    @property
    def total(self) -> float:
        return self.draft + self.tree + self.verify + self.accept + self.commit


@dataclass(frozen=True)
class StepRecord:
    """One step of recurrent drafting."""

    index: Count  # from 0
    position: Count  # n, committed tokens before the step; the root stands at position n
    beams: BeamsRecord
    tree: TreeRecord
    log_probability: tuple[LogProbability, ...]  # [N] base model's, of each node under its parent; 0.0 for the root
    rank: tuple[Count, ...]  # [N] base model's, of each node's token under its parent, 1 = best; 0 for the root
    picks: tuple[Pick, ...]  # along the path, one for each of its nodes unless it ends in end-of-sequence
    path: tuple[Node, ...]  # accepted nodes, the root (0) first
    emitted: tuple[Token, ...]  # accepted drafted tokens and the next root, after every cut
    next_root: Token | None  # null when the step ended the run
    ms: StageMs
    clock_ms: Ms  # the lane's own clock after this step, prompt excluded
    token_bytes: TokenBytes
    budget: Count | None = None  # nodes there might have been, the root included; null: the surviving beams, all
    unsent: UnsentRecord | None = None  # null where the surviving beams are sent, all of them

    @property
    def accepted(self) -> int:
        """Accepted drafted tokens before any cut, 0..L, or more with a copy tail."""
        return len(self.path) - 1

    @property
    def beam_slots(self) -> int:
        """Tokens the beams hold before equal prefixes are merged, W x L."""
        return self.beams.width * self.beams.length


@dataclass(frozen=True)
class PlainRecord:
    """One token of the plain lane."""

    index: Count  # from 0; token 0 came from the prompt's forward
    token: Token
    log_probability: LogProbability
    ms: Ms
    clock_ms: Ms  # the lane's own clock after this token, prompt excluded
    token_bytes: TokenBytes


@dataclass(frozen=True)
class ParityRecord:
    """Whether the two lanes wrote the same text."""

    identical: bool | None  # null where the plain lane did not finish
    compared: Count  # tokens compared
    first_difference: Count | None  # index of the first new token that differs
    redrafter_token: Token | None = None
    plain_token: Token | None = None
    gap: Number | None = None  # plain lane's difference between its two best (noised, if sampling) logits there


@dataclass(frozen=True)
class Summary:
    """The run in figures. Names are vLLM's where it has one. Rates exclude prompt processing."""

    new_tokens: Count
    tokens_per_step: Number
    redrafter_tokens_per_second: Number
    plain_tokens_per_second: Number | None
    speedup: Number | None  # over the plain lane of this run
    speedup_over_fastest_plain: Number | None  # over the fastest plain decoding of these weights in any dtype on offer
    fastest_plain_dtype: str | None
    drafter_share: Number  # draft ms / all ms of the lane
    stage_ms: StageMs  # sums over the run
    prompt_ms: Ms
    mean_acceptance_length: Number  # counts the bonus token
    draft_acceptance_rate: Number
    acceptance_histogram: tuple[Count, ...]  # [L + 1], or longer with a copy tail: steps by accepted drafted tokens
    num_spec_steps: Count
    num_accepted_draft_tokens: Count
    num_draft_tokens: Count  # sum of N - 1
    peak_memory_bytes: Count


@dataclass(frozen=True)
class Footer:
    """Last record; a trace without one was cut off."""

    finish_reason: FinishReason
    summary: Summary
    text: str
    sentence: str  # the verdict in words, also when drafting was slower


@dataclass(frozen=True)
class SweepCell:
    """One beam shape of a sweep: the middle of its runs by rate, and how far its runs lie apart."""

    width: Width
    length: Length
    tokens_per_step: Number
    tokens_per_second: Number
    speedup: Number | None
    mean_nodes: Number
    step_ms: StageMs  # mean of a step
    new_tokens: Count
    identical: bool | None  # in every run
    repeats: Count = 1  # runs of this shape
    speedup_least: Number | None = None  # over its runs; `speedup` is their median
    speedup_most: Number | None = None


@dataclass(frozen=True)
class SweepRecord:
    """A sweep over beam shapes on one prompt; stands beside runs, not in them."""

    widths: tuple[Width, ...]
    lengths: tuple[Length, ...]
    cells: tuple[SweepCell, ...]  # those measured so far, in order
    plain_tokens_per_second: Number | None
    prompt: str
    finished: bool
    repeats: Count = 1  # runs that every shape gets
    plain_spread: Number | None = None  # of plain decoding's rates over all runs, (most - least) / median


Record = Header | PromptRecord | StepRecord | PlainRecord | ParityRecord | Footer

# What a line names under "type": the records of a run, and all there are.
RECORD_TYPES: Mapping[str, type[Record]] = {
    "header": Header,
    "prompt": PromptRecord,
    "step": StepRecord,
    "plain": PlainRecord,
    "parity": ParityRecord,
    "footer": Footer,
}
LINE_TYPES: Mapping[str, type[Record | SweepRecord]] = {**RECORD_TYPES, "sweep": SweepRecord}
