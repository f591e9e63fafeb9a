"""What a person named becomes a pair in memory: device, dtype, kernels, base model, tokenizer, drafter.

Resolves every `auto` once. Knows where models come from and what they cost here; nothing of prompts and runs.
"""

from __future__ import annotations

import hashlib
import logging
import platform
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch

from kernels.native import NativeError
from playground.base_model.adapter import BaseModel
from playground.base_model.native import NativeBase
from playground.base_model.native_image import fingerprint
from playground.base_model.native_loading import open_native
from playground.base_model.pairing import pair_drafter
from playground.calibration import CostFile, Costs, Known, StepCosts, fastest_drafting, known_costs, offered
from playground.config import BeamShape, CostCurve, EngineOptions, PlaygroundError, parse_device_map
from playground.decode.native_costs import best_shape, known_native_costs
from playground.drafter.cell import Drafter
from playground.drafter.file import load_drafter, read_card
from playground.drafter.native import NativeDraftModel
from playground.engine_options import main_device, options_with_map, resolve_engine, resolve_kernels, wants_native
from playground.files import cache_folder
from playground.memory import free_bytes, readable_bytes
from playground.progress import Report, silent
from playground.sources.catalogue import (
    DEFAULT_DRAFTER_FOLDER,
    ModelFolder,
    resolve_base,
    resolve_drafter,
    training_command,
)
from playground.sources.checkpoint import first_line, read_config, stored_dtype, weights_bytes
from playground.sources.default_base import DEFAULT_BASE
from playground.sources.tokenizer import Tokenizer
from playground.threads import free_cores
from playground.trace import Progress


@dataclass(frozen=True)
class Pair:
    """A base model with its tokenizer and, where there is one, a drafter bound to it; every `auto` resolved."""

    base: BaseModel | NativeBase
    tokenizer: Tokenizer
    training: str  # the command that trains a drafter for this base model
    drafter: Drafter | NativeDraftModel | None
    drafter_card: str  # Markdown, empty where there is none
    device: torch.device
    dtype: str
    engine: str
    kernels: str
    exact: bool  # both lanes agree bit for bit
    versions: Mapping[str, str]  # of what the kernels are made with
    costs: Costs  # measured steps by dtype; empty where they were not measured
    curve: Callable[[int], CostCurve] | None = None  # what steps cost here, by beam width; None: not measured
    shape: BeamShape = field(default_factory=BeamShape)  # the one to use where nobody chose
    notes: tuple[str, ...] = ()  # sentences on how it runs, for the person at the screen
    likelihood_change: float | None = None  # of a bundled text against float32


def load_pair(
    base: str | None, drafter: str | None, options: EngineOptions, progress: Callable[[Progress], None] | None = None
) -> Pair:
    """Load a pair; None means the default. A base model of one's own comes without a drafter unless one is named.

    Raises:
        PlaygroundError: anything that cannot be found, read, or held here.
    """
    tell = progress or (lambda _: None)
    quiet_transformers()
    options = options_with_map(options)
    device = main_device(options)
    native = wants_native(options, device)
    if not native:
        resolve_kernels(options, device)  # what cannot run is refused before anything is loaded
    drafter_folder = None
    of_default_pair = base in (None, DEFAULT_BASE) and DEFAULT_DRAFTER_FOLDER.is_dir()
    if drafter is not None or of_default_pair:
        drafter_folder = resolve_drafter(drafter, _span(tell, "Finding the drafter", 0.0, 0.05))
    loaded_drafter = load_drafter(drafter_folder.path) if drafter_folder else None
    folder = resolve_base(base, _span(tell, "Finding the base model", 0.05, 0.6))
    tokenizer, training = Tokenizer.load(folder.path), training_command(base)
    card = read_card(drafter_folder.path) if drafter_folder else ""
    notes: tuple[str, ...] = ()
    if native:
        try:
            report = _span(tell, "Loading", 0.6, 1.0)
            pair = _native_pair(folder, tokenizer, training, loaded_drafter, card, options, report)
            tell(Progress("Ready", 1.0, folder.name))
            return pair
        except NativeError as error:
            if options.engine == "native":
                raise PlaygroundError(str(error)) from error
            notes = (f"Decoding runs on the eager engine, as the native one cannot: {error}",)
    kernels = resolve_kernels(options, device)
    engine = resolve_engine(options, device, kernels)
    if device.type == "cpu":
        torch.set_num_threads(options.threads or free_cores())

    def load(name: str, report: Report) -> BaseModel:
        return BaseModel.load(
            base,
            device=device,
            dtype=getattr(torch, name),
            kernels=kernels,
            progress=report,
            device_map=parse_device_map(options.device_map) if options.device_map else None,
        )

    held: dict[str, BaseModel] = {}  # one at a time, as two might have no room

    def hold(name: str, report: Report = silent) -> BaseModel:
        if name not in held:
            held.clear()
            held[name] = load(name, report)
        return held[name]

    measuring = _span(tell, "Measuring this machine", 0.6, 0.8)
    known, dtype = _choose_dtype(folder, options, device, hold, measuring)
    notes += tuple(_cannot(name, dtype, error) for name, error in known.failed.items())
    model = hold(dtype, _span(tell, "Loading the base model", 0.8, 0.95))
    bound = None
    if loaded_drafter and drafter_folder:
        _span(tell, "Loading the drafter", 0.95, 1.0)(0.0, drafter_folder.name)
        bound = pair_drafter(loaded_drafter, model)
    tell(Progress("Ready", 1.0, folder.name))
    return Pair(
        base=model,
        tokenizer=tokenizer,
        training=training,
        drafter=bound,
        drafter_card=card,
        device=model.device,
        dtype=dtype,
        engine=engine,
        kernels=kernels.name,
        exact=kernels.exact,
        versions=kernels.versions,
        costs=known.costs,
        notes=notes,
    )


