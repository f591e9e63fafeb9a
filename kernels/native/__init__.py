"""The CPU forward as a C library: built on this machine, the same bits for one row and for a tree.

Knows weights, caches and rows; nothing of `playground`, tokenizers or decoding. README.md beside this file tells the
arithmetic and where things are.
"""

from __future__ import annotations

from kernels.native.errors import NativeError
from kernels.native.library import NativeLibrary
from kernels.native.model import Forwarded, NativeCache, NativeModel, Segment
from kernels.native.spec import LayerSpec, ModelSpec, Rotary
from kernels.native.weights import Weight

__all__ = [
    "Forwarded",
    "LayerSpec",
    "ModelSpec",
    "NativeCache",
    "NativeError",
    "NativeLibrary",
    "NativeModel",
    "Rotary",
    "Segment",
    "Weight",
]
