"""What is loaded and how it runs: the models' cards, a session's, and how far loading is. Records no run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from playground.trace.fields import Count


@dataclass(frozen=True)
class ModelInfo:
    """The base model as it ran."""

    name: str
    family: str
    parameters: Count
    layers: Count
    hidden_size: Count
    vocab_size: Count
    window: Count  # tokens
    config_hash: str


@dataclass(frozen=True)
class DrafterInfo:
    """The drafter as it ran."""

    name: str
    parameters: Count
    draft_vocabulary: Count  # tokens it can draft
    tied_head: bool  # its head uses the base model's output rows
    file_hash: str  # SHA-256 of its weights file
    config_hash: str


@dataclass(frozen=True)
class SessionInfo:
    """The pair that a session holds and how it runs."""

    base: ModelInfo
    drafter: DrafterInfo | None
    device: str
    dtype: str
    engine: str
    kernels: str
    window: int  # tokens
    drafter_card: str  # Markdown, empty where there is none
    has_chat_template: bool
    versions: Mapping[str, str]
    notes: tuple[str, ...] = ()  # sentences on how it runs here
    likelihood_change: float | None = None  # of a bundled text against float32, +0.01 is 1% better; None: not measured
    training: str = ""  # the command that trains a drafter for this base model
    shape: str = "8x5@auto"  # the beam shape to use where nobody chose, as `BeamShape.parse` reads it


@dataclass(frozen=True)
class Progress:
    """How far loading is."""

    stage: str
    done: float  # share of the whole, 0..1
    message: str
