"""The library's C side as ctypes sees it: structures and signatures of csrc/native.h and csrc/kernels.h.

Knows no model and no policy.
"""

from __future__ import annotations

import ctypes
from ctypes import POINTER, c_char_p, c_float, c_int, c_int32, c_int64, c_uint32, c_void_p
from pathlib import Path
from typing import Any

from kernels.native.errors import NativeError

VERSION = 1
MAX_ROTARIES = 4
MAX_QUERY_TILE = 16
MOST_WIDTH, MOST_LEVELS, MOST_NODES = 64, 16, 256
MOST_COPIED, MOST_MATCH, MOST_OTHERS = 16, 32, 32


class CSpec(ctypes.Structure):
    _fields_ = (
        *((name, c_int32) for name in ("format", "key_value_dtype", "flags", "activation", "qk_norm")),
        *((name, c_int32) for name in ("layers", "hidden", "inner", "heads", "key_value_heads", "head_dim")),
        *((name, c_int32) for name in ("vocabulary", "rotary_dims", "rotaries")),
        *((name, c_float) for name in ("norm_eps", "attention_scale", "attention_softcap", "logit_scale")),
        *((name, c_float) for name in ("logit_softcap", "embedding_scale", "residual_scale")),
        ("rotary_scale", c_float * MAX_ROTARIES),
    )


class CLayerSpec(ctypes.Structure):
    _fields_ = (("window", c_int32), ("rotary", c_int32))


class CSegment(ctypes.Structure):
    _fields_ = (("cache", c_void_p), ("committed", c_int64), ("rows", c_int64))


class CRule(ctypes.Structure):
    _fields_ = (("temperature", c_float), ("top_p", c_float), ("top_k", c_int32), ("seed", c_uint32))


class CTree(ctypes.Structure):
    _fields_ = (("nodes", c_int64), ("token", c_void_p), ("parent", c_void_p), ("depth", c_void_p))


DRAFTER_NUMBERS = (
    "hidden", "exit", "blocks", "recurrent", "drafted", "tied", "taps", "recent", "context", "lookup", "match", "cut",
)  # fmt: skip
SEARCH_NUMBERS = ("width", "length", "nodes", "match", "copied", "least_match", "past_vocabulary")


class CDrafterSpec(ctypes.Structure):
    _fields_ = (("format", c_int32), *((name, c_int32) for name in DRAFTER_NUMBERS))


class CSearch(ctypes.Structure):
    _fields_ = (
        *((name, c_int32) for name in SEARCH_NUMBERS),
        *((name, c_void_p) for name in ("chances", "calibration", "verify_ms")),
        *((name, c_float) for name in ("fixed_ms", "draft_ms", "level_ms")),
        ("rule", CRule),
    )


class CDraft(ctypes.Structure):
    _fields_ = (
        *((name, c_int32) for name in ("nodes", "levels", "others", "match", "scored", "budget")),
        *((name, c_void_p) for name in ("token", "parent", "depth", "origin", "copy", "score", "log_probability")),
        *((name, c_void_p) for name in ("beam_token", "beam_node", "beam_log_probability", "beam_score")),
        *((name, c_void_p) for name in ("other_token", "other_parent", "other_depth", "other_score")),
        ("draft_ms", c_float),
        ("tree_ms", c_float),
    )


class CQueryTile(ctypes.Structure):
    _fields_ = (
        *((name, c_int32) for name in ("queries", "dim", "key_value_dtype")),
        ("softcap", c_float),
        *((name, c_void_p) for name in ("query", "keys", "values", "query_bytes", "query_scale", "query_offset")),
        *((name, c_int64 * MAX_QUERY_TILE) for name in ("first", "straight", "last")),
        ("stray", c_void_p * MAX_QUERY_TILE),
        ("fresh_from", c_int64),
        ("fresh_to", c_int64),
    )


def _function(*arguments: Any, result: Any = None) -> Any:
    return ctypes.CFUNCTYPE(result, *arguments)


P, L = c_void_p, c_int64


