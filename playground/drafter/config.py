"""What a drafter checkpoint says of itself: Apple's keys and our documented extensions.

Knows the format of config.json only; tensors are `drafter_file`'s, the forward `drafter`'s.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any

from playground.config import PlaygroundError

MODEL_TYPE = "recurrent_drafting_drafter"
APPLE_CUT = 50
"""Apple's code keeps the 50 largest drafter logits before the log-softmax (FACTS: apple/ml-recurrent-drafter)."""

APPLE_KEYS = ("vocab_size", "hidden_size", "exit_dim", "num_draft_layers", "num_lookback_tokens", "rnn")


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
        lookup_match: longest match, in tokens, that lookup tells apart.
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
    logit_cut: int = field(default=APPLE_CUT)

    def __post_init__(self) -> None:
        for name, low in (("vocab_size", 1), ("hidden_size", 1), ("exit_dim", 1), ("num_draft_layers", 0)):
            value = getattr(self, name)
            if not isinstance(value, int) or value < low:
                raise PlaygroundError(
                    f"The drafter's config.json has {name} = {value!r}, but it must be a whole number of at least "
                    f"{low}. Repair or replace the checkpoint."
                )
        if self.draft_vocab_size > self.vocab_size:
            raise PlaygroundError(
                f"The draft vocabulary holds {self.draft_vocab_size} tokens, more than the model's {self.vocab_size}. "
                f"Choose at most {self.vocab_size}."
            )
        if (self.context_layers or self.context_tokens) and not self.context_dim:
            raise PlaygroundError(
                "The drafter reads extra context but context_dim is 0. Give context_dim a width such as 768."
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
    def context_width(self) -> int:
        """Width of what the context perceptron reads."""
        return self.hidden_size * (1 + len(self.context_layers) + self.context_tokens)

    def to_json(self) -> dict[str, Any]:
        """Keys of config.json; ours are left out where they say nothing, so that Apple's code can read the file."""
        keys: dict[str, Any] = {"model_type": MODEL_TYPE, **{name: getattr(self, name) for name in APPLE_KEYS}}
        if self.apple_compatible:
            return keys
        ours = {entry.name: getattr(self, entry.name) for entry in fields(self) if entry.name not in APPLE_KEYS}
        return keys | ours | {"context_layers": list(self.context_layers)}

    @classmethod
    def from_json(cls, keys: dict[str, Any]) -> DrafterConfig:
        """Read config.json; unknown keys of other writers are left alone.

        Raises:
            PlaygroundError: a required key is missing or its value out of range.
        """
        missing = [name for name in APPLE_KEYS[:4] if name not in keys]
        if missing:
            raise PlaygroundError(
                f"The drafter's config.json lacks {', '.join(missing)}. A drafter's config needs "
                f"{', '.join(APPLE_KEYS[:4])}; point to a folder written by `train` or by Apple's code."
            )
        known = {entry.name: keys[entry.name] for entry in fields(cls) if entry.name in keys}
        if "context_layers" in known:
            known["context_layers"] = tuple(known["context_layers"])
        return cls(**known)
