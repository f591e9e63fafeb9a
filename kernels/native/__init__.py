"""The CPU engine as a C library: built on this machine, the same bits for one row and for a tree.

Knows weights, caches, rows, drafters and picks; nothing of `playground`, tokenizers or decoding. README.md beside this
file tells the arithmetic and where things are.
"""

from __future__ import annotations

from kernels.native.choices import Rule
from kernels.native.drafting import Costs, Draft, DrafterSpec, NativeDrafter, Search, SearchSettings
from kernels.native.errors import NativeError
from kernels.native.library import NativeLibrary
from kernels.native.model import Forwarded, NativeCache, NativeModel, Segment
from kernels.native.spec import LayerSpec, ModelSpec, Rotary
from kernels.native.weights import Weight

__all__ = [
    "Costs",
    "Draft",
    "DrafterSpec",
    "Forwarded",
    "LayerSpec",
    "ModelSpec",
    "NativeCache",
    "NativeDrafter",
    "NativeError",
    "NativeLibrary",
    "NativeModel",
    "Rotary",
    "Rule",
    "Search",
    "SearchSettings",
    "Segment",
    "Weight",
]
