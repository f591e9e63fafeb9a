"""What a drafter checkpoint says of itself: Apple's keys and our documented extensions.

Knows the format of config.json only; tensors are `drafter_file`'s, the forward `drafter`'s.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any

from playground.config import PlaygroundError, shown

MODEL_TYPE = "recurrent_drafting_drafter"
APPLE_CUT = 50
"""Apple's code keeps the 50 largest drafter logits before the log-softmax (FACTS: apple/ml-recurrent-drafter)."""

COPY_CHANCES = 32
"""Entries of the table of copy chances: a match of 16 tokens and 15 more copied."""

DEFAULT_COPY_CHANCES = (0.0, 0.25, 0.5, 0.65, 0.75, 0.8, 0.85, 0.88, *[0.9] * 8, *[0.95] * 16)
"""What a drafter says that was never measured: rounded from the default pair's, a little lower."""

MAX_LAYERS = 512
_BOUNDS = {
    "vocab_size": (1, 2**23),
    "hidden_size": (1, 2**17),
    "exit_dim": (1, 2**18),
    "num_draft_layers": (0, 64),
    "num_lookback_tokens": (0, 2**20),
    "draft_vocab_size": (0, 2**23),
    "context_tokens": (0, 64),
    "context_dim": (0, 2**18),
    "lookup_tokens": (0, 64),
    "lookup_match": (0, 64),
    "logit_cut": (0, 2**23),
}
_FLAGS = ("rnn", "tied_head", "lookup_beyond")
_LISTS = ("context_layers", "copy_chances", "calibration")

APPLE_KEYS = ("vocab_size", "hidden_size", "exit_dim", "num_draft_layers", "num_lookback_tokens", "rnn")

OPTIONAL_KEYS = ("lookup_beyond", "copy_chances", "calibration")
"""Keys that change no weight: any checkpoint may carry them; they are left out where they say the default."""


