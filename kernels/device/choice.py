# mypy: disable-error-code="no-untyped-def"
"""Device code that chooses among logits: the top of the beams, and the base model's pick.

A choice is made on 64-bit keys, the float's bits put in order above and the complement of the id below, so that the
largest key is the largest value and, among equals, the lowest id, whatever the order of the reduction.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl

from kernels.beam_topk import INVALID_SCORE, BeamTop
from kernels.pick import filter_threshold

TOP_CHUNK = 1024  # logits a program searches; each chosen entry is one reduction over them
PICK_CHUNK = 4096

_LOWEST = tl.constexpr(-(2**63))  # below every key
_STREAM = tl.constexpr(0x9E3779B9)


@triton.jit
def _key(value, id):
    """[..] int64 keys of fp32 values and their ids."""
    bits = (value + 0.0).to(tl.int32, bitcast=True)  # -0.0 becomes 0.0
    bits = bits ^ ((bits >> 31) & 0x7FFFFFFF)
    return (bits.to(tl.int64) << 32) + (0x7FFFFFFF - id).to(tl.int64)


@triton.jit
def _value(key):
    bits = (key >> 32).to(tl.int32)
    return (bits ^ ((bits >> 31) & 0x7FFFFFFF)).to(tl.float32, bitcast=True)


@triton.jit
def _id(key):
    return 0x7FFFFFFF - (key & 0xFFFFFFFF)


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
    keys = tl.where(real, _key(value, id), _LOWEST)
    for rank in range(WANTED):
        winner = tl.max(keys, 0)
        tl.store(best + at * WANTED + rank, winner)
        keys = tl.where(keys == winner, _LOWEST, keys)


@triton.jit
def top_of_beams(
    best, top, total, scores, beam_keys, beam_logp, chunks, invalid,
    WANTED: tl.constexpr, REACH: tl.constexpr, CUT: tl.constexpr, CANDIDATES: tl.constexpr, CHUNKS: tl.constexpr,
):  # fmt: skip
    """Grid (W,): one beam's chunks merged. Writes its REACH best keys and their log-probabilities, best first."""
    row = tl.program_id(0)
    slot = tl.arange(0, CANDIDATES)
    keys = tl.load(best + row * chunks * WANTED + slot, mask=slot < chunks * WANTED, other=_LOWEST)
    highest = _value(tl.max(keys, 0))
    if CUT:  # the softmax runs over the WANTED best alone
        mass = tl.full([], 0.0, tl.float32)
        left = keys
        for _ in range(WANTED):
            winner = tl.max(left, 0)
            mass += tl.where(winner == _LOWEST, 0.0, tl.exp(_value(winner) - highest))
            left = tl.where(left == winner, _LOWEST, left)
    else:
        part = tl.arange(0, CHUNKS)
        tops = tl.load(top + row * chunks + part, mask=part < chunks, other=float("-inf"))
        sums = tl.load(total + row * chunks + part, mask=part < chunks, other=0.0)
        mass = tl.sum(sums * tl.exp(tops - highest), 0)
    norm = highest + tl.log(mass)
    score = tl.load(scores + row)
    for rank in range(REACH):
        winner = tl.max(keys, 0)
        logp = _value(winner) - norm
        # NaN compares false, so it is invalid as well
        good = (winner != _LOWEST) & (score + logp > invalid) & (score + logp < float("inf"))
        tl.store(beam_keys + row * REACH + rank, tl.where(good, winner, _LOWEST))
        tl.store(beam_logp + row * REACH + rank, logp)
        keys = tl.where(keys == winner, _LOWEST, keys)


