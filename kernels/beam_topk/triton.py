"""Triton programs of the beam top-k: chunks of a beam's logits, then the beam, then all beams."""

from __future__ import annotations

import torch
import triton
import triton.language as tl

from kernels.ordered_keys import LOWEST, id_of, key_of, value_of
from kernels.types import LOWEST_VALID_SCORE, BeamTop

TOP_CHUNK = 1024  # logits a program searches; each chosen entry is one reduction over them


@triton.jit
def top_of_chunks(logits, best, top, total, l_row, vocabulary, WANTED: tl.constexpr, CHUNK: tl.constexpr):
    """Grid (W, chunks): each chunk's WANTED best keys [W, chunks, WANTED], its maximum and its sum of exp."""
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
    best, top, total, scores, beam_keys, beam_logp, chunks, invalid,
    WANTED: tl.constexpr, REACH: tl.constexpr, CUT: tl.constexpr, CANDIDATES: tl.constexpr, CHUNKS: tl.constexpr,
):  # fmt: skip
    """Grid (W,): one beam's chunks merged. Writes its REACH best keys and their log-probabilities, best first."""
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
    score = tl.load(scores + row)
    for rank in range(REACH):
        winner = tl.max(keys, 0)
        logp = value_of(winner) - norm
        # NaN compares false, so it is invalid as well
        good = (winner != LOWEST) & (score + logp > invalid) & (score + logp < float("inf"))
        tl.store(beam_keys + row * REACH + rank, tl.where(good, winner, LOWEST))
        tl.store(beam_logp + row * REACH + rank, logp)
        keys = tl.where(keys == winner, LOWEST, keys)


@triton.jit
def top_of_all(
    beam_keys, beam_logp, scores, score_out, beam_out, token_out, logp_out, width,
    REACH: tl.constexpr, CANDIDATES: tl.constexpr,
):  # fmt: skip
    """One program: the W best of all beams' candidates; ties to the lower beam, then to the better rank in it."""
    slot = tl.arange(0, CANDIDATES)
    beam = slot // REACH
    real = slot < width * REACH
    found = tl.load(beam_keys + slot, mask=real, other=LOWEST)
    logp = tl.load(beam_logp + slot, mask=real, other=0.0)
    score = tl.load(scores + beam, mask=real, other=0.0) + logp
    keys = tl.where(found == LOWEST, LOWEST, key_of(score, slot))
    for place in range(width):
        winner = tl.max(keys, 0)
        good = winner != LOWEST
        entry = tl.where(good, id_of(winner), 0)
        token = tl.load(beam_keys + entry)
        tl.store(score_out + place, tl.where(good, value_of(winner), float("-inf")))
        tl.store(beam_out + place, tl.where(good, entry // REACH, 0))
        tl.store(token_out + place, tl.where(good, id_of(token), -1))
        tl.store(logp_out + place, tl.where(good, tl.load(beam_logp + entry), 0.0))
        keys = tl.where(keys == winner, LOWEST, keys)


def beam_topk_triton(logits: torch.Tensor, scores: torch.Tensor, *, cut: int | None) -> BeamTop:
    """As the reference, on the device alone, in three launches; fp32 only inside, so fp64 logits are refused.

    Raises:
        ValueError: fp64 logits.
    """
    if logits.dtype == torch.float64:
        raise ValueError(
            "Triton's beam top-k computes in float32, but was given float64. Choose the reference kernels."
        )
    width, vocabulary = logits.shape
    logits = logits if logits.stride(1) == 1 else logits.contiguous()
    cut = None if cut is None or cut >= vocabulary else cut
    reach = min(width, vocabulary) if cut is None else min(width, cut)
    wanted = reach if cut is None else cut
    chunks = triton.cdiv(vocabulary, TOP_CHUNK)
    where = logits.device
    best = torch.empty(width, chunks, wanted, dtype=torch.int64, device=where)
    beam_keys = torch.empty(width, reach, dtype=torch.int64, device=where)
    beam, token = torch.empty(2, width, dtype=torch.int64, device=where)
    top, total = torch.empty(2, width, chunks, dtype=torch.float32, device=where)
    beam_logp = torch.empty(width, reach, dtype=torch.float32, device=where)
    score, logp = torch.empty(2, width, dtype=torch.float32, device=where)
    scores = scores.to(torch.float32).contiguous()
    top_of_chunks[(width, chunks)](
        logits, best, top, total, logits.stride(0), vocabulary, WANTED=wanted, CHUNK=TOP_CHUNK
    )
    candidates = triton.next_power_of_2(max(2, chunks * wanted))
    top_of_beams[(width,)](
        best, top, total, scores, beam_keys, beam_logp, chunks, LOWEST_VALID_SCORE,
        WANTED=wanted, REACH=reach, CUT=cut is not None, CANDIDATES=candidates,
        CHUNKS=triton.next_power_of_2(chunks), num_warps=4 if candidates <= 2048 else 8,
    )  # fmt: skip
    top_of_all[(1,)](
        beam_keys, beam_logp, scores, score, beam, token, logp, width,
        REACH=reach, CANDIDATES=triton.next_power_of_2(max(2, width * reach)),
    )  # fmt: skip
    return BeamTop(score=score, beam=beam, token=token, log_probability=logp)
