"""The one error of the native library. Knows only how to say what is wrong."""

from __future__ import annotations

from typing import Literal

Kind = Literal[
    "no-compiler", "compiler-failed", "load-failed", "processor", "self-test", "threads", "spec", "image", "argument",
    "cache-full", "memory",
]  # fmt: skip


class NativeError(ValueError):
    """One sentence with value, limit and remedy; `kind` is for callers that choose another engine."""

    def __init__(self, kind: Kind, message: str) -> None:
        super().__init__(message)
        self.kind: Kind = kind


_CODES: dict[int, tuple[Kind, str]] = {
    1: ("memory", "There is not enough memory for this call; use a smaller model, fewer rows or shorter caches."),
    2: ("spec", "The model's shapes do not fit the kernels' granularity; run it with the eager engine."),
    3: ("image", "The packed model is not one, or is of another version; pack it anew."),
    4: ("argument", "An argument is out of range, or a cache belongs to another model."),
    5: ("argument", "A row's parent must come before it, and its depth be the parent's plus one (0 without a parent)."),
    6: ("cache-full", "A cache has no room for these rows; make it with a larger capacity."),
    7: ("argument", "Two segments of one forward share a cache; give each its own."),
    8: ("argument", "A token id is outside the model's vocabulary."),
    9: ("threads", "The threads could not be started; ask for fewer."),
}


def check(code: int) -> None:
    """Raises what a library call's result code says.

    Raises:
        NativeError: any code but 0.
    """
    if code:
        kind, message = _CODES.get(code, ("argument", f"The native library answered {code}."))
        raise NativeError(kind, message)
