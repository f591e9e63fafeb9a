"""A recorded run asked for again: the request it was, whether the pair is its own, what stands otherwise here.

Knows records and requests; runs nothing.
"""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from playground.config import BeamShape, Message, PlaygroundError, RunRequest, Sampling
from playground.figures.format import harmless
from playground.trace import Header, ModelInfo, RunSettings, Trace

CONDITIONS = ("device", "dtype", "engine", "kernels", "versions")


def request_again(recorded: Trace) -> RunRequest:
    """The request that made a trace; one that was stopped is asked for as far as it went."""
    settings = recorded.header.settings
    written = len(recorded.redrafter_tokens)
    return RunRequest(
        messages=tuple(Message(role, content) for role, content in recorded.header.messages),
        shape=_shape(settings),
        sampling=Sampling(settings.temperature, settings.top_k, settings.top_p, settings.seed),
        max_new_tokens=max(1, written) if recorded.stopped else settings.max_new_tokens,
        race=settings.race,
        chat_template=settings.chat_template,
    )


def require_base(recorded: Header, loaded: ModelInfo, remedy: str) -> None:
    """Refuse to make a run again with another base model.

    Raises:
        PlaygroundError: both models, and the remedy, which hangs on who asks.
    """
    if loaded.config_hash != recorded.base.config_hash:
        made_by = harmless(f"{recorded.base.name} ({recorded.base.config_hash[:12]})")
        raise PlaygroundError(
            f"The trace was made by {made_by}, but {loaded.name} ({loaded.config_hash[:12]}) is loaded, another model. "
            f"{remedy}"
        )


def expectation(recorded: Header, here: Header) -> str:
    """Whether a difference between a run and the same run made again would be a surprise."""
    apart = [name for name in CONDITIONS if getattr(recorded, name) != getattr(here, name)]
    if recorded.settings.nodes == "auto" and recorded.costs != here.costs:
        apart.append("the costs by which budgets were chosen")
    if not apart:
        return "Made under the same conditions, so all of it should agree. Times are another moment's."
    return f"Made under other conditions ({', '.join(apart)}): near ties may fall otherwise. Times are not comparable."


def _shape(settings: RunSettings) -> BeamShape:
    """The beam shape; what it has beside width and length stands in the record under the same name."""
    beside = {field.name for field in fields(BeamShape)} - {"width", "length"}
    more: dict[str, Any] = {name: getattr(settings, name) for name in beside}
    return BeamShape(settings.beam_width, settings.beam_length, **more)
