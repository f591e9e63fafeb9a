"""What a person named becomes a pair in memory: device, dtype, kernels, base model, tokenizer, drafter.

Resolves every `auto` once. Knows where models come from and what they cost here; nothing of prompts and runs.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from kernels import KernelSet, kernel_set
from playground.base_model.adapter import BaseModel
from playground.base_model.pairing import pair_drafter
from playground.calibration import CostFile, Costs, fastest_drafting, known_costs, offered
from playground.config import CostCurve, EngineOptions, PlaygroundError, parse_device_map
from playground.drafter.cell import Drafter
from playground.drafter.file import load_drafter, read_card
from playground.files import cache_folder
from playground.footprint import free_bytes
from playground.memory import readable_bytes
from playground.progress import Report, silent
from playground.sources.catalogue import DEFAULT_DRAFTER_FOLDER, ModelFolder, resolve_base, resolve_drafter
from playground.sources.checkpoint import read_config, weights_bytes
from playground.sources.default_base import DEFAULT_BASE
from playground.sources.tokenizer import Tokenizer
from playground.trace import Progress


@dataclass(frozen=True)
class Pair:
    """A base model with its tokenizer and, where there is one, a drafter bound to it; every `auto` resolved."""

    base: BaseModel
    tokenizer: Tokenizer
    drafter: Drafter | None
    drafter_card: str  # Markdown, empty where there is none
    device: torch.device
    dtype: str
    engine: str
    kernels: KernelSet
    costs: Costs  # measured steps by dtype; empty where they were not measured
    curve: CostCurve | None = None  # what steps cost here by nodes; None where it was not measured


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
    kernels = resolve_kernels(options, device)
    engine = resolve_engine(options, device, kernels)
    drafter_folder = None
    of_default_pair = base in (None, DEFAULT_BASE) and DEFAULT_DRAFTER_FOLDER.is_dir()
    if drafter is not None or of_default_pair:
        drafter_folder = resolve_drafter(drafter, _span(tell, "Finding the drafter", 0.0, 0.05))
    loaded_drafter = load_drafter(drafter_folder.path) if drafter_folder else None
    folder = resolve_base(base, _span(tell, "Finding the base model", 0.05, 0.6))
    tokenizer = Tokenizer.load(folder.path)

    def load(name: str, report: Report) -> BaseModel:
        return BaseModel.load(
            base,
            device=device,
            dtype=getattr(torch, name),
            kernels=kernels,
            progress=report,
            device_map=parse_device_map(options.device_map) if options.device_map else None,
        )

    measuring = _span(tell, "Measuring this machine", 0.6, 0.8)
    costs, dtype = _choose_dtype(folder, options, device, lambda name: load(name, silent), measuring)
    model = load(dtype, _span(tell, "Loading the base model", 0.8, 0.95))
    bound = None
    if loaded_drafter and drafter_folder:
        _span(tell, "Loading the drafter", 0.95, 1.0)(0.0, drafter_folder.name)
        bound = pair_drafter(loaded_drafter, model)
    tell(Progress("Ready", 1.0, folder.name))
    card = read_card(drafter_folder.path) if drafter_folder else ""
    return Pair(model, tokenizer, bound, card, model.device, dtype, engine, kernels, costs)


def quiet_transformers() -> None:
    """No bars and no advice from transformers and accelerate: ours is the only progress people see."""
    from transformers.utils import logging as transformers_logging

    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    logging.getLogger("accelerate").setLevel(logging.ERROR)


def resolve_device(name: str) -> torch.device:
    """The device behind a name; `auto` takes CUDA, then MPS, then the CPU.

    Raises:
        PlaygroundError: no such device here.
    """
    has_mps = torch.backends.mps.is_available()
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "mps" if has_mps else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise PlaygroundError(f"Device is {name!r}, but must be auto, cpu, cuda, cuda:N or mps.") from error
    here = {"cpu": 1, "cuda": torch.cuda.device_count(), "mps": int(has_mps)}.get(device.type, 0)
    if (device.index or 0) >= here:
        raise PlaygroundError(
            f"Device is {name!r}, but this machine has {here} of kind {device.type!r} that PyTorch can use. "
            "Use auto or cpu, or install a PyTorch build for that device."
        )
    return device


def options_with_map(options: EngineOptions) -> EngineOptions:
    """With a device map: the engine and the kernels that can follow it.

    Raises:
        PlaygroundError: another device, engine or kernels were asked for besides, or exact mode.
    """
    if options.device_map is None:
        return options
    if options.device != "auto":
        raise PlaygroundError(
            f"Device is {options.device!r} and the device map {options.device_map!r}, but a map says itself where the "
            "model goes. Leave the device at auto, or leave the map out."
        )
    if options.exact or options.engine not in ("auto", "eager"):
        asked = "exact mode" if options.exact else f"engine {options.engine!r}"
        raise PlaygroundError(
            f"A device map needs the eager engine, but {asked} keeps the whole model on one device. "
            "Leave one of the two out."
        )
    if options.kernels not in ("auto", "reference"):
        raise PlaygroundError(
            f"Kernels are {options.kernels!r}, which run on the first GPU alone, but a device map may use several "
            "devices. Use kernels auto or reference, or leave the map out."
        )
    return replace(options, engine="eager", kernels="reference")


def main_device(options: EngineOptions) -> torch.device:
    """The device that a pair decodes on: with a device map, the first GPU that it names.

    Raises:
        PlaygroundError: no such device here.
    """
    if options.device_map is None:
        return resolve_device(options.device)
    named = parse_device_map(options.device_map)
    if isinstance(named, str):
        return resolve_device("auto")
    places = [f"cuda:{place}" if isinstance(place, int) else place for place in named.values() if place != "disk"]
    devices = [resolve_device(place) for place in places]
    return next((device for device in devices if device.type != "cpu"), torch.device("cpu"))


def resolve_engine(options: EngineOptions, device: torch.device, kernels: KernelSet) -> str:
    """The engine that runs: captured where the kernels can be on CUDA, eager elsewhere.

    Raises:
        PlaygroundError: one was asked for that cannot run here.
    """
    if options.engine == "captured" and device.type != "cuda":
        raise PlaygroundError(
            f"Engine is 'captured', which replays CUDA graphs, but the device is {device.type!r}. Use auto or eager."
        )
    if options.engine == "captured" and kernels.reads_device:
        raise PlaygroundError(
            f"Engine is 'captured', but kernels are {kernels.name!r}, which ask the device for numbers while they run, "
            "and a CUDA graph cannot. Use kernels auto or triton, or engine eager."
        )
    graphs = device.type == "cuda" and not kernels.reads_device
    return options.engine if options.engine != "auto" else "captured" if graphs else "eager"


def resolve_kernels(options: EngineOptions, device: torch.device) -> KernelSet:
    """The operations the engine uses.

    Raises:
        PlaygroundError: Triton, or exact mode with it, was asked for where it cannot run.
    """
    if options.exact and (device.type != "cuda" or options.kernels == "reference"):
        raise PlaygroundError(
            f"Exact mode needs the Triton kernels on a CUDA device, but the device is {device.type!r} and kernels are "
            f"{options.kernels!r}. Use dtype float32, in which both lanes agree but for rounding at near ties."
        )
    try:
        found = kernel_set(options.kernels, device, exact=options.exact)
    except ValueError as error:
        raise PlaygroundError(str(error)) from error
    if options.dtype != "auto" and not found.takes(getattr(torch, options.dtype)):
        raise PlaygroundError(
            f"Dtype is {options.dtype!r}, but the {found.name} kernels compute in {_listed(found)}. "
            "Use one of these, or --kernels reference."
        )
    if found.first_gpu_only and device.index:
        raise PlaygroundError(
            f"Device is '{device}', but the {found.name} kernels run on the first GPU that this process sees. "
            f"Start with CUDA_VISIBLE_DEVICES={device.index} and --device cuda, or use --kernels reference."
        )
    return found


def _listed(kernels: KernelSet) -> str:
    """The dtypes a set computes in, as people read them."""
    *others, last = (str(dtype).removeprefix("torch.") for dtype in kernels.dtypes or ())
    return f"{', '.join(others)} and {last}"


def _choose_dtype(
    folder: ModelFolder, options: EngineOptions, device: torch.device, load: Callable[[str], BaseModel], report: Report
) -> tuple[Costs, str]:
    """The costs of the dtypes on offer and the one to run in: the asked for, else the fastest to draft in."""
    if device.type == "mps" and options.dtype == "float64":
        raise PlaygroundError("Dtype is 'float64', which MPS devices do not have. Use float32, or --device cpu.")
    room = free_bytes(device)
    spread = options.device_map is not None  # accelerate finds room elsewhere, on disk if need be
    names = tuple(name for name in offered(device) if spread or 1.25 * _weight_bytes(folder.path, name) < room)
    if options.dtype != "auto":
        names = tuple(dict.fromkeys((*names, options.dtype)))
    if not names:
        small = min(_weight_bytes(folder.path, name) for name in offered(device))
        raise PlaygroundError(
            f"{folder.name} needs about {readable_bytes(1.25 * small)} of memory, and {readable_bytes(room)} are free. "
            "Spread it with --device-map auto, choose a smaller base model, or close other programs."
        )
    if len(names) == 1:
        return {}, names[0]
    key = f"{folder.path.resolve()} {weights_bytes(folder.path)} {read_config(folder.path, folder.name)}"
    key += f" {options.device_map}" if spread else ""
    costs = known_costs(CostFile(cache_folder(), key, device), names, load, report)
    return costs, fastest_drafting(costs) if options.dtype == "auto" else options.dtype


def _weight_bytes(folder: Path, dtype: str) -> int:
    """Bytes of the weights in a dtype, by the files' own."""
    config = read_config(folder, folder.name)
    stored: torch.dtype = getattr(
        torch, str(config.get("dtype") or config.get("torch_dtype") or "float32"), torch.float32
    )
    wanted: torch.dtype = getattr(torch, dtype)
    return weights_bytes(folder) * wanted.itemsize // stored.itemsize


def _span(tell: Callable[[Progress], None], stage: str, start: float, end: float) -> Report:
    """A stage's own 0..1 as its part of the whole."""
    return lambda done, message: tell(Progress(stage, start + (end - start) * min(max(done, 0.0), 1.0), message))
