"""Options that several verbs share, and what they mean as settings. Knows argparse and the settings only."""

from __future__ import annotations

import argparse
import sys
from typing import Any, get_args

from playground.config import (
    DEVICE_MAPS,
    MAX_BEAM_LENGTH,
    MAX_BEAM_WIDTH,
    MAX_NODES,
    BeamShape,
    DtypeName,
    EngineName,
    EngineOptions,
    KernelsName,
    Message,
    PlaygroundError,
    RunRequest,
    Sampling,
    nodes_name,
    parse_nodes,
    shown,
)
from playground.trace import Detail

DEFAULTS = RunRequest((Message("user", "-"),))


class Formatter(argparse.ArgumentDefaultsHelpFormatter):
    """Help that names defaults where there are any."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        plain = action.default is None or action.default is False
        return action.help if plain else super()._get_help_string(action)


def add_verb(verbs: Any, name: str, verb: Any, help: str) -> argparse.ArgumentParser:
    """A verb's parser; `verb` is called with the parsed arguments and returns the exit code."""
    made: argparse.ArgumentParser = verbs.add_parser(name, help=help, description=help, formatter_class=Formatter)
    made.set_defaults(verb=verb)
    return made


def add_json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print exactly one JSON object on standard output")


def add_pair(parser: argparse.ArgumentParser) -> None:
    """Which pair, and where it runs."""
    group = parser.add_argument_group("model")
    group.add_argument("--base", metavar="DIR_OR_ID", help="base model, a folder or a hub id (the default pair's)")
    group.add_argument("--drafter", metavar="DIR_OR_ID", help="drafter for it, a folder or a hub id")
    add_engine(group)


def add_engine(group: Any) -> None:
    group.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:N or mps")
    group.add_argument("--dtype", default="auto", choices=get_args(DtypeName), help="auto: measured once, then chosen")
    group.add_argument("--engine", default="auto", choices=get_args(EngineName), help="which engine decodes")
    group.add_argument("--kernels", default="auto", choices=get_args(KernelsName), help="whose operations it uses")
    add_device_map(group)
    group.add_argument(
        "--threads", type=int, metavar="N", help="default: one per core; eager engine: one per free core"
    )
    group.add_argument("--exact", action="store_true", help="both lanes equal bit for bit in bfloat16")


def add_device_map(group: Any) -> None:
    group.add_argument(
        "--device-map",
        metavar="MAP",
        help=f"spread the base model over several devices: {', '.join(DEVICE_MAPS)}, or JSON with each module's place",
    )


def add_run(parser: argparse.ArgumentParser) -> None:
    """One run's settings."""
    group = parser.add_argument_group("run")
    add_shape(group)
    add_sampling(group)


def add_shape(group: Any) -> None:
    measured = " (default: what pays best on this machine)"
    group.add_argument("--beam-width", type=int, metavar="W", help=f"1 to {MAX_BEAM_WIDTH}{measured}")
    group.add_argument("--beam-length", type=int, metavar="L", help=f"1 to {MAX_BEAM_LENGTH}{measured}")
    shape = DEFAULTS.shape
    words = f"nodes of a tree, 2 to {MAX_NODES}; auto: as many as pay; beams: the surviving beams"
    group.add_argument("--nodes", default=nodes_name(shape.nodes), metavar="N", help=words)
    group.add_argument("--no-copy-tail", action="store_true", help="no nodes that only repeat the text so far")


def add_sampling(group: Any) -> None:
    sampling = DEFAULTS.sampling
    group.add_argument("--max-new-tokens", type=int, default=DEFAULTS.max_new_tokens, metavar="N", help="limit")
    group.add_argument("--temperature", type=float, default=sampling.temperature, metavar="T", help="0 is greedy")
    group.add_argument("--top-k", type=int, default=sampling.top_k, metavar="K", help="0 keeps every token")
    group.add_argument("--top-p", type=float, default=sampling.top_p, metavar="P", help="1 keeps every token")
    group.add_argument("--seed", type=int, default=sampling.seed, help="of the sampling noise")


