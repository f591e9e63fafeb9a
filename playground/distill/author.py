"""The base model that writes a corpus, reads it and is drafted for: eager, or on the native engine besides.

Says who writes, who reads and who decodes; nothing of when.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch

from playground.base_model.adapter import BaseModel
from playground.base_model.native import NativeBase
from playground.base_model.pairing import pair_drafter
from playground.config import Sampling
from playground.decode.decoding import Decoding, Drafting
from playground.decode.direct import DirectRunner
from playground.decode.native_runner import NativeDecoding, NativeRunner
from playground.decode.runner import Runner
from playground.distill.corpus.eager_writing import EagerWriter
from playground.distill.corpus.native_writing import NativeWriter
from playground.distill.corpus.turns import ChatTurns
from playground.distill.corpus.writing import Writer, first_token
from playground.distill.teacher.fill import Reader
from playground.distill.teacher.readers import NativeReader, stock_reader
from playground.distill.trial import Decoders
from playground.drafter.cell import Drafter
from playground.drafter.native import NativeDraftModel


@dataclass(frozen=True)
class Author:
    """A base model, how its chats are written, and whose tokens they are."""

    base: BaseModel  # training binds drafters to it
    turns: ChatTurns
    tokenizer_hash: str
    native: NativeBase | None = None  # writes, reads and decodes where it is there

    @property
    def about(self) -> dict[str, Any]:
        """What a corpus says of its model."""
        base = self.base
        return {
            "base": base.name,
            "tokenizer": self.tokenizer_hash,
            "hidden_size": base.hidden_size,
            "vocab_size": base.vocab_size,
        }

    @property
    def engine(self) -> str:
        """Whose numbers the text and the states are."""
        if self.native is not None:
            return f"native {self.native.format}"
        return f"eager {str(self.base.dtype).removeprefix('torch.')}"

    @contextmanager
    def writer(self, together: int | None = None, say: Callable[[str], None] = lambda line: None) -> Iterator[Writer]:
        """Who continues rows; no tree can run meanwhile.

        Args:
            together: rows that the eager engine writes at once; None: as many as fit.
            say: a line for the person who waits.
        """
        begin = first_token(self.base.config)
        if self.native is not None:
            yield NativeWriter(self.native, begin)
            return
        with self.base.stock() as model:
            yield EagerWriter(model, begin, self._row_bytes, together=together, say=say)

    @contextmanager
    def reader(self, taps: tuple[int, ...]) -> Iterator[Reader]:
        """Who reads whole rows; no tree can run meanwhile."""
        if self.native is not None:
            yield NativeReader(self.native, taps)
            return
        with self.base.stock() as model, stock_reader(model, taps) as reader:
            yield reader

    def plain_runner(self) -> Runner:
        """Greedy plain decoding, as people have it here."""
        if self.native is not None:
            return NativeRunner(NativeDecoding(self.native, Sampling()))
        return DirectRunner(Decoding(self.base, Sampling()))

    def decoders(self, drafter: Drafter) -> Decoders:
        """Plain decoding and drafting with a drafter that was read from its files."""
        if self.native is not None:
            native, model = self.native, NativeDraftModel.of(drafter, self.native.model, self.native.name)
            native.set_taps(model.taps)
            return Decoders(
                self.plain_runner,
                lambda shape: NativeRunner(NativeDecoding(native, Sampling(), model, shape, judged=False)),
            )
        base, bound = self.base, pair_drafter(drafter, self.base)
        return Decoders(
            self.plain_runner,
            lambda shape: DirectRunner(Decoding(base, Sampling(), Drafting(bound, shape), judged=False)),
        )

    def _row_bytes(self, tokens: int) -> int:
        """Memory that the eager engine takes for a row of so many tokens: keys, values, logits."""
        base = self.base
        return tokens * base.slot_bytes(base.device) + base.node_bytes(base.device)


def device_name(author: Author) -> str:
    """Where it runs, for people."""
    device = author.base.device
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    threads = author.native.model.library.threads if author.native else torch.get_num_threads()
    name = f"CPU, {threads} thread{'s' if threads > 1 else ''}"
    return f"{name}, {author.native.model.library.isa.name}" if author.native else name