def _native_pair(
    folder: ModelFolder,
    tokenizer: Tokenizer,
    training: str,
    drafter: Drafter | None,
    card: str,
    options: EngineOptions,
    report: Report,
) -> Pair:
    """The pair on the native engine.

    Raises:
        NativeError: the library or the model cannot run here. PlaygroundError: something is wrong with the model.
    """
    base, measured = open_native(folder, tokenizer, options, report)
    bound = costs = None
    if drafter:
        bound = NativeDraftModel.of(drafter, base.model, base.name)
        base.set_taps(bound.taps)
        costs = known_native_costs(cache_folder() / "native", _costs_key(folder, base, bound), base, bound, report)
    return Pair(
        base=base,
        tokenizer=tokenizer,
        training=training,
        drafter=bound,
        drafter_card=card,
        device=base.device,
        dtype=base.format,
        engine="native",
        kernels=base.kernels,
        exact=True,
        versions={},
        costs={name: StepCosts(found.plain_ms, found.tree_ms) for name, found in measured.items()},
        notes=base.notes,
        likelihood_change=base.facts.likelihood.change if base.facts.likelihood else None,
        curve=costs.curve if costs else None,
        shape=best_shape(costs) if costs else BeamShape(),
    )


def _costs_key(folder: ModelFolder, base: NativeBase, drafter: NativeDraftModel) -> str:
    """All that the costs of steps hang on: weights, format, drafter, instruction set, threads, machine."""
    library, of_drafter = base.model.library, drafter.info()
    told = f"{platform.node()} {fingerprint(folder)} {base.format} {of_drafter.file_hash} {of_drafter.config_hash}"
    told += f" {library.path.name} {library.isa.name} {library.threads}"
    return hashlib.sha256(told.encode()).hexdigest()[:20]


def quiet_transformers() -> None:
    """No bars and no advice from transformers and accelerate: ours is the only progress people see."""
    from transformers.utils import logging as transformers_logging

    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    logging.getLogger("accelerate").setLevel(logging.ERROR)


def _choose_dtype(
    folder: ModelFolder, options: EngineOptions, device: torch.device, load: Callable[[str], BaseModel], report: Report
) -> tuple[Known, str]:
    """What is known of the dtypes and the one to run in: the asked for, and no other is loaded, else the fastest.

    Raises:
        PlaygroundError: there is no room for any. Exception: what the only one, or all that were tried, failed with.
    """
    if device.type == "mps" and options.dtype == "float64":
        raise PlaygroundError("Dtype is 'float64', which MPS devices do not have. Use float32, or --device cpu.")
    room = free_bytes(device)
    spread = options.device_map is not None  # accelerate finds room elsewhere, on disk if need be
    if options.dtype != "auto":
        names: tuple[str, ...] = (options.dtype,)
    else:
        names = tuple(name for name in offered(device) if spread or 1.25 * _weight_bytes(folder.path, name) < room)
    if not names:
        small = min(_weight_bytes(folder.path, name) for name in offered(device))
        raise PlaygroundError(
            f"{folder.name} needs about {readable_bytes(1.25 * small)} of memory, and {readable_bytes(room)} are free. "
            "Spread it with --device-map auto, choose a smaller base model, or close other programs."
        )
    if len(names) == 1 and (options.dtype == "auto" or len(offered(device)) == 1):
        return Known({}, {}), names[0]
    key = f"{folder.path.resolve()} {weights_bytes(folder.path)} {read_config(folder.path, folder.name)}"
    key += f" {options.device_map}" if spread else ""
    file = CostFile(cache_folder(), key, device)
    known = known_costs(file, names, load, report)
    if not known.costs:
        raise next(iter(known.failed.values()))
    earlier = {name: cost for name, cost in file.read().items() if name in offered(device) and name not in known.failed}
    return Known(earlier | known.costs, known.failed), fastest_drafting(known.costs)


def _cannot(name: str, dtype: str, error: Exception) -> str:
    return f"It runs in {dtype}, as {name} could not be measured: {first_line(error)}"


def _weight_bytes(folder: Path, dtype: str) -> int:
    """Bytes of the weights in a dtype, by the files' own."""
    stored: torch.dtype = getattr(torch, stored_dtype(read_config(folder, folder.name)), torch.float32)
    wanted: torch.dtype = getattr(torch, dtype)
    return weights_bytes(folder) * wanted.itemsize // stored.itemsize


def _span(tell: Callable[[Progress], None], stage: str, start: float, end: float) -> Report:
    """A stage's own 0..1 as its part of the whole."""
    return lambda done, message: tell(Progress(stage, start + (end - start) * min(max(done, 0.0), 1.0), message))
