"""Plain decoding on a captured program: one graph a token, the same treatment as the drafting lane gets.

Knows nothing of drafting.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import torch

from kernels import KernelSet
from playground import trace
from playground.base_model.adapter import BaseModel
from playground.base_model.cache import KVCache
from playground.base_model.types import BaseOutput
from playground.config import Sampling
from playground.decode.captured.graphs import GraphStore, Replay, memory_pool
from playground.decode.captured.live_seed import any_seed, live
from playground.decode.captured.message import Message
from playground.decode.captured.recurrent import CAPACITY_STEP
from playground.decode.lane import BytesOf, Lane, log_probability
from playground.decode.recording import judge_rows
from playground.sampling import pick_gap, pick_token


class PlainProgram:
    """Static buffers of one sampling, with any seed, and cache capacity, and the two stages over them."""

    def __init__(self, base: BaseModel, sampling: Sampling, capacity: int, kernels: KernelSet) -> None:
        device = base.device
        self._base, self._sampling, self._kernels = base, live(sampling, device), kernels
        self.cache = base.new_cache(capacity)
        wide = torch.promote_types(base.dtype, torch.float32)
        with torch.inference_mode(False):
            self.root = torch.zeros(1, dtype=torch.int64, device=device)  # picked but not in the cache yet
            self._depth = torch.zeros(1, dtype=torch.int64, device=device)  # [N = 1]
            self._ancestors = torch.ones(1, 1, dtype=torch.bool, device=device)  # [N, N]
            self.words = Message({"token": ()}, torch.int64, device)
            self.numbers = Message({"log_probability": (), "gap": ()}, wide, device)
        self._logits: torch.Tensor  # [1, V], what the root was picked from
        pool = memory_pool(device)
        self.token = Replay(self._token, device, undo=self._keep_state, pool=pool)
        self.tell = Replay(self._tell, device, pool=pool)

    def begin(self, root: torch.Tensor, seed: int) -> None:
        """State after a prompt was read into the cache: root []."""
        self.root.copy_(root)
        self._sampling.seed.fill_(seed)

    def _token(self) -> None:
        output = self._base.forward(self.root, self._depth, self._ancestors, self.cache)
        self.cache.committed_tensor.add_(1)  # the root's row stands in its place already
        pick = pick_token(output.logits[0], self._sampling, self.cache.committed_tensor, self._kernels)
        self.root.copy_(pick.reshape(1))
        self._logits = output.logits

    def _tell(self) -> None:
        self.words.send({"token": self.root})
        log_probability, _ = judge_rows(self._logits, torch.zeros_like(self.root), self.root)
        gap = pick_gap(self._logits[0], self._sampling, self.cache.committed_tensor)
        self.numbers.send({"log_probability": log_probability, "gap": gap})

    def _keep_state(self) -> Callable[[], None]:
        held = self.root.clone(), self.cache.committed_tensor.clone()

        def undo() -> None:
            self.root.copy_(held[0])
            self.cache.committed_tensor.copy_(held[1])

        return undo


class CapturedPlain(Lane):
    """The plain lane; the surface of `PlainDecoder`."""

    name: trace.Lane = "plain"

    def __init__(
        self,
        base: BaseModel,
        sampling: Sampling,
        max_new_tokens: int,
        kernels: KernelSet,
        bytes_of: BytesOf,
        store: GraphStore | None = None,
    ) -> None:
        super().__init__(base, sampling, max_new_tokens, kernels, bytes_of)
        self.gaps: list[float] = []
        self._store = GraphStore() if store is None else store
        self._program: PlainProgram
        self._log_probability = 0.0  # of the last token

    def _open_cache(self, capacity: int) -> KVCache:
        capacity = -(-capacity // CAPACITY_STEP) * CAPACITY_STEP
        key = ("plain", id(self.base), any_seed(self.sampling), capacity, self.base.taps)
        self._program = self._store.get(key, lambda: PlainProgram(self.base, self.sampling, capacity, self.kernels))
        self._program.cache.reset()
        return self._program.cache

    def _begin(self, prompt: torch.Tensor, output: BaseOutput, root: torch.Tensor) -> None:
        self._log_probability = log_probability(output.logits[0], int(root))
        self.gaps = [float(pick_gap(output.logits[0], self.sampling, self.cache.committed_tensor))]
        self._program.begin(root, self.sampling.seed)
        self._program.token.prepare()
        self._program.tell.prepare()

    def first(self) -> trace.PlainRecord:
        """The token that came from the prompt's forward, as the lane's first record."""
        return self._record(0.0)

    @torch.inference_mode()
    def step(self) -> trace.PlainRecord:
        """Feed the last token, pick the next."""
        program, clock = self._program, self._clock
        began = time.perf_counter()
        clock.begin()
        program.token()
        clock.mark("token")
        program.tell()
        clock.mark("tell")
        ms = clock.resolve()  # the step's one wait
        token = int(program.words.parts["token"])
        self.cache.follow(1)
        whole = (time.perf_counter() - began) * 1e3
        spent = whole - ms["tell"]  # telling is for the record
        self.clock_ms += spent
        self._log_probability, gap = (float(part) for part in program.numbers.parts.values())
        self.gaps.append(gap)
        self._emit([token])
        return self._record(spent)

    def _record(self, ms: float) -> trace.PlainRecord:
        token = self.tokens[-1]
        return trace.PlainRecord(
            index=len(self.tokens) - 1,
            token=token,
            log_probability=self._log_probability,
            ms=ms,
            clock_ms=self.clock_ms,
            token_bytes=self._bytes({token}),
        )
