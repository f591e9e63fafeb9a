"""Loads a base model onto the native engine: the packed image of an earlier start, or the stock model, packed once.

The number format is the asked one, or the fastest whose likelihood on a bundled text is float32's within a small share.
Knows nothing of drafters and decoding.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

from kernels.native import LayerSpec, ModelSpec, NativeError, NativeLibrary, NativeModel, Segment, build
from kernels.native.from_transformers import FAMILIES, read_spec, read_weights
from kernels.native.spec import FORMATS, Format
from playground.base_model.description import eos_ids, model_info
from playground.base_model.native import Likelihood, NativeBase, NativeFacts
from playground.base_model.native_check import check_against, negative_log_likelihood, stock_logits
from playground.base_model.native_image import fingerprint, image_folder, read_image, write_image
from playground.base_model.refusals import refuse_by_flags
from playground.base_model.stock import load_transformers_model
from playground.config import EngineOptions
from playground.files import cache_folder, write_json
from playground.progress import Report
from playground.sources.catalogue import ModelFolder
from playground.sources.checkpoint import read_config, stored_dtype, weights_bytes
from playground.sources.tokenizer import Tokenizer

LIKELIHOOD_TEXT = Path(__file__).resolve().parents[2] / "assets" / "text" / "likelihood.txt"
WORST_CHANGE = -0.005  # of the likelihood, for a format to be chosen unasked
INSTALL_VARIABLE = "REDRAFTER_INSTALL_COMPILER"
_LARGEST_WIDENED = 6 * 2**30  # bytes of a stock model in float32; larger ones are loaded as they are stored
_TREE, _CONTEXT, _REPEATS = 12, 64, 9


@lru_cache(maxsize=4)
def _opened(threads: int | None, isa: str | None) -> NativeLibrary:
    """One pool of threads for all models of this process."""
    return NativeLibrary.open(cache_folder() / "native", isa, threads)


def open_library(threads: int | None, report: Report) -> NativeLibrary:
    """The native library, built at the first start.

    Raises:
        NativeError: it cannot be built or does not run here, with the reason.
    """
    isa = os.environ.get("REDRAFTER_NATIVE_ISA")
    report(0.0, "Building the CPU kernels, once")
    try:
        return _opened(threads, isa)
    except NativeError as error:
        if error.kind != "no-compiler":
            raise
        if os.environ.get(INSTALL_VARIABLE) != "1":
            raise NativeError(
                error.kind,
                f"{error} As a command: pip install {build.COMPILER_WHEEL}, or {INSTALL_VARIABLE}=1 before starting.",
            ) from error
    report(0.1, f"Installing {build.COMPILER_WHEEL}, once")
    build.install_compiler()
    return _opened(threads, isa)


def open_native(
    folder: ModelFolder, tokenizer: Tokenizer, options: EngineOptions, report: Report
) -> tuple[NativeBase, dict[str, Measured]]:
    """The library and the base model on it, as options ask; and what was measured to choose the format.

    Raises:
        NativeError: either cannot run here. PlaygroundError: the model cannot be loaded, or its logits are wrong.
    """
    require_fit(folder)
    library = open_library(options.threads, report)
    ids = tokenizer.encode_text(LIKELIHOOD_TEXT.read_text(encoding="utf-8"))
    return load_native(folder, library, options.dtype, ids, report)


def require_fit(folder: ModelFolder) -> None:
    """Refuse by config.json, before anything is loaded, what the kernels do not have.

    Raises:
        NativeError: the family or a size, in a sentence.
    """
    config = read_config(folder.path, folder.name)
    family = config.get("model_type")
    if family not in FAMILIES:
        raise NativeError("spec", f"Models of type {family!r} have no native forward.")
    heads = int(config.get("num_attention_heads") or 1)
    ModelSpec(  # refuses sizes
        format="float32",
        hidden=int(config["hidden_size"]),
        inner=int(config["intermediate_size"]),
        heads=heads,
        key_value_heads=int(config.get("num_key_value_heads") or heads),
        head_dim=int(config.get("head_dim") or config["hidden_size"] // heads),
        vocabulary=int(config["vocab_size"]),
        layers=(LayerSpec(),),
        rotaries=(),
        attention_scale=1.0,
        norm_eps=1e-6,
    )


@dataclass(frozen=True)
class Measured:
    """A format on this machine: milliseconds of a plain step and of a small tree, and its likelihood."""

    plain_ms: float
    tree_ms: float
    likelihood: Likelihood


class Packer:
    """Loads the stock model when it is first wanted, and packs and checks formats of it."""

    def __init__(self, folder: ModelFolder, library: NativeLibrary, ids: Sequence[int], report: Report) -> None:
        self.folder, self.library, self.ids, self.report = folder, library, ids, report

    @cached_property
    def stored(self) -> str:
        return stored_dtype(read_config(self.folder.path, self.folder.name))

    @property
    def exact(self) -> Format:
        """The smallest format with float32's own numbers."""
        return "bfloat16" if self.stored == "bfloat16" else "float32"

    @cached_property
    def _stock(self) -> Any:
        self.report(0.1, f"Loading {self.folder.name}, to be packed once")
        stored: torch.dtype = getattr(torch, self.stored, torch.float32)
        wide = weights_bytes(self.folder.path) * 4 // stored.itemsize
        dtype = torch.float32 if wide <= _LARGEST_WIDENED else stored
        model = load_transformers_model(self.folder, device=torch.device("cpu"), dtype=dtype, device_map=None)
        refuse_by_flags(model)
        return model.requires_grad_(False)

    @cached_property
    def _expected(self) -> list[torch.Tensor]:
        return stock_logits(self._stock, self._stock.get_output_embeddings().weight.shape[0], self.ids)

    def pack(self, format: Format) -> NativeBase:
        """Packed and checked against the stock model.

        Raises:
            NativeError: it does not fit the kernels. PlaygroundError: its logits are wrong.
        """
        self.report(0.3, f"Packing {self.folder.name} as {format}, once")
        spec = read_spec(self._stock, format)
        info = model_info(self._stock, self.folder.name, spec.vocabulary)
        facts = NativeFacts(spec, info, tuple(sorted(eos_ids(self._stock))), None)
        base = NativeBase(NativeModel.of(self.library, spec, read_weights(self._stock, spec)), facts)
        check_against(base, self._expected, self.ids, exact=format in ("float32", self.exact))
        return base

    def measure(self, base: NativeBase, exact: float | None) -> Measured:
        """Time and likelihood; `exact` is float32's, None where this is it."""
        self.report(0.6, f"Measuring {base.format}, once")
        ids = self.ids[: base.window]
        nats = negative_log_likelihood(base, ids)
        likelihood = Likelihood(nats, nats if exact is None else exact)
        return Measured(forward_ms(base, 1), forward_ms(base, _TREE), likelihood)


