"""What a person may set: validated when built, frozen afterwards.

Knows nothing of torch, models or the screen. Every error names the value, the limit and the remedy.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, get_args

MAX_BEAM_WIDTH = 64
MAX_BEAM_LENGTH = 16
MAX_NODES = 256  # of a node budget, the root included
AUTO_NODES = 64  # the most that a budget chosen step by step takes
DEFAULT_NODES = 16  # what it takes where nothing is known of the machine's costs
SWEEP_REPEATS = 3  # races of every beam shape: the fewest that have a median
COPY_TOKENS = 16  # of a copy tail at most
MAX_NEW_TOKENS = 32_768
MAX_TEMPERATURE = 5.0
MAX_TOP_K = 1_000_000
MAX_SEED = 2**32 - 1
MAX_THREADS = 1024
MAX_PROMPT_CHARACTERS = 2_000_000  # of a chat, all turns together

DtypeName = Literal["auto", "int8", "float32", "bfloat16", "float16", "float64"]
NodeBudget = int | Literal["auto"] | None
DeviceMap = str | dict[str, int | str]
EngineName = Literal["auto", "native", "eager", "captured"]
KernelsName = Literal["auto", "triton", "reference"]
Role = Literal["system", "user", "assistant"]

DEVICE_MAPS = ("auto", "balanced", "balanced_low_0", "sequential")
"""Names that transformers takes for a device map; accelerate then places the modules itself."""


class PlaygroundError(ValueError):
    """A sentence for the person at the screen: the value, the limit and the remedy."""


def shown(value: object) -> str:
    """A value as sentences show it: not longer than a line, and text that every screen can say."""
    try:
        text = repr(value)
    except ValueError:  # Python does not write out whole numbers of thousands of digits
        return "a number too long to show"
    text = text.encode("utf-8", "backslashreplace").decode()
    return text if len(text) <= 60 else text[:57] + "..."


def _is_small_number(text: str) -> bool:
    """Digits that `int` reads at once: it refuses thousands of them, and digits of other scripts mean nothing here."""
    return text.isascii() and text.isdecimal() and len(text) < 10


def _require_int(name: str, value: object, low: int, high: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise PlaygroundError(
            f"{name} is {shown(value)}, but must be a whole number from {low} to {high}. Choose a value in that range."
        )


@dataclass(frozen=True)
class BeamShape:
    """How a draft is searched, and how much of it is verified.

    Attributes:
        width: W, beams expanded together.
        length: L, drafted tokens of a beam; the root is not counted.
        nodes: the tree's budget N, the root included: the best of all tokens that the search scored. "auto" chooses it
            step by step, as many as pay. None is the paper's way: the surviving beams, all of them.
        copy_tail: under a budget, what followed an earlier match in the text may join the tree as well.
    """

    width: int = 8
    length: int = 5
    nodes: NodeBudget = "auto"
    copy_tail: bool = True

    def __post_init__(self) -> None:
        _require_int("Beam width", self.width, 1, MAX_BEAM_WIDTH)
        _require_int("Beam length", self.length, 1, MAX_BEAM_LENGTH)
        if self.nodes is None or self.nodes == "auto":
            return
        if isinstance(self.nodes, str):
            raise PlaygroundError(
                f"Nodes is {shown(self.nodes)}, but must be a whole number from 2 to {MAX_NODES}, auto, or beams. "
                "Choose one of them."
            )
        _require_int("Nodes", self.nodes, 2, MAX_NODES)

    @classmethod
    def parse(cls, text: str) -> BeamShape:
        """Undo `str`: '8x5' with a budget chosen step by step, '8x5@16', '8x5@auto' or '8x5@beams'.

        Raises:
            PlaygroundError: anything else.
        """
        sizes, at, nodes = text.strip().lower().partition("@")
        width, cross, length = sizes.partition("x")
        if not (cross and _is_small_number(width) and _is_small_number(length)):
            raise PlaygroundError(
                f"{shown(text)} is no beam shape. Write width x length, like 8x5, or 8x5@16 for 16 nodes."
            )
        return cls(int(width), int(length), parse_nodes(nodes) if at else "auto")

    def __str__(self) -> str:
        return f"{self.width}x{self.length}@{nodes_name(self.nodes)}"

    @property
    def slots(self) -> int:
        """Tokens the beams hold before equal prefixes are merged, W x L."""
        return self.width * self.length

    @property
    def max_nodes(self) -> int:
        """Nodes of the largest tree there can be, the root included."""
        if self.nodes is None:
            return self.slots + 1
        return AUTO_NODES if isinstance(self.nodes, str) else self.nodes

    @property
    def copy_tokens(self) -> int:
        """Tokens of the longest copy tail."""
        return min(COPY_TOKENS, self.max_nodes - 1) if self.nodes is not None and self.copy_tail else 0

    @property
    def depth(self) -> int:
        """How deep a tree may be."""
        return min(max(self.length, self.copy_tokens), self.max_nodes - 1)


def parse_nodes(text: str) -> NodeBudget:
    """A node budget in words: a number, auto, or beams for none.

    Raises:
        PlaygroundError: anything else.
    """
    plain = text.strip().lower()
    if plain == "auto":
        return "auto"
    if plain == "beams":
        return None
    if not _is_small_number(plain):
        raise PlaygroundError(
            f"Nodes is {shown(text)}, but must be a whole number from 2 to {MAX_NODES}, auto, or beams. "
            "Choose one of them."
        )
    return int(plain)


def nodes_name(nodes: NodeBudget) -> str:
    """Undo `parse_nodes`."""
    return "beams" if nodes is None else str(nodes)


@dataclass(frozen=True)
class CostCurve:
    """What a step costs on a machine, in milliseconds: measured at some node counts, straight lines between them."""

    nodes: tuple[int, ...]  # measured node counts, rising
    verify_ms: tuple[float, ...]  # one forward over so many nodes
    level_ms: float = 0.0  # one level of drafting, at the run's beam width
    fixed_ms: float = 0.0  # what a step costs beside drafting and verifying

    def __post_init__(self) -> None:
        rising = all(low < high for low, high in pairwise((0, *self.nodes)))
        if not self.nodes or not rising or len(self.nodes) != len(self.verify_ms):
            raise PlaygroundError(
                f"A cost curve has node counts {list(self.nodes)} and {len(self.verify_ms)} costs, but needs rising "
                "counts from 1 and a cost for each. Measure it again."
            )
        costs = (*self.verify_ms, self.level_ms, self.fixed_ms)
        if not all(math.isfinite(ms) and ms >= 0 for ms in costs) or self.verify_ms[0] <= 0:
            raise PlaygroundError(f"A cost curve has costs {list(costs)} ms, but none may be below 0. Measure again.")

    def verify(self, nodes: int) -> float:
        """Milliseconds of one forward over `nodes`; more nodes never count as cheaper, whatever was measured."""
        return max(self._between(count) for count in {nodes, *(one for one in self.nodes if one < nodes)})

    def step(self, nodes: int, levels: int) -> float:
        """Milliseconds of a step that drafts `levels` and verifies `nodes`."""
        return levels * self.level_ms + self.fixed_ms + self.verify(nodes)

    def _between(self, nodes: int) -> float:
        """On the line between the measured neighbours; beyond the last, on the last line."""
        if nodes <= self.nodes[0] or len(self.nodes) == 1:
            return self.verify_ms[0]
        after = next((at for at, count in enumerate(self.nodes) if count >= nodes), len(self.nodes) - 1)
        low, high = self.nodes[after - 1 : after + 1]
        start, end = self.verify_ms[after - 1 : after + 1]
        return start + (end - start) * (nodes - low) / (high - low)


@dataclass(frozen=True)
class Sampling:
    """How the base model picks its next token. Temperature 0 is greedy; top_k 0 and top_p 1 filter nothing."""

    temperature: float = 0.0
    top_k: int = 0
    top_p: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        temperature, top_p = self.temperature, self.top_p
        if not isinstance(temperature, int | float) or not 0.0 <= temperature <= MAX_TEMPERATURE:
            raise PlaygroundError(
                f"Temperature is {shown(temperature)}, but must be a number from 0 to {MAX_TEMPERATURE:g}. "
                "Use 0 for greedy decoding."
            )
        _require_int("Top-k", self.top_k, 0, MAX_TOP_K)
        if not isinstance(top_p, int | float) or math.isnan(top_p) or not 0.0 < top_p <= 1.0:
            raise PlaygroundError(
                f"Top-p is {shown(top_p)}, but must be above 0 and at most 1. Use 1 to keep every token."
            )
        _require_int("Seed", self.seed, 0, MAX_SEED)

    @property
    def greedy(self) -> bool:
        return self.temperature == 0.0


@dataclass(frozen=True)
class EngineOptions:
    """Where and how a pair runs. `auto` is resolved when the session opens, never later."""

    device: str = "auto"
    dtype: DtypeName = "auto"
    engine: EngineName = "auto"
    kernels: KernelsName = "auto"
    exact: bool = False
    threads: int | None = None  # None: one a core (native), or one a core that is free (eager)
    device_map: str | None = None  # over several devices: one of DEVICE_MAPS, or JSON that names each module's place

    def __post_init__(self) -> None:
        if self.device_map is not None:
            parse_device_map(self.device_map)
        if self.threads is not None:
            _require_int("Threads", self.threads, 1, MAX_THREADS)
        for name, value, allowed in (
            ("Dtype", self.dtype, get_args(DtypeName)),
            ("Engine", self.engine, get_args(EngineName)),
            ("Kernels", self.kernels, get_args(KernelsName)),
        ):
            if value not in allowed:
                raise PlaygroundError(f"{name} is {shown(value)}, but must be one of: {', '.join(allowed)}.")


def parse_device_map(text: str) -> DeviceMap:
    """A device map as transformers takes it: one of its names, or a JSON object from modules to places.

    Raises:
        PlaygroundError: neither.
    """
    if text in DEVICE_MAPS:
        return text
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = None
    places = list(found.values()) if isinstance(found, dict) else []
    if not places or not all(isinstance(place, int | str) and not isinstance(place, bool) for place in places):
        raise PlaygroundError(
            f"Device map is {shown(text)}, but must be one of {', '.join(DEVICE_MAPS)}, or a JSON object from module "
            'names to places, such as {"model.embed_tokens": 0, "model.layers": 1, "model.norm": 1, "lm_head": 1}.'
        )
    return dict(found)


@dataclass(frozen=True)
class Message:
    """One turn of a chat."""

    role: Role
    content: str

    def __post_init__(self) -> None:
        try:
            self.content.encode("utf-8")
        except UnicodeEncodeError as error:
            raise PlaygroundError(
                f"The {self.role} text is not UTF-8: character {error.start + 1:,} is a lone byte or half a character. "
                "Convert the text to UTF-8."
            ) from error


@dataclass(frozen=True)
class RunRequest:
    """One run: the chat so far (its last message is the prompt), the beam shape, the sampling, the race."""

    messages: tuple[Message, ...]
    shape: BeamShape = BeamShape()
    sampling: Sampling = Sampling()
    max_new_tokens: int = 128
    race: bool = True
    chat_template: bool = True

    def __post_init__(self) -> None:
        if not self.messages or not self.messages[-1].content.strip():
            raise PlaygroundError("The prompt is empty. Type at least one character, or choose a preset.")
        characters = sum(len(message.content) for message in self.messages)
        if characters > MAX_PROMPT_CHARACTERS:
            raise PlaygroundError(
                f"The chat has {characters:,} characters, but may have up to {MAX_PROMPT_CHARACTERS:,}. Shorten it."
            )
        _require_int("New tokens", self.max_new_tokens, 1, MAX_NEW_TOKENS)

    @property
    def prompt(self) -> str:
        return self.messages[-1].content
