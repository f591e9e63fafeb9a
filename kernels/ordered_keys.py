"""Triton functions for 64-bit keys that order logits: values above, ties to the lower id.

A key holds the float's bits, put in order, above the complement of the id, so that the largest key is the largest value
and, among equals, the lowest id, whatever the order of the reduction. Knows neither beams nor picks.
"""

from __future__ import annotations

import triton
import triton.language as tl

LOWEST = tl.constexpr(-(2**63))  # below every key


@triton.jit
def key_of(value, id):
    """[..] int64 keys of fp32 values and their ids."""
    bits = (value + 0.0).to(tl.int32, bitcast=True)  # -0.0 becomes 0.0
    bits = bits ^ ((bits >> 31) & 0x7FFFFFFF)
    return (bits.to(tl.int64) << 32) + (0x7FFFFFFF - id).to(tl.int64)


@triton.jit
def value_of(key):
    bits = (key >> 32).to(tl.int32)
    return (bits ^ ((bits >> 31) & 0x7FFFFFFF)).to(tl.float32, bitcast=True)


@triton.jit
def id_of(key):
    return 0x7FFFFFFF - (key & 0xFFFFFFFF)