@dataclass(frozen=True)
class DrafterConfig:
    """Shape of a drafter.

    Apple's keys:
        vocab_size, hidden_size: the base model's.
        exit_dim: width of the head's residual blocks; 2 x hidden_size needs no input projection.
        num_draft_layers: residual blocks of the head.
        num_lookback_tokens: written by Apple's code, unused by it in decoding; carried along.
        rnn: False makes the state the running sum of embeddings.
    Ours, absent from Apple-compatible checkpoints:
        draft_vocab_size: the head covers only so many tokens, listed in the tensor `draft_vocabulary`.
        tied_head: the head projects to hidden_size and ends in the base model's own output rows.
        context_layers: base layers (1 = the first) whose residual stream joins the hidden state.
        context_tokens: how many of the latest tokens' embeddings join it, the root included.
        context_dim: inner width of the perceptron that joins them; 0 where there is none.
        lookup_tokens: tokens read off behind the latest earlier place that looks like the present one.
        lookup_match: longest match, in tokens, that the drafter tells apart.
        lookup_beyond: looked-up tokens outside the draft vocabulary can be drafted too; needs a tied head.
        copy_chances: [32] measured chance that the next copied token is right where so many tokens agree, 0 to 31.
        calibration: actual over predicted acceptance of a drafted token by its depth, from 1 on; deeper ones as the
            last; empty where it was not measured.
        logit_cut: drafter logits kept before the log-softmax; 0 keeps all.
    """

    vocab_size: int
    hidden_size: int
    exit_dim: int
    num_draft_layers: int = 2
    num_lookback_tokens: int = 0
    rnn: bool = True
    draft_vocab_size: int = 0
    tied_head: bool = False
    context_layers: tuple[int, ...] = ()
    context_tokens: int = 0
    context_dim: int = 0
    lookup_tokens: int = 0
    lookup_match: int = 4
    lookup_beyond: bool = True
    copy_chances: tuple[float, ...] = DEFAULT_COPY_CHANCES
    calibration: tuple[float, ...] = ()
    logit_cut: int = field(default=APPLE_CUT)

    def __post_init__(self) -> None:
        self._require_kinds()
        if self.draft_vocab_size > self.vocab_size:
            raise PlaygroundError(
                f"The draft vocabulary holds {self.draft_vocab_size} tokens, more than the model's {self.vocab_size}. "
                f"Choose at most {self.vocab_size}."
            )
        if len(self.copy_chances) != COPY_CHANCES or not all(0.0 <= chance <= 1.0 for chance in self.copy_chances):
            raise PlaygroundError(
                f"The drafter's config.json has copy_chances {list(self.copy_chances)}, but needs {COPY_CHANCES} "
                "numbers from 0 to 1. Measure them again, or delete the key."
            )
        if not all(0.0 < share < 100.0 for share in self.calibration):
            raise PlaygroundError(
                f"The drafter's config.json has calibration {list(self.calibration)}, but its numbers must be above 0 "
                "and below 100. Measure it again, or delete the key."
            )
        if (self.context_layers or self.context_tokens) and not self.context_dim:
            raise PlaygroundError(
                "The drafter reads extra context but context_dim is 0. Give context_dim a width such as 768."
            )

    def _require_kinds(self) -> None:
        """Refuse values of other kinds or sizes than any drafter has; nothing is allocated for them."""
        wrong = [
            (name, f"a whole number from {low} to {high:,}")
            for name, (low, high) in _BOUNDS.items()
            if type(getattr(self, name)) is not int or not low <= getattr(self, name) <= high
        ]
        wrong += [(name, "true or false") for name in _FLAGS if type(getattr(self, name)) is not bool]
        wrong += [(name, "a list of up to 64 numbers") for name in _LISTS if not _are_numbers(getattr(self, name))]
        if not wrong and not all(type(layer) is int and 1 <= layer <= MAX_LAYERS for layer in self.context_layers):
            wrong = [("context_layers", f"whole numbers from 1 to {MAX_LAYERS}")]
        for name, kind in wrong:
            raise PlaygroundError(
                f"The drafter's config.json has {name} = {shown(getattr(self, name))}, but it must be {kind}. "
                "Repair or replace the checkpoint."
            )

    def require_base(self, name: str, base_name: str, hidden_size: int, vocab_size: int) -> None:
        """Refuse a base model of another shape than the one the drafter was made for.

        Raises:
            PlaygroundError: hidden size or vocabulary differ.
        """
        for what, ours, theirs in (
            ("hidden size", self.hidden_size, hidden_size),
            ("vocabulary size", self.vocab_size, vocab_size),
        ):
            if ours != theirs:
                raise PlaygroundError(
                    f"The drafter {name} was made for a base model of {what} {ours}, but {base_name} has {theirs}. "
                    "Choose the drafter trained for this base model, or train one with `train`."
                )

    @property
    def apple_compatible(self) -> bool:
        """Whether Apple's code could read a checkpoint of this shape."""
        extended = (self.draft_vocab_size, self.tied_head, self.context_dim, self.lookup_tokens)
        return not any(extended) and self.logit_cut == APPLE_CUT

    @property
    def head_vocab(self) -> int:
        """V', the tokens the head can draft."""
        return self.draft_vocab_size or self.vocab_size

    @property
    def copies_beyond(self) -> bool:
        """Whether a looked-up token outside the draft vocabulary gets a column of its own in the logits."""
        return self.lookup_beyond and self.tied_head and self.lookup_tokens > 0 and self.draft_vocab_size > 0

    @property
    def context_width(self) -> int:
        """Width of what the context perceptron reads."""
        return self.hidden_size * (1 + len(self.context_layers) + self.context_tokens)

    def to_json(self) -> dict[str, Any]:
        """Keys of config.json; ours are left out where they say nothing, so that Apple's code can read the file."""
        keys: dict[str, Any] = {"model_type": MODEL_TYPE, **{name: getattr(self, name) for name in APPLE_KEYS}}
        ours = {entry.name: entry.default for entry in fields(self) if entry.name not in APPLE_KEYS}
        told = [name for name in ours if name not in OPTIONAL_KEYS and not self.apple_compatible]
        told += [name for name in OPTIONAL_KEYS if getattr(self, name) != ours[name]]
        values = {name: getattr(self, name) for name in told}
        return keys | {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}

    @classmethod
    def from_json(cls, keys: dict[str, Any]) -> DrafterConfig:
        """Read config.json; unknown keys of other writers are left alone.

        Raises:
            PlaygroundError: a required key is missing or its value out of range.
        """
        if not isinstance(keys, dict):
            raise PlaygroundError("The drafter's config.json holds no JSON object. Repair or replace the checkpoint.")
        missing = [name for name in APPLE_KEYS[:4] if name not in keys]
        if missing:
            raise PlaygroundError(
                f"The drafter's config.json lacks {', '.join(missing)}. A drafter's config needs "
                f"{', '.join(APPLE_KEYS[:4])}; point to a folder written by `train` or by Apple's code."
            )
        known: dict[str, Any] = {entry.name: keys[entry.name] for entry in fields(cls) if entry.name in keys}
        listed: dict[str, Any] = {name: tuple(value) for name, value in known.items() if isinstance(value, list)}
        return cls(**known | listed)


def _are_numbers(value: object) -> bool:
    if not isinstance(value, tuple) or len(value) > 64:
        return False
    return all(isinstance(one, int | float) and not isinstance(one, bool) for one in value)
