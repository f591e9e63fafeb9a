"""What a packed model is tried with before it is kept: a tree against the stock model, and a text's likelihood.

Knows a native base model's surface; nothing of files and of how it was packed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from kernels.native import Segment
from kernels.native.choices import judge
from playground.base_model.native import NativeBase
from playground.base_model.self_check import branches, check_tokens
from playground.config import PlaygroundError

CHUNK = 128  # tokens whose logits are made at once
_WRONG = 1e-2  # of the logits' spread; a forward gone wrong is off by about 1
_WRONG_ROUNDED = 0.25  # int8 weights or a stock model in half precision round differently by a few per cent


def stock_logits(model: Any, vocabulary: int, ids: Sequence[int]) -> list[torch.Tensor]:
    """The stock model's logits on the branches of the checked tree, made of real text's `ids`: [7, V] and [8, V]."""
    texts = branches(check_tokens(ids, vocabulary, torch.device("cpu")))
    with torch.inference_mode():
        return [model(input_ids=text[None], use_cache=False).logits[0] for text in texts]


def check_against(base: NativeBase, expected: Sequence[torch.Tensor], ids: Sequence[int], *, exact: bool) -> None:
    """Verify a tree, commit a branch, verify one more token, and compare with the stock model's logits.

    Args:
        exact: the format keeps the weights as they are.

    Raises:
        PlaygroundError: they differ by more than rounding.
    """
    left, right = (logits.double().numpy() for logits in expected)
    rounded = not exact or expected[0].dtype != torch.float32
    got = _tree_logits(base, ids)
    wanted = np.concatenate((left[3:7], right[5:]))
    spread = np.sqrt(np.square(wanted - wanted.mean(-1, keepdims=True)).mean())
    error = float(np.sqrt(np.square(got - wanted).mean()) / spread)
    limit = _WRONG_ROUNDED if rounded else _WRONG
    if not error <= limit:
        raise PlaygroundError(
            f"{base.name} (family {base.info().family!r}) gives other logits on the native engine than stock: off by "
            f"{error:.2g} of their spread, where {limit:g} is allowed for {base.format}. Use --engine eager."
        )


def _tree_logits(base: NativeBase, ids: Sequence[int]) -> np.ndarray[Any, Any]:
    tokens = check_tokens(ids, base.vocab_size, torch.device("cpu")).numpy().astype(np.int32)
    model, cache = base.model, base.model.new_cache(len(tokens))
    prompt = model.forward([Segment.chain(cache, 0, tokens[:4])]).hidden[-1:]
    parents, depths = np.array((-1, 0, 1, 0, 3), np.int32), np.array((0, 1, 2, 1, 2), np.int32)
    tree = model.forward([Segment(cache, 4, tokens[4:9], parents, depths)]).hidden
    committed = cache.commit(4, (0, 3, 4))
    last = model.forward([Segment.chain(cache, committed, tokens[9:])]).hidden
    return model.logits(np.concatenate((prompt, tree, last))).astype(np.float64)


def negative_log_likelihood(base: NativeBase, ids: Sequence[int]) -> float:
    """Nats a token, mean over all tokens of `ids` but the first."""
    model, cache, total = base.model, base.model.new_cache(len(ids)), 0.0
    tokens = np.array(ids, np.int32)
    for start in range(0, len(ids) - 1, CHUNK):
        chunk = tokens[start : start + CHUNK]
        hidden = model.forward([Segment.chain(cache, start, chunk)]).hidden
        followed = tokens[start + 1 : start + CHUNK + 1]
        logits = model.logits(hidden[: len(followed)])
        rows = np.arange(len(followed), dtype=np.int32)
        total -= float(judge(model.library.c, model.handle, logits, rows, followed).log_probability.sum())
        cache.commit(start, rows if len(rows) == len(chunk) else np.arange(len(chunk), dtype=np.int32))
    return total / (len(ids) - 1)
