"""The text of both lanes, token by token, with the origin of each.

Grows with the trace: `catch_up` reads only what it has not seen, so a frame of a long run costs no more than that of
a short one. Knows nothing of colours.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from playground.trace import StepRecord, Trace
from playground.views.token_text import RunningText

Origin = Literal["prompt", "accepted", "picked", "plain"]


@dataclass(frozen=True)
class TextItem:
    """One token of running text; a character of several tokens stands with the token that completes it."""

    text: str
    origin: Origin  # prompt: picked by the prompt's own forward, before any step
    step: int  # index of the step that emitted it, -1 for the first token


class LaneText:
    """Running text of one lane, append-only."""

    def __init__(self) -> None:
        self.items: list[TextItem] = []
        self._text = RunningText()

    def add(self, token: int, token_bytes: Mapping[int, bytes], origin: Origin, step: int) -> None:
        self.items.append(TextItem(self._text.feed(token_bytes.get(token, b"")), origin, step))

    @property
    def text(self) -> str:
        return "".join(item.text for item in self.items)


class RunText:
    """Both lanes of a trace."""

    def __init__(self) -> None:
        self.redrafter = LaneText()
        self.plain = LaneText()
        self._started = False
        self._steps = 0
        self._plain = 0

    def catch_up(self, trace: Trace) -> RunText:
        """Take in the records that arrived since the last call."""
        first = trace.prompt("redrafter")
        if not self._started and first is not None:
            self._started = True
            self.redrafter.add(first.first_root, first.token_bytes, "prompt", -1)
        if self._started:
            for step in trace.steps[self._steps :]:
                self._steps += 1
                for token, origin in emitted_origins(step):
                    self.redrafter.add(token, step.token_bytes, origin, step.index)
        for record in trace.plain[self._plain :]:
            self._plain += 1
            self.plain.add(record.token, record.token_bytes, "plain", record.index)
        return self


def emitted_origins(step: StepRecord) -> list[tuple[int, Origin]]:
    """The tokens a step emitted: the drafted ones that were accepted, then the base model's own pick."""
    return [(token, "accepted" if place < step.accepted else "picked") for place, token in enumerate(step.emitted)]
