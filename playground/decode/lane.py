"""What both lanes do alike: read the prompt, pick the first token, stop where a text stops.

Knows the base model, the sampling settings and the limits; nothing of drafting.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence

import torch

from kernels import KernelSet
from playground import trace
from playground.base_model.adapter import BaseModel
from playground.base_model.cache import KVCache
from playground.base_model.types import BaseOutput
from playground.config import PlaygroundError, Sampling
from playground.decode.clock import SliceClock
from playground.sampling import pick_token

BytesOf = Callable[[int], bytes]


class Lane(ABC):
    """One decoding of one prompt on its own cache. `start` it, then `step` it while `finish_reason` is None.

    Attributes:
        tokens: new tokens so far, the first root first.
        clock_ms: the lane's own computing so far; prompt processing and records excluded.
        finish_reason: why the text ended, None while it goes on.
    """

    name: trace.Lane
    extra_slots = 1  # cache slots a forward takes beyond the committed tokens

    def __init__(
        self, base: BaseModel, sampling: Sampling, max_new_tokens: int, kernels: KernelSet, bytes_of: BytesOf
    ) -> None:
        self.base, self.sampling, self.kernels = base, sampling, kernels
        self.max_new_tokens = max_new_tokens
        self.tokens: list[int] = []
        self.clock_ms = 0.0
        self.finish_reason: trace.FinishReason | None = None
        self.cache: KVCache
        self._bytes_of = bytes_of
        self._clock = SliceClock(base.device)
        self._eos = torch.tensor(sorted(base.eos_ids), dtype=torch.int64, device=base.device)  # [E]

    @property
    def wanted(self) -> int:
        """Tokens still to be written before the limit."""
        return self._limit - len(self.tokens)

    @torch.inference_mode()
    def start(self, prompt_ids: Sequence[int]) -> trace.PromptRecord:
        """Read the prompt and pick the first token.

        Raises:
            PlaygroundError: an empty prompt, or one that leaves no room in the model's window.
        """
        length, window = len(prompt_ids), self.base.window
        if not 0 < length < window:
            raise PlaygroundError(
                f"The prompt has {length} tokens, but must have from 1 to {window - 1}: the window of "
                f"{self.base.name} is {window} and one new token must fit. Change the prompt's length."
            )
        self._limit = min(self.max_new_tokens, window - length)
        self.tokens, self.clock_ms, self.finish_reason = [], 0.0, None
        self.cache = self._open_cache(length + self._limit + self.extra_slots)
        prompt = torch.tensor(prompt_ids, dtype=torch.int64, device=self.base.device)  # [P]
        self._clock.begin()
        output = self.base.prefill(prompt, self.cache)
        root = pick_token(output.logits[0], self.sampling, self.cache.committed_tensor, self.kernels)
        first = int(root)
        self._clock.mark("prompt")
        ms = self._clock.resolve()["prompt"]
        self._begin(prompt, output, root)
        self._emit([first])
        return trace.PromptRecord(
            lane=self.name,
            tokens=length,
            ms=ms,
            first_root=first,
            log_probability=log_probability(output.logits[0], first),
            token_bytes=self._bytes({first}),
        )

    def _open_cache(self, capacity: int) -> KVCache:
        """An empty cache for at least `capacity` tokens."""
        return self.base.new_cache(capacity)

    @abstractmethod
    def _begin(self, prompt: torch.Tensor, output: BaseOutput, root: torch.Tensor) -> None:
        """Take over the state after the prompt: prompt [P], output of its last token, root []."""

    def _emit(self, tokens: Sequence[int]) -> None:
        """Add new tokens and see whether the text ends with them."""
        self.tokens.extend(tokens)
        if self.tokens[-1] in self.base.eos_ids:
            self.finish_reason = "eos"
        elif self.wanted <= 0:
            self.finish_reason = "length" if self._limit == self.max_new_tokens else "window"

    def _bytes(self, ids: Iterable[int]) -> dict[int, bytes]:
        return {token: self._bytes_of(token) for token in sorted(ids) if token >= 0}


def log_probability(logits: torch.Tensor, token: int) -> float:
    """log p(token) under logits [V] at temperature 1, no filter."""
    wide = logits.to(torch.promote_types(logits.dtype, torch.float32))
    return float(wide[token] - wide.logsumexp(-1))
