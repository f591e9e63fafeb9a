"""Options that name a base model to train for, and the author they mean: loaded eagerly, natively besides on a CPU.

Knows how bases are loaded; nothing of corpora and training.
"""

from __future__ import annotations

import argparse
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, get_args

from playground.cli.options import add_device_map
from playground.cli.terminal import LoadingBar, stop_on_interrupt
from playground.config import DtypeName, EngineOptions, PlaygroundError, parse_device_map

if TYPE_CHECKING:
    import torch

    from playground.base_model.native import NativeBase
    from playground.distill.author import Author
    from playground.sources.catalogue import ModelFolder
    from playground.sources.tokenizer import Tokenizer


def add_base(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("base model")
    group.add_argument("--base", metavar="DIR_OR_ID", help="a folder or a hub id (the default pair's)")
    group.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:N or mps")
    add_device_map(group)
    group.add_argument(
        "--dtype",
        default="auto",
        choices=[name for name in get_args(DtypeName) if name != "float64"],
        help="of the base model's weights; auto: int8 or better on the native engine, bfloat16 on the eager one",
    )
    group.add_argument(
        "--engine",
        default="auto",
        choices=("auto", "native", "eager"),
        help="which writes and reads the corpus; auto: the native one on a CPU, where the model fits it",
    )
    group.add_argument("--threads", type=int, metavar="N", help="of the native engine (default: one per core)")
    group.add_argument("--no-chat-template", action="store_true", help="write plain texts instead of chats")


@dataclass(frozen=True)
class Opened:
    """A base model as the author of a corpus, and its tokenizer."""

    author: Author
    tokenizer: Tokenizer


def open_author(chosen: argparse.Namespace) -> Opened:
    """The base model on this process's device.

    Raises:
        PlaygroundError: it cannot be found, loaded, or run as asked.
    """
    import torch

    from kernels import kernel_set
    from playground.base_model.adapter import BaseModel
    from playground.distill.author import Author
    from playground.distill.corpus.turns import chat_turns
    from playground.engine_options import options_with_map
    from playground.pair import quiet_transformers
    from playground.sources.catalogue import resolve_base
    from playground.sources.tokenizer import Tokenizer
    from playground.trace import Progress

    asked = EngineOptions(
        chosen.device, chosen.dtype, chosen.engine, threads=chosen.threads, device_map=chosen.device_map
    )
    options = options_with_map(asked)
    device = _own_device(options)
    bar = LoadingBar()
    quiet_transformers()
    try:
        folder = resolve_base(chosen.base, lambda done, text: bar(Progress("Finding the base model", done, text)))
        tokenizer = Tokenizer.load(folder.path)
        native = _native(folder, tokenizer, options, device, bar)
        base = BaseModel.load(
            chosen.base,
            device=device,
            dtype=getattr(torch, options.dtype if options.dtype not in ("auto", "int8") else "bfloat16"),
            kernels=kernel_set(options.kernels, device),
            progress=lambda done, text: bar(Progress("Loading the base model", done, text)),
            device_map=parse_device_map(options.device_map) if options.device_map else None,
        )
    finally:
        bar.close()
    turns = chat_turns(tokenizer, base.eos_ids, plain=chosen.no_chat_template)
    if turns.plain and not chosen.no_chat_template:
        _say(f"{folder.name} has no chat template: it writes and continues plain texts, without turns.")
    return Opened(Author(base, turns, tokenizer.fingerprint, native), tokenizer)


@contextmanager
def opened_then_stoppable(chosen: argparse.Namespace) -> Iterator[tuple[Opened, threading.Event]]:
    """The author, and the event that Ctrl-C sets from then on; while it is loaded, Ctrl-C just ends the program."""
    opened = open_author(chosen)
    with stop_on_interrupt() as stop:
        yield opened, stop


def _native(
    folder: ModelFolder, tokenizer: Tokenizer, options: EngineOptions, device: torch.device, bar: LoadingBar
) -> NativeBase | None:
    """The base model on the native engine, where that is asked for or is the one for this device and fits.

    Raises:
        PlaygroundError: it was asked for and cannot run here.
    """
    from kernels.native import NativeError
    from playground.base_model.native_loading import open_native
    from playground.distill.training.processes import Processes
    from playground.engine_options import wants_native
    from playground.trace import Progress

    processes = Processes.launched(device).world
    if processes > 1 and options.engine == "native":
        raise PlaygroundError(
            f"{processes} processes train together, but the native engine has the cores to itself. "
            "Use --engine eager, or start one process."
        )
    if processes > 1 or not wants_native(options, device):
        return None

    def report(done: float, text: str) -> None:
        bar(Progress("Loading the native engine", done, text))

    try:
        return open_native(folder, tokenizer, options, report)[0]
    except NativeError as error:
        if options.engine == "native" or options.dtype == "int8":
            raise PlaygroundError(str(error)) from error
        _say(f"The eager engine writes and reads the corpus, as the native one cannot: {error}")
        return None


def _own_device(options: EngineOptions) -> torch.device:
    """This process's device; several processes have one each.

    Raises:
        PlaygroundError: several processes and a device map.
    """
    from playground.distill.training.processes import Processes
    from playground.engine_options import main_device

    wanted = main_device(options)
    processes = Processes.launched(wanted)
    if options.device_map is not None and processes.world > 1:
        raise PlaygroundError(
            f"{processes.world} processes train together, each with a model of its own, but a device map spreads one "
            "model over all devices. Leave out --device-map, or start one process."
        )
    return processes.device(wanted)


def _say(line: str) -> None:
    print(line, file=sys.stderr)
