"""A model of any vocabulary with nothing in it: what is asked of logits needs no weights."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from kernels.native import LayerSpec, ModelSpec


@contextmanager
def model_of_vocabulary(c: Any, isa: int, vocabulary: int) -> Iterator[ctypes.c_void_p]:
    """Its handle on one instruction set, two threads."""
    spec = ModelSpec(
        format="int8", hidden=32, inner=32, heads=2, key_value_heads=2, head_dim=16, vocabulary=vocabulary,
        layers=(LayerSpec(rotary=None),), rotaries=(), attention_scale=0.25, norm_eps=1e-5,
    )  # fmt: skip
    c_spec, c_layers = spec.to_c()
    size = c.native_image_size(c_spec, c_layers)
    image, pool, handle = c.native_memory_new(size), c.native_pool_new(2), ctypes.c_void_p()
    assert c.native_image_start(image, size, c_spec, c_layers) == 0
    assert c.native_model_new(image, size, c.native_isa_kernels(isa), pool, ctypes.byref(handle)) == 0
    try:
        yield handle
    finally:
        c.native_model_free(handle)
        c.native_pool_free(pool)
        c.native_memory_free(image, size)
