"""A packed model and its caches: made from weights or from a file, run over segments of rows.

Knows arrays and the C library; no tokenizer, no decoding. Every array handed in is checked for size here and for
content in the library.
"""

from __future__ import annotations

import ctypes
import mmap
import weakref
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kernels.native import abi
from kernels.native.errors import NativeError, check
from kernels.native.library import NativeLibrary
from kernels.native.spec import ModelSpec
from kernels.native.weights import TENSORS, Place, Weight, outer_places, places, wanted

Ints = np.ndarray[Any, np.dtype[np.int32]]
Floats = np.ndarray[Any, np.dtype[np.float32]]


@dataclass(frozen=True)
class Image:
    """A packed model's bytes: in the library's own memory, or a file mapped read-only."""

    address: int
    size: int
    owner: object  # keeps the memory alive


def _mapped(path: Path, size: int) -> Image:
    with path.open("rb") as file:
        mapped = mmap.mmap(file.fileno(), size, access=mmap.ACCESS_COPY)
    return Image(ctypes.addressof(ctypes.c_char.from_buffer(mapped)), size, mapped)


def _read(library: NativeLibrary, path: Path, size: int) -> Image:
    image = _own_memory(library, size)
    memory, done = memoryview((ctypes.c_char * size).from_address(image.address)).cast("B"), 0
    with path.open("rb", buffering=0) as file:
        while count := file.readinto(memory[done:]):
            done += count
    if done < size:
        raise NativeError("image", f"The packed model {path} ended early, after {done} of {size} bytes; pack it anew.")
    return image


def pack(library: NativeLibrary, spec: ModelSpec, weights: Iterable[Weight]) -> Image:
    """Packs weights as they come, each once, in any order; a tensor may be released as soon as the next is asked for.

    Raises:
        NativeError: a weight that is unknown, doubled, missing or of the wrong shape or dtype; no memory.
    """
    c_spec, c_layers = spec.to_c()
    size = library.c.native_image_size(c_spec, c_layers)
    if not size:
        raise NativeError("spec", "The model's shapes do not fit the native kernels; run it with the eager engine.")
    image = _own_memory(library, size)
    check(library.c.native_image_start(image.address, size, c_spec, c_layers))
    for index, rotary in enumerate(spec.rotaries):
        table = np.asarray(rotary.frequencies, np.float32)
        frequencies = TENSORS.index("frequencies")
        check(
            library.c.native_pack(
                image.address, library.pool, frequencies, index, 0, 1, table.ctypes.data, 0, len(table), 1
            )
        )
    inside, outside, missing = places(spec), outer_places(spec), set(wanted(spec))
    for weight in weights:
        if (weight.name, weight.layer) not in missing:
            raise NativeError("argument", f"The weight {weight.name!r} of layer {weight.layer} is unknown or doubled.")
        missing.discard((weight.name, weight.layer))
        _put(library, image, outside.get(weight.name) or inside[weight.name], weight)
    if missing:
        raise NativeError("argument", f"{len(missing)} weights are missing, {sorted(missing)[0]} among them.")
    return image


def _own_memory(library: NativeLibrary, size: int) -> Image:
    address = library.c.native_memory_new(size)
    if not address:
        raise NativeError("memory", f"There are no {size >> 20} MiB of memory for the model; use a smaller one.")
    keeper = _Keeper()
    weakref.finalize(keeper, library.c.native_memory_free, ctypes.c_void_p(address), size)
    return Image(address, size, keeper)


class _Keeper:
    """Something a finalizer can hang on."""


def _put(library: NativeLibrary, image: Image, place: Place, weight: Weight) -> None:
    tensor = weight.tensor.detach()
    names = {"torch.float32": 0, "torch.bfloat16": 1, "torch.float16": 2}
    if tuple(tensor.shape) != place.shape or str(tensor.dtype) not in names or tensor.device.type != "cpu":
        raise NativeError(
            "argument",
            f"The weight {weight.name!r} of layer {weight.layer} is {tuple(tensor.shape)} {tensor.dtype} on "
            f"{tensor.device}, but must be {place.shape} in float32, bfloat16 or float16 on the CPU.",
        )
    tensor = tensor.contiguous()
    columns = place.shape[1] if len(place.shape) > 1 else 1
    check(
        library.c.native_pack(
            image.address,
            library.pool,
            place.tensor,
            weight.layer,
            place.first,
            place.step,
            tensor.data_ptr(),
            names[str(tensor.dtype)],
            place.shape[0],
            columns,
        )
    )


@dataclass(frozen=True)
class Segment:
    """Rows of one sequence: a cache, how many of its tokens are committed, and a tree (or chain) of new ones.

    Row i stands at position committed + depths[i], under parents[i] (an earlier row, or -1).
    """

    cache: NativeCache
    committed: int
    tokens: Ints  # [R]
    parents: Ints  # [R]
    depths: Ints  # [R]

    @staticmethod
    def chain(cache: NativeCache, committed: int, tokens: Sequence[int] | Ints) -> Segment:
        """Rows each under the one before: a prompt, or one token."""
        ids = np.ascontiguousarray(tokens, np.int32)
        depths = np.arange(len(ids), dtype=np.int32)
        return Segment(cache, committed, ids, depths - 1, depths)


@dataclass(frozen=True)
class Forwarded:
    """`hidden` [rows, H] after the final norm; `taps` [taps, rows, H], the residual stream after the layers named."""

    hidden: Floats
    taps: Floats


