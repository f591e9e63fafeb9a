"""What a base model does in a second here: reading rows, and plain decoding.

Runs it for a moment. Knows an author; nothing of what the rates are for.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import torch

from playground.decode.engine import PlainLane
from playground.distill.author import Author
from playground.distill.schedule import Rates

_WARM_UP, _TOKENS = 16, 12


def measure_rates(
    author: Author, taps: tuple[int, ...], row_tokens: int, tick: Callable[[], None] = lambda: None
) -> Rates:
    """The teacher's forward over a batch of rows (one row on a CPU), and a few tokens of plain decoding.

    Args:
        tick: called now and then; may raise.
    """
    return Rates(_reading(author, taps, row_tokens, tick), _decoding(author, row_tokens, tick))


@torch.inference_mode()
def _reading(author: Author, taps: tuple[int, ...], row_tokens: int, tick: Callable[[], None]) -> float:
    """Tokens a second."""
    with author.reader(taps) as reader:
        rows = 1 if author.base.device.type == "cpu" else max(1, reader.batch_tokens // row_tokens)
        ids = np.arange(rows * row_tokens).reshape(rows, -1) % author.base.vocab_size
        reader.read(ids[:, : min(_WARM_UP, row_tokens)])
        began = time.perf_counter()
        hidden = reader.read(ids, tick).hidden
        reader.best(hidden[: len(hidden) // 2 + 1], 32, tick)[0].sum().item()  # waits for the device
    return ids.size / (time.perf_counter() - began)


def _decoding(author: Author, row_tokens: int, tick: Callable[[], None]) -> float:
    """Seconds a token."""
    lane = PlainLane(author.plain_runner(), _TOKENS)
    lane.start((np.arange(min(_WARM_UP, row_tokens - _TOKENS)) % author.base.vocab_size).tolist())
    times = []
    while lane.finish_reason is None:
        before = lane.clock_ms
        lane.step()
        times.append(lane.clock_ms - before)
        tick()
    return sorted(times)[len(times) // 2] / 1e3 if times else 0.0