@triton.jit
def top_of_all(
    beam_keys, beam_logp, scores, score_out, beam_out, token_out, logp_out, width,
    REACH: tl.constexpr, CANDIDATES: tl.constexpr,
):  # fmt: skip
    """One program: the W best of all beams' candidates; ties to the lower beam, then to the better rank in it."""
    slot = tl.arange(0, CANDIDATES)
    beam = slot // REACH
    real = slot < width * REACH
    found = tl.load(beam_keys + slot, mask=real, other=_LOWEST)
    logp = tl.load(beam_logp + slot, mask=real, other=0.0)
    score = tl.load(scores + beam, mask=real, other=0.0) + logp
    keys = tl.where(found == _LOWEST, _LOWEST, _key(score, slot))
    for place in range(width):
        winner = tl.max(keys, 0)
        good = winner != _LOWEST
        entry = tl.where(good, _id(winner), 0)
        token = tl.load(beam_keys + entry)
        tl.store(score_out + place, tl.where(good, _value(winner), float("-inf")))
        tl.store(beam_out + place, tl.where(good, entry // REACH, 0))
        tl.store(token_out + place, tl.where(good, _id(token), -1))
        tl.store(logp_out + place, tl.where(good, tl.load(beam_logp + entry), 0.0))
        keys = tl.where(keys == winner, _LOWEST, keys)


def top_of(logits: torch.Tensor, scores: torch.Tensor, cut: int | None) -> BeamTop:
    """The W best continuations of W beams, in three launches."""
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
        best, top, total, scores, beam_keys, beam_logp, chunks, INVALID_SCORE,
        WANTED=wanted, REACH=reach, CUT=cut is not None, CANDIDATES=candidates,
        CHUNKS=triton.next_power_of_2(chunks), num_warps=4 if candidates <= 2048 else 8,
    )  # fmt: skip
    top_of_all[(1,)](
        beam_keys, beam_logp, scores, score, beam, token, logp, width,
        REACH=reach, CANDIDATES=triton.next_power_of_2(max(2, width * reach)),
    )  # fmt: skip
    return BeamTop(score=score, beam=beam, token=token, log_probability=logp)


@triton.jit
def _mix(x):
    """A 32-bit integer finaliser (Wellons' lowbias32) on uint32."""
    x = x ^ (x >> 16)
    x = x * 0x7FEB352D
    x = x ^ (x >> 15)
    x = x * 0x846CA68B
    return x ^ (x >> 16)


@triton.jit
def _noise(id, stream, step):
    """-log(-log1p(-v)); log1p by Kahan's w = 1 - v, log(w) v / (1 - w), exact where w rounds."""
    bits = _mix(_mix(id.to(tl.uint32) + stream) ^ step)
    v = (bits.to(tl.float32) + 0.5) * 2.3283064365386963e-10
    w = 1.0 - v
    log1p = tl.where(w == 1.0, -v, tl.log(w) * v / tl.where(w == 1.0, 1.0, 1.0 - w))
    return -tl.log(-log1p)


@triton.jit
def pick_in_chunks(
    logits, threshold, position, seed, best, l_row, vocabulary, temperature,
    GREEDY: tl.constexpr, FILTERED: tl.constexpr, CHUNK: tl.constexpr,
):  # fmt: skip
    """Grid (N, chunks): the best key of each chunk."""
    row, chunk = tl.program_id(0), tl.program_id(1)
    id = chunk * CHUNK + tl.arange(0, CHUNK)
    real = id < vocabulary
    value = tl.load(logits + row.to(tl.int64) * l_row + id, mask=real, other=float("-inf")).to(tl.float32)
    if not GREEDY:
        if FILTERED:
            value = tl.where(value < tl.load(threshold + row), float("-inf"), value)
        where = tl.load(position + row).to(tl.uint32)
        stream = _mix(tl.load(seed).to(tl.uint32) ^ _STREAM)
        value = value / temperature + _noise(id, stream, _mix(where * _STREAM + stream))
    keys = tl.where(real, _key(value, id), _LOWEST)
    tl.store(best + row * tl.num_programs(1) + chunk, tl.max(keys, 0))


@triton.jit
def pick_of_chunks(best, picked, chunks, CHUNKS: tl.constexpr):
    """Grid (N,): the id of the best key."""
    row = tl.program_id(0)
    part = tl.arange(0, CHUNKS)
    keys = tl.load(best + row * chunks + part, mask=part < chunks, other=_LOWEST)
    tl.store(picked + row, _id(tl.max(keys, 0)))


def pick_rows(
    logits: torch.Tensor,  # [N, V]
    position: torch.Tensor,  # [N] int64
    *,
    temperature: float,
    top_k: int,
    top_p: float,
    seed: torch.Tensor,  # [] int64, not read at temperature 0
) -> torch.Tensor:
    """The picked ids [N], in two launches; a filter adds PyTorch's top-k or sort."""
    rows, vocabulary = logits.shape
    logits = logits if logits.stride(1) == 1 else logits.contiguous()
    greedy, filtered = temperature == 0.0, top_k > 0 or top_p < 1.0
    threshold = position
    if filtered and not greedy:
        threshold = filter_threshold(logits.float(), temperature, top_k, top_p).contiguous()
    chunks = triton.cdiv(vocabulary, PICK_CHUNK)
    best = torch.empty(rows, chunks, dtype=torch.int64, device=logits.device)
    picked = torch.empty(rows, dtype=torch.int64, device=logits.device)
    pick_in_chunks[(rows, chunks)](
        logits, threshold, position.contiguous(), seed, best, logits.stride(0), vocabulary,
        1.0 if greedy else float(temperature), GREEDY=greedy, FILTERED=filtered, CHUNK=PICK_CHUNK,
    )  # fmt: skip
    pick_of_chunks[(rows,)](best, picked, chunks, CHUNKS=triton.next_power_of_2(chunks), num_warps=1)
    return picked
