"""What `auto` becomes on this machine, and which options cannot go together: device, engine and kernels.

Knows devices and kernel sets; loads nothing.
"""

from __future__ import annotations

from dataclasses import replace

import torch

from kernels import KernelSet, kernel_set
from playground.config import EngineOptions, PlaygroundError, parse_device_map


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


def exactly(options: EngineOptions, device: str) -> EngineOptions:
    """The same options, in a number format and with kernels whose lanes agree: exact mode on CUDA; elsewhere float32,
    exact bit for bit on the native engine and, but for ties within rounding, on the eager one.

    Args:
        device: that the pair runs on now.
    """
    if device.startswith("cuda") and options.device_map is None:
        return replace(options, exact=True, kernels="triton")
    return replace(options, dtype="float32", engine="eager" if options.device_map is not None else "auto")


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


def wants_native(options: EngineOptions, device: torch.device) -> bool:
    """Whether the native engine is to be tried: asked for, or nothing else was on a CPU.

    Raises:
        PlaygroundError: it was asked for together with what it does not do.
    """
    eager_only = options.device_map is not None or options.kernels != "auto" or options.dtype in ("float16", "float64")
    if options.engine == "native" and (device.type != "cpu" or eager_only):
        raise PlaygroundError(
            f"Engine is 'native', which runs on the CPU in int8, bfloat16 or float32 with kernels of its own, but the "
            f"device is {device.type!r}, dtype {options.dtype!r}, kernels {options.kernels!r} and the device map "
            f"{options.device_map!r}. Leave the others out, or use engine auto."
        )
    if options.dtype == "int8" and (device.type != "cpu" or eager_only or options.engine not in ("auto", "native")):
        raise PlaygroundError("Dtype is 'int8', which the native engine alone has, on a CPU. Use --dtype auto.")
    return options.engine == "native" or (options.engine == "auto" and device.type == "cpu" and not eager_only)
