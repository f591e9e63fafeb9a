"""Widget values -> a request, and a request -> the command line that repeats it.

One order of widgets everywhere: the fields of `Widgets`. Knows no Gradio.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass

from playground.config import (
    BeamShape,
    EngineOptions,
    Message,
    PlaygroundError,
    RunRequest,
    Sampling,
    nodes_name,
    parse_nodes,
)
from playground.trace import Trace


@dataclass(frozen=True)
class Widgets:
    """Values of the left rail, as they come from the page."""

    prompt: str
    width: float
    length: float
    nodes: str  # budget: a number, auto, or beams for none
    new_tokens: float
    temperature: float
    top_p: float
    top_k: float
    seed: float
    race: bool
    chat_template: bool
    system: str | None

    @property
    def system_prompt(self) -> str:
        """Empty where there is none; a widget that was never unfolded has no value."""
        return (self.system or "").strip()


def run_request(widgets: Widgets, history: tuple[Message, ...] = (), own: BeamShape | None = None) -> RunRequest:
    """The request these widgets ask for.

    Args:
        history: earlier turns, when this is a follow-up.
        own: the pair's beam shape, for a width or length of 0.

    Raises:
        PlaygroundError: a value out of range, or an empty prompt.
    """
    system = (Message("system", widgets.system_prompt),) if widgets.system_prompt else ()
    earlier = tuple(message for message in history if message.role != "system")
    return RunRequest(
        messages=(*system, *earlier, Message("user", widgets.prompt or "")),
        shape=_shape(widgets, own or BeamShape()),
        sampling=Sampling(
            temperature=_number("Temperature", widgets.temperature),
            top_k=_whole("Top-k", widgets.top_k),
            top_p=_number("Top-p", widgets.top_p),
            seed=_whole("Seed", widgets.seed),
        ),
        max_new_tokens=_whole("New tokens", widgets.new_tokens),
        race=bool(widgets.race),
        chat_template=bool(widgets.chat_template),
    )


def _shape(widgets: Widgets, own: BeamShape) -> BeamShape:
    width, length = _whole("Beam width", widgets.width), _whole("Beam length", widgets.length)
    return BeamShape(width or own.width, length or own.length, parse_nodes(str(widgets.nodes or "auto")))


def history_of(trace: Trace) -> tuple[Message, ...]:
    """The chat of a finished run: its messages and its answer.

    Raises:
        PlaygroundError: the run has no answer yet.
    """
    if trace.footer is None:
        raise PlaygroundError("That run has no footer, so its answer is not known. Run a prompt first, then follow up.")
    messages = tuple(Message(role, content) for role, content in trace.header.messages)
    return (*messages, Message("assistant", trace.footer.text))


def command_line(widgets: Widgets, base: str | None, drafter: str | None, options: EngineOptions) -> str:
    """The same run from a terminal.

    Raises:
        PlaygroundError: a value out of range, or an empty prompt.
    """
    request = run_request(widgets)
    shape, sampling = request.shape, request.sampling
    words = ["python", "-m", "playground", "race" if request.race else "generate"]
    dashed = request.prompt.startswith("-")  # would be taken for a flag: goes last, behind `--`
    if not dashed:
        words.append(request.prompt)
    for flag, value, default in (
        ("--base", base, None),
        ("--drafter", drafter, None),
        ("--device", options.device, "auto"),
        ("--device-map", options.device_map, None),
        ("--dtype", options.dtype, "auto"),
        ("--engine", options.engine, "auto"),
        ("--kernels", options.kernels, "auto"),
        ("--system", widgets.system_prompt, ""),
    ):
        if value != default and value is not None:
            words += [flag, str(value)]
    words += ["--beam-width", str(shape.width)] if widgets.width else []
    words += ["--beam-length", str(shape.length)] if widgets.length else []
    if shape.nodes != BeamShape().nodes:
        words += ["--nodes", nodes_name(shape.nodes)]
    words += ["--max-new-tokens", str(request.max_new_tokens)]
    for flag, number, default_number in (
        ("--temperature", sampling.temperature, 0.0),
        ("--top-k", sampling.top_k, 0),
        ("--top-p", sampling.top_p, 1.0),
        ("--seed", sampling.seed, 0),
    ):
        if number != default_number:
            words += [flag, f"{number:g}" if isinstance(number, float) else str(number)]
    if options.exact:
        words.append("--exact")
    if not request.chat_template:
        words.append("--no-chat-template")
    if dashed:
        words += ["--", request.prompt]
    return " ".join(shlex.quote(word) for word in words)


def _whole(name: str, value: object) -> int:
    """A slider's value; out-of-range and fractional ones are left for the settings to refuse with their sentence."""
    number = _number(name, value)
    if number != int(number):
        raise PlaygroundError(f"{name} is {number!r}, but must be a whole number. Round it.")
    return int(number)


def _number(name: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or value != value or abs(value) > 1e15:
        raise PlaygroundError(f"{name} is {value!r}, but must be a number. Type one, or move its slider.")
    return value
