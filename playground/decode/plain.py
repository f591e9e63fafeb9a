"""Plain decoding, the baseline of the race: one forward, one token.

Knows nothing of drafting. It is the N = 1 case of the same forward, cache and pick as recurrent drafting.
"""

from __future__ import annotations

import torch

from kernels import KernelSet
from playground import trace
from playground.base_model.adapter import BaseModel
from playground.base_model.types import BaseOutput
from playground.config import Sampling
from playground.decode.lane import BytesOf, Lane, log_probability
from playground.sampling import pick_gap, pick_token


class PlainDecoder(Lane):
    """The plain lane. `gaps` tells for every token how close the pick was, for the parity report."""

    name: trace.Lane = "plain"

    def __init__(
        self, base: BaseModel, sampling: Sampling, max_new_tokens: int, kernels: KernelSet, bytes_of: BytesOf
    ) -> None:
        super().__init__(base, sampling, max_new_tokens, kernels, bytes_of)
        self.gaps: list[float] = []
        self._root: torch.Tensor  # [1] int64, picked but not in the cache yet
        self._logits: torch.Tensor  # [V], what it was picked from
        self._depth = torch.zeros(1, dtype=torch.int64, device=base.device)  # [N = 1]
        self._ancestors = torch.ones(1, 1, dtype=torch.bool, device=base.device)  # [N, N]

    def first(self) -> trace.PlainRecord:
        """The token that came from the prompt's forward, as the lane's first record."""
        return self._record(0.0)

    @torch.inference_mode()
    def step(self) -> trace.PlainRecord:
        """Feed the last token, pick the next."""
        clock = self._clock
        clock.begin()
        output = self.base.forward(self._root, self._depth, self._ancestors, self.cache)
        self.cache.extend(1)
        self._logits = output.logits[0]  # [V]
        pick = pick_token(self._logits, self.sampling, self.cache.committed_tensor, self.kernels)
        self._root = pick.reshape(1)
        token = int(pick)
        clock.mark("token")
        ms = clock.resolve()["token"]
        self.clock_ms += ms
        self._emit([token])
        self._measure()
        return self._record(ms)

    def _begin(self, prompt: torch.Tensor, output: BaseOutput, root: torch.Tensor) -> None:
        self.gaps = []
        self._root = root.reshape(1)
        self._logits = output.logits[0]
        self._measure()

    def _measure(self) -> None:
        """Note the last pick's gap, outside the clock."""
        self.gaps.append(float(pick_gap(self._logits, self.sampling, self.cache.committed_tensor)))

    @torch.inference_mode()
    def _record(self, ms: float) -> trace.PlainRecord:
        token = self.tokens[-1]
        return trace.PlainRecord(
            index=len(self.tokens) - 1,
            token=token,
            log_probability=log_probability(self._logits, token),
            ms=ms,
            clock_ms=self.clock_ms,
            token_bytes=self._bytes({token}),
        )