class NativeModel:
    """Weights in memory and the functions over them; forwards of several threads wait for each other."""

    def __init__(self, library: NativeLibrary, spec: ModelSpec, image: Image) -> None:
        self.library, self.spec, self.image = library, spec, image
        handle = ctypes.c_void_p()
        check(
            library.c.native_model_new(
                image.address,
                image.size,
                ctypes.cast(library.kernels, ctypes.c_void_p),
                library.pool,
                ctypes.byref(handle),
            )
        )
        self.handle = handle
        weakref.finalize(self, _free_model, library, image, handle)

    @staticmethod
    def of(library: NativeLibrary, spec: ModelSpec, weights: Iterable[Weight]) -> NativeModel:
        """Packs weights and opens the result."""
        return NativeModel(library, spec, pack(library, spec, weights))

    def save(self, path: Path) -> None:
        """Writes the packed model, for `load`."""
        path.write_bytes((ctypes.c_char * self.image.size).from_address(self.image.address))

    @staticmethod
    def load(library: NativeLibrary, spec: ModelSpec, path: Path, mapped: bool = False) -> NativeModel:
        """Opens a file that `save` wrote: read into memory of large pages (a few hundredths of a second, and 3 to 5%
        faster rows), or mapped, so that processes share one copy and pages are read when a forward wants them.

        Raises:
            NativeError: not a packed model, one of another version, or of another spec; no memory.
        """
        size = path.stat().st_size
        if not size:
            raise NativeError("image", f"The packed model {path} is empty; pack it anew.")
        image = _mapped(path, size) if mapped else _read(library, path, size)
        if library.c.native_image_check(image.address, size):
            raise NativeError("image", f"{path} is not a packed model of this version; pack it anew.")
        c_spec, c_layers = spec.to_c()
        if not library.c.native_image_matches(image.address, c_spec, c_layers):
            raise NativeError("image", f"The packed model {path} is of another spec; pack it anew.")
        return NativeModel(library, spec, image)

    def new_cache(self, capacity: int) -> NativeCache:
        return NativeCache(self, capacity)

    def forward(self, segments: Sequence[Segment], taps: Sequence[int] = ()) -> Forwarded:
        """All rows of all segments in one call; keys and values go to slots committed.. of each cache.

        Raises:
            NativeError: rows that are no tree, a token outside the vocabulary, a full, foreign or doubled cache.
        """
        if not segments or any(
            len(one.parents) != len(one.tokens) or len(one.depths) != len(one.tokens) for one in segments
        ):
            raise NativeError("argument", "A forward needs segments whose tokens, parents and depths are equally long.")
        if len(segments) == 1:
            one = segments[0]
            tokens, parents, depths = _ints(one.tokens), _ints(one.parents), _ints(one.depths)
        else:
            tokens = _ints(np.concatenate([one.tokens for one in segments]))
            parents = _ints(np.concatenate([one.parents for one in segments]))
            depths = _ints(np.concatenate([one.depths for one in segments]))
        c_segments = (abi.CSegment * len(segments))(
            *(abi.CSegment(one.cache.handle, one.committed, len(one.tokens)) for one in segments)
        )
        rows = len(tokens)
        layers = _ints(np.asarray(taps, np.int32))
        hidden = np.empty((rows, self.spec.hidden), np.float32)
        tapped = np.empty((len(taps), rows, self.spec.hidden), np.float32)
        check(
            self.library.c.native_forward(
                self.handle,
                c_segments,
                len(segments),
                tokens.ctypes.data,
                parents.ctypes.data,
                depths.ctypes.data,
                layers.ctypes.data,
                len(taps),
                tapped.ctypes.data,
                hidden.ctypes.data,
            )
        )
        return Forwarded(hidden, tapped)

    def logits(self, hidden: Floats, out: Floats | None = None) -> Floats:
        """Logits [rows, V] of hidden rows [rows, H] that `forward` gave; into `out` where it is given."""
        hidden = np.ascontiguousarray(hidden, np.float32)
        if hidden.ndim != 2 or hidden.shape[1] != self.spec.hidden:
            raise NativeError("argument", f"Hidden rows are {hidden.shape}, but must be [rows, {self.spec.hidden}].")
        shape = (len(hidden), self.spec.vocabulary)
        logits = np.empty(shape, np.float32) if out is None else out
        if logits.shape != shape or logits.dtype != np.float32 or not logits.flags.c_contiguous:
            raise NativeError("argument", f"Logits go to float32 rows {shape}, but `out` is {logits.shape}.")
        check(self.library.c.native_logits(self.handle, hidden.ctypes.data, len(hidden), logits.ctypes.data))
        return logits


def _ints(values: Ints) -> Ints:
    return np.ascontiguousarray(values, np.int32)


def _free_model(library: NativeLibrary, image: Image, handle: ctypes.c_void_p) -> None:
    """Library and image are arguments so that they outlive the model."""
    library.c.native_model_free(handle)


class NativeCache:
    """Keys and values of one sequence, room for `capacity` tokens and the rows of a forward."""

    def __init__(self, model: NativeModel, capacity: int) -> None:
        handle = ctypes.c_void_p()
        check(model.library.c.native_cache_new(model.handle, capacity, ctypes.byref(handle)))
        self.model, self.capacity, self.handle = model, capacity, handle
        weakref.finalize(self, _free_cache, model, handle)

    def commit(self, committed: int, path: Sequence[int] | Ints) -> int:
        """Keeps the rows `path` of the last forward as tokens committed..; returns the new committed count."""
        kept = np.ascontiguousarray(path, np.int32)
        check(self.model.library.c.native_cache_commit(self.handle, committed, kept.ctypes.data, len(kept)))
        return committed + len(kept)


def _free_cache(model: NativeModel, handle: ctypes.c_void_p) -> None:
    model.library.c.native_cache_free(handle)
