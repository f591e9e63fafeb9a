"""Triton programs of the beams' children: chunks of a beam's logits, then the beam."""

from __future__ import annotations

import torch
import triton
import triton.language as tl

from kernels.ordered_keys import LOWEST, id_of, key_of, value_of
from kernels.types import LOWEST_VALID_SCORE, Children

TOP_CHUNK = 1024  # logits a program searches; each chosen entry is one reduction over them


@triton.jit
def top_of_chunks(logits, best, top, total, l_row, vocabulary, WANTED: tl.constexpr, CHUNK: tl.constexpr):
    """Grid (B, chunks): each chunk's WANTED best keys [B, chunks, WANTED], its maximum and its sum of exp."""
    row, chunk, chunks = tl.program_id(0), tl.program_id(1), tl.num_programs(1)
    id = chunk * CHUNK + tl.arange(0, CHUNK)
    real = id < vocabulary
    value = tl.load(logits + row.to(tl.int64) * l_row + id, mask=real, other=float("-inf")).to(tl.float32)
    highest = tl.max(value, 0)
    base = tl.where(highest == float("-inf"), 0.0, highest)
    at = row * chunks + chunk
    tl.store(top + at, highest)
    tl.store(total + at, tl.sum(tl.exp(value - base), 0))
    keys = tl.where(real, key_of(value, id), LOWEST)
    for rank in range(WANTED):
        winner = tl.max(keys, 0)
        tl.store(best + at * WANTED + rank, winner)
        keys = tl.where(keys == winner, LOWEST, keys)


@triton.jit
def top_of_beams(
    best, top, total, scores, token_out, score_out, logp_out, chunks, invalid,
    WANTED: tl.constexpr, REACH: tl.constexpr, KEEP: tl.constexpr, CUT: tl.constexpr, CANDIDATES: tl.constexpr,
    CHUNKS: tl.constexpr,
):  # fmt: skip
    """Grid (B,): one beam's chunks merged. Writes its REACH best tokens, best first, and nothing up to KEEP."""
    row = tl.program_id(0)
    slot = tl.arange(0, CANDIDATES)
    keys = tl.load(best + row * chunks * WANTED + slot, mask=slot < chunks * WANTED, other=LOWEST)
    highest = value_of(tl.max(keys, 0))
    if CUT:  # the softmax runs over the WANTED best alone
        mass = tl.full([], 0.0, tl.float32)
        left = keys
        for _ in range(WANTED):
            winner = tl.max(left, 0)
            mass += tl.where(winner == LOWEST, 0.0, tl.exp(value_of(winner) - highest))
            left = tl.where(left == winner, LOWEST, left)
    else:
        part = tl.arange(0, CHUNKS)
        tops = tl.load(top + row * chunks + part, mask=part < chunks, other=float("-inf"))
        sums = tl.load(total + row * chunks + part, mask=part < chunks, other=0.0)
        mass = tl.sum(sums * tl.exp(tops - highest), 0)
    norm = highest + tl.log(mass)
    before = tl.load(scores + row)
    for rank in range(KEEP):
        winner = tl.max(keys, 0)
        logp = value_of(winner) - norm
        score = before + logp
        # NaN compares false, so it is invalid as well
        good = (winner != LOWEST) & (score > invalid) & (score < float("inf")) & (rank < REACH)
        tl.store(token_out + row * KEEP + rank, tl.where(good, id_of(winner), -1))
        tl.store(score_out + row * KEEP + rank, tl.where(good, score, float("-inf")))
        tl.store(logp_out + row * KEEP + rank, tl.where(good, logp, 0.0))
        keys = tl.where(keys == winner, LOWEST, keys)


def children_triton(logits: torch.Tensor, scores: torch.Tensor, *, keep: int, cut: int | None) -> Children:
    """As the reference, on the device alone, in two launches; fp32 only inside, so fp64 logits are refused.

    Raises:
        ValueError: fp64 logits.
    """
    if logits.dtype == torch.float64:
        raise ValueError(
            "Triton's children of beams are computed in float32, but the logits are float64. "
            "Choose the reference kernels."
        )
    beams, vocabulary = logits.shape
    logits = logits if logits.stride(1) == 1 else logits.contiguous()
    cut = None if cut is None or cut >= vocabulary else cut
    reach = min(keep, vocabulary) if cut is None else min(keep, cut)
    wanted = reach if cut is None else cut
    chunks = triton.cdiv(vocabulary, TOP_CHUNK)
    where = logits.device
    best = torch.empty(beams, chunks, wanted, dtype=torch.int64, device=where)
    top, total = torch.empty(2, beams, chunks, dtype=torch.float32, device=where)
    token = torch.empty(beams, keep, dtype=torch.int64, device=where)
    score, logp = torch.empty(2, beams, keep, dtype=torch.float32, device=where)
    scores = scores.to(torch.float32).contiguous()
    top_of_chunks[(beams, chunks)](
        logits, best, top, total, logits.stride(0), vocabulary, WANTED=wanted, CHUNK=TOP_CHUNK
    )
    candidates = triton.next_power_of_2(max(2, chunks * wanted))
    top_of_beams[(beams,)](
        best, top, total, scores, token, score, logp, chunks, LOWEST_VALID_SCORE,
        WANTED=wanted, REACH=reach, KEEP=keep, CUT=cut is not None, CANDIDATES=candidates,
        CHUNKS=triton.next_power_of_2(chunks), num_warps=4 if candidates <= 2048 else 8,
    )  # fmt: skip
    return Children(token, score, logp)