class CKernels(ctypes.Structure):
    """One instruction set's functions, for tests."""

    _fields_ = (
        ("name", c_char_p),
        *((name, c_int32) for name in ("row_tile", "query_tile", "row_major")),
        ("quantise", _function(P, L, P, P, L, P, L, L, P, P, L)),
        ("panel_int8", _function(P, P, P, L, L, P, P, P, L, P)),
        ("panel_float32", _function(P, L, L, P, P, L)),
        ("panel_bfloat16", _function(P, L, L, P, P, L)),
        ("norm", _function(P, P, c_float, L, P)),
        ("norms", _function(P, L, c_float, L, P)),
        ("gated", _function(c_int32, P, P, L, P)),
        ("add_scaled", _function(P, L, P, L, c_float, L)),
        ("scale_cap", _function(P, c_float, c_float, L)),
        ("rotate", _function(P, P, P, L)),
        ("attend", _function(POINTER(CQueryTile), L, P, P, L)),
        ("fold", _function(P, P, L)),
        ("finish", _function(P, L, P)),
        ("store", _function(P, L, P, P, L, c_int32)),
        ("top", _function(P, L, L, P, P, result=L)),
        ("above", _function(P, L, c_float, P, result=L)),
        ("exp_sum", _function(P, L, c_float, c_float, P, result=c_float)),
        ("log", _function(c_float, result=c_float)),
        ("exp", _function(c_float, result=c_float)),
        ("rank", _function(P, L, L, result=L)),
        ("noise", _function(P, L, L, c_uint32, c_uint32, P)),
        ("pick", _function(P, L, c_float, c_float, c_uint32, c_uint32, P, result=L)),
    )


_SIGNATURES: dict[str, tuple[Any, tuple[Any, ...]]] = {
    "native_version": (c_int, ()),
    "native_isa_name": (c_char_p, (c_int,)),
    "native_isa_missing": (c_char_p, (c_int,)),
    "native_isa_differs": (c_int, (c_int,)),
    "native_isa_kernels": (POINTER(CKernels), (c_int,)),
    "native_pool_new": (P, (c_int,)),
    "native_pool_threads": (c_int, (P,)),
    "native_pool_free": (None, (P,)),
    "native_image_size": (L, (POINTER(CSpec), POINTER(CLayerSpec))),
    "native_image_start": (c_int, (P, L, POINTER(CSpec), POINTER(CLayerSpec))),
    "native_image_check": (c_int, (P, L)),
    "native_image_matches": (c_int, (P, POINTER(CSpec), POINTER(CLayerSpec))),
    "native_memory_new": (P, (L,)),
    "native_memory_free": (None, (P, L)),
    "native_pack": (c_int, (P, P, c_int, c_int, L, L, P, c_int, L, L)),
    "native_rows": (c_int, (P, c_int, P, L, P)),
    "native_model_new": (c_int, (P, L, P, P, POINTER(P))),
    "native_model_free": (None, (P,)),
    "native_cache_new": (c_int, (P, L, POINTER(P))),
    "native_cache_free": (None, (P,)),
    "native_cache_commit": (c_int, (P, L, P, L)),
    "native_forward": (c_int, (P, POINTER(CSegment), L, P, P, P, P, L, P, P)),
    "native_logits": (c_int, (P, P, L, P)),
    "native_pick": (c_int, (P, POINTER(CRule), P, L, P, P, P)),
    "native_accept": (c_int, (P, POINTER(CRule), POINTER(CTree), L, P, L, P, P, P, P, P, P, P)),
    "native_drafter_new": (c_int, (P, POINTER(CDrafterSpec), P, POINTER(P))),
    "native_drafter_free": (None, (P,)),
    "native_drafter_pack": (c_int, (P, c_int, c_int, P, P, L, L)),
    "native_draft": (c_int, (P, POINTER(CSearch), P, P, L, P, L, L, POINTER(CDraft))),
    "native_judge": (c_int, (P, P, L, P, P, L, P, P)),
}


def load(path: Path) -> ctypes.CDLL:
    """The library at `path` with its signatures set.

    Raises:
        NativeError: the file does not load, or is of another version.
    """
    try:
        library = ctypes.CDLL(str(path))
        for name, (result, arguments) in _SIGNATURES.items():
            function = getattr(library, name)
            function.restype, function.argtypes = result, arguments
    except (OSError, AttributeError) as error:
        raise NativeError("load-failed", f"The native library {path} does not load: {error}.") from error
    if library.native_version() != VERSION:
        raise NativeError("load-failed", f"The native library {path} is of version {library.native_version()}.")
    return library
