"""Triton program of the best scores: every score counts those before it, and so finds its own place.

Some hundreds of scores make one pass of a few programs; the largest search (64 beams of 16 tokens, 61,504 candidates)
makes 4 billion comparisons, spread over all processors.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl

from kernels.ordered_keys import LOWEST, key_of
from kernels.types import LOWEST_VALID_SCORE

_BLOCK, _CHUNK = 32, 256  # scores that a program places, and looks at together: 8,192 comparisons of int64 keys


@triton.jit
def place_scores(scores, place, total, count, invalid, BLOCK: tl.constexpr, CHUNK: tl.constexpr):
    """Grid (blocks,): write the index of every score with fewer than `count` before it to its place."""
    index = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    score = tl.load(scores + index, mask=index < total, other=float("-inf"))
    good = (score > invalid) & (score < float("inf"))  # NaN compares false
    own = tl.where(good, key_of(score, index), LOWEST)
    before = tl.zeros([BLOCK], tl.int32)
    for start in range(0, total, CHUNK):
        other = start + tl.arange(0, CHUNK)
        rival = tl.load(scores + other, mask=other < total, other=float("-inf"))
        keys = tl.where((rival > invalid) & (rival < float("inf")), key_of(rival, other), LOWEST)
        before += tl.sum((keys[None, :] > own[:, None]).to(tl.int32), 1)
    tl.store(place + before, index.to(tl.int64), mask=good & (before < count))


def best_triton(scores: torch.Tensor, count: int) -> torch.Tensor:
    """As the reference, on the device alone: two launches."""
    scores = scores.to(torch.float32).contiguous()
    place = torch.full((count,), -1, dtype=torch.int64, device=scores.device)
    total = scores.shape[0]
    if total:
        place_scores[(triton.cdiv(total, _BLOCK),)](
            scores, place, total, count, LOWEST_VALID_SCORE, BLOCK=_BLOCK, CHUNK=_CHUNK
        )
    return place