def forward_ms(base: NativeBase, nodes: int, context: int = _CONTEXT, repeats: int = _REPEATS) -> float:
    """Milliseconds of a forward over `nodes` and of their logits: the best of several, as other work only adds."""
    model = base.model
    context = max(1, min(context, base.window - nodes))
    cache = base.filled_cache(context, nodes)
    tokens = np.arange(nodes, dtype=np.int32) % base.vocab_size
    segment, logits = Segment.chain(cache, context, tokens), np.empty((nodes, base.vocab_size), np.float32)
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        model.logits(model.forward([segment]).hidden, logits)
        times.append((time.perf_counter() - start) * 1e3)
    return min(times[1:])


def load_native(
    folder: ModelFolder, library: NativeLibrary, asked: str, ids: Sequence[int], report: Report
) -> tuple[NativeBase, dict[str, Measured]]:
    """The base model in the asked format, or in the one that is chosen for "auto"; and what was measured to choose.

    Args:
        ids: of a text whose likelihood is measured.

    Raises:
        NativeError: it does not fit the kernels. PlaygroundError: it cannot be loaded, or its logits are wrong.
    """
    if asked != "auto" and asked not in FORMATS:
        raise NativeError("spec", f"Dtype is {asked!r}, but the native engine keeps weights as {', '.join(FORMATS)}.")
    model = fingerprint(folder)
    file = _choice_file(model, library)
    known = _read_choice(file)
    format = choose(known) if asked == "auto" and known else asked
    if format != "auto":
        base = read_image(image_folder(model, _named(format)), library)
        if base is not None:
            return base, known
    packer = Packer(folder, library, ids, report)
    if format != "auto" and format in ("float32", packer.exact):
        base = packer.pack(_named(format))
    else:
        base, known = _measured(packer, asked, known)
        _write(lambda: write_json(file, {name: asdict(found) for name, found in known.items()}))
    _write(lambda: write_image(image_folder(model, base.format), base))
    return base, known


def choose(found: dict[str, Measured]) -> Format:
    """The format whose tree is fastest among those that cost next to no likelihood."""
    good = {name: one for name, one in found.items() if one.likelihood.change >= WORST_CHANGE}
    return _named(min(good or found, key=lambda name: found[name].tree_ms))


def _measured(packer: Packer, asked: str, known: dict[str, Measured]) -> tuple[NativeBase, dict[str, Measured]]:
    """float32's own numbers first, then the others beside them."""
    base = packer.pack(packer.exact)
    found: dict[str, Measured] = {packer.exact: packer.measure(base, None)}
    exact = found[packer.exact].likelihood.nats
    for format in ("int8",) if asked == "auto" else (asked,):
        rounded = packer.pack(_named(format))
        found[format] = packer.measure(rounded, exact)
        facts = replace(rounded.facts, likelihood=found[format].likelihood)
        rounded = NativeBase(rounded.model, facts)
        if asked == format or (asked == "auto" and choose(found) == format):
            base = rounded
    return base, {**known, **found}


def _named(text: str) -> Format:
    return next(format for format in FORMATS if format == text)


def _choice_file(model: str, library: NativeLibrary) -> Path:
    return cache_folder() / "native" / f"{model}-{library.isa.name}-{library.threads}.json"


def _read_choice(file: Path) -> dict[str, Measured]:
    """What was measured; a file that is missing or damaged means nothing was."""
    try:
        told = json.loads(file.read_text(encoding="utf-8"))
        return {
            str(_named(name)): Measured(float(one["plain_ms"]), float(one["tree_ms"]), Likelihood(**one["likelihood"]))
            for name, one in told.items()
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError, StopIteration):
        return {}


def _write(write: Any) -> None:
    """A cache folder that cannot be written to only means doing it again next time."""
    try:
        write()
    except OSError:
        return
