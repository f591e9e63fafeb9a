"""Fills the teacher's states: what a base model says at every token of a corpus, whole rows in batches.

Knows rows and arrays; a `Reader` knows the model. Knows nothing of drafters.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from playground.config import PlaygroundError
from playground.distill.corpus.corpus import Corpus
from playground.distill.teacher.states import TeacherStates
from playground.memory import is_out_of_memory


@dataclass(frozen=True)
class Read:
    """What a model says of rows laid end to end, T tokens."""

    hidden: Tensor  # [T, H] after the final norm
    taps: tuple[Tensor, ...]  # [T, H] each, the residual stream after the tapped layers


def idle() -> None:
    """Nobody waits."""


class Reader(Protocol):
    """A base model that reads whole rows, with the taps it was made for."""

    batch_tokens: int  # of one forward

    def read(self, ids: np.ndarray, tick: Callable[[], None] = idle) -> Read:
        """Of the rows `ids` [rows, n]; calls `tick` now and then, which may raise."""
        ...

    def best(self, hidden: Tensor, count: int, tick: Callable[[], None] = idle) -> tuple[Tensor, Tensor]:
        """Log-probabilities and ids of the `count` best next tokens after hidden [R, H]: [R, k] each."""
        ...


@torch.inference_mode()
def fill(
    reader: Reader,
    corpus: Corpus,
    states: TeacherStates,
    done: int,
    report: Callable[[int, int], None] = lambda done, total: None,
    say: Callable[[str], None] = lambda line: None,
    enough: Callable[[int], bool] = lambda done: False,
) -> int:
    """Compute hidden states, taps and best next tokens from token `done` on; resumable after every batch.

    Args:
        done: tokens already filled, always the end of a row.
        report: called with tokens done and tokens in all.
        say: a line for the person who waits.
        enough: asked after every batch, with the tokens done: whether to leave it at that.

    Returns:
        Tokens filled, from the first on.

    Raises:
        PlaygroundError: there is no memory for a single row.
    """
    row, most, total = int(np.searchsorted(corpus.starts, done)), reader.batch_tokens, corpus.tokens
    while row < corpus.rows and not enough(done):
        last = _last_of_batch(corpus, row, most)
        try:
            _fill_rows(reader, corpus, states, row, last, partial(report, int(corpus.starts[row]), total))
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            most = _fewer(int(corpus.starts[last + 1] - corpus.starts[row]), last - row + 1, error, say)
            continue
        stop = int(corpus.starts[last + 1])
        states.mark(stop)
        report(stop, total)
        row, done = last + 1, stop
    return done


def _last_of_batch(corpus: Corpus, first: int, most: int) -> int:
    """The last of the rows from `first` on that are equally long and up to `most` tokens together."""
    lengths, last = np.diff(corpus.starts), first
    while (
        last + 1 < corpus.rows
        and lengths[last + 1] == lengths[first]
        and (last + 2 - first) * int(lengths[first]) <= most
    ):
        last += 1
    return last


def _fewer(tokens: int, rows: int, error: BaseException, say: Callable[[str], None]) -> int:
    if rows == 1:
        raise PlaygroundError(
            f"There is no room in memory for the base model's states of one row of {tokens:,} tokens. "
            "Use a smaller --row-tokens, or free some memory."
        ) from error
    say(f"Out of memory with {tokens:,} tokens together: reading {tokens // 2:,} together from now on.")
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    return tokens // 2


def _fill_rows(
    reader: Reader, corpus: Corpus, states: TeacherStates, first: int, last: int, tick: Callable[[], None]
) -> None:
    start, stop = int(corpus.starts[first]), int(corpus.starts[last + 1])
    found = reader.read(corpus.ids[start:stop].reshape(last - first + 1, -1), tick)
    states.hidden[start:stop] = bits(found.hidden)
    for array, tap in zip(states.taps, found.taps, strict=True):
        array[start:stop] = bits(tap)
    wanted = corpus.assistant[start:stop].copy()
    wanted[:-1] |= corpus.assistant[start + 1 : stop]  # the token before an assistant's token predicts it
    places = np.nonzero(wanted)[0]
    if not len(places):
        return
    index = torch.from_numpy(places).to(found.hidden.device)
    log_probabilities, best = reader.best(found.hidden[index], states.info.top_tokens, tick)
    states.top_ids[start + places] = best.cpu().numpy()
    states.top_log_probabilities[start + places] = log_probabilities.cpu().half().numpy()


def bits(hidden: Tensor) -> np.ndarray:
    """[tokens, H] as bfloat16 bits."""
    low = hidden.to(torch.bfloat16).contiguous().cpu()
    return low.view(torch.int16).numpy().view(np.uint16)


def best_of(logits: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Log-probabilities and ids of the `count` largest of logits [R, V]."""
    values, ids = logits.topk(count, dim=-1, sorted=False)
    return values.float() - logits.float().logsumexp(-1, keepdim=True), ids