def add_prompt(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("prompt", help="what to say to the model; - reads standard input")
    parser.add_argument("--system", metavar="TEXT", help="a system turn before it")
    parser.add_argument("--no-chat-template", action="store_true", help="continue the plain text instead of a chat")


def add_prompt_file(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--prompts", required=True, metavar="FILE", help="Spec-Bench or MT-Bench style JSON lines")
    parser.add_argument("--limit", type=int, metavar="N", help="so many prompts, taken in turn from every category")


def engine_options(chosen: argparse.Namespace) -> EngineOptions:
    return EngineOptions(
        device=chosen.device,
        dtype=chosen.dtype,
        engine=chosen.engine,
        kernels=chosen.kernels,
        exact=chosen.exact,
        threads=chosen.threads,
        device_map=chosen.device_map,
    )


def sampling_of(chosen: argparse.Namespace) -> Sampling:
    return Sampling(chosen.temperature, chosen.top_k, chosen.top_p, chosen.seed)


def shape_of(chosen: argparse.Namespace, own: BeamShape | None = None) -> BeamShape:
    """The shape asked for; what was not said is the pair's `own`, or stands in for it until a pair is there."""
    own = own or BeamShape()
    width = own.width if chosen.beam_width is None else chosen.beam_width
    length = own.length if chosen.beam_length is None else chosen.beam_length
    return BeamShape(width, length, parse_nodes(chosen.nodes), copy_tail=not chosen.no_copy_tail)


def request_of(chosen: argparse.Namespace, shape: BeamShape, *, race: bool) -> RunRequest:
    """The request for the prompt on the command line."""
    system = (Message("system", chosen.system),) if chosen.system else ()
    return RunRequest(
        messages=(*system, Message("user", _prompt(chosen.prompt))),
        shape=shape,
        sampling=sampling_of(chosen),
        max_new_tokens=chosen.max_new_tokens,
        race=race,
        chat_template=not chosen.no_chat_template,
    )


def request_for(chosen: argparse.Namespace, prompt: str) -> RunRequest:
    """The request for a prompt from a file."""
    return RunRequest(
        messages=(Message("user", prompt),),
        shape=shape_of(chosen),
        sampling=sampling_of(chosen),
        max_new_tokens=chosen.max_new_tokens,
    )


def whole_numbers(text: str, most: int) -> tuple[int, ...]:
    """'1,2,4' or '1-4' as numbers from 1 to `most`.

    Raises:
        PlaygroundError: anything else.
    """
    found: list[int] = []
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        ends = [_short_number(end) for end in ((first, last) if dash else (first,))]
        if None in ends:
            raise PlaygroundError(f"{shown(text)} is no list of whole numbers. Write it like 1,2,4 or 1-4.")
        low, high = ends[0] or 0, ends[-1] or 0
        if not 1 <= low <= most or not 1 <= high <= most:
            raise PlaygroundError(f"{shown(text)} must hold whole numbers from 1 to {most}. Leave the others out.")
        found.extend(range(low, high + 1))
    return tuple(dict.fromkeys(found))


def _short_number(text: str) -> int | None:
    """A whole number that is not absurdly long; None for anything else."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= 18 else None


def _prompt(text: str) -> str:
    if text != "-":
        return text
    try:
        return sys.stdin.buffer.read().decode("utf-8")
    except UnicodeDecodeError as error:
        raise PlaygroundError(f"Standard input is not UTF-8 text ({error.reason}). Convert it first.") from error


def add_trace_detail(parser: argparse.ArgumentParser, where: str) -> None:
    """How much of a run its trace keeps."""
    parser.add_argument(
        "--trace-detail",
        default="full",
        choices=get_args(Detail),
        help=f"{where}: light leaves out beams and candidates that were not verified, half the size",
    )
