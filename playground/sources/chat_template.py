"""Renders a model's chat template in a process of its own, within limits of time, memory and length.

Started at the first chat, kept for the next ones, started again where it had to be ended. Knows templates and messages;
nothing of tokens.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import weakref
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from playground.config import PlaygroundError

MAX_SECONDS: Final = 5  # of computing, a chat
MAX_WAIT: Final = 60.0  # seconds by the clock, where the machine is busy
MAX_MEMORY: Final = 2**30  # bytes of the process
MAX_TEMPLATE: Final = 2**20  # characters of a template
MAX_CHARACTERS: Final = 8_000_000  # of a rendered chat: above what any window takes
_WORKER = Path(__file__).with_name("template_worker.py")


class Renderer:
    """The process that renders; one serves all templates, as every request carries its own."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[str] | None = None

    def ask(self, request: str) -> str:
        """The answer to one line; empty where the process had to be ended."""
        with self._lock:
            process = self._running()
            assert process.stdin is not None and process.stdout is not None
            timer = threading.Timer(MAX_WAIT, process.kill)
            timer.start()
            try:
                process.stdin.write(request + "\n")
                process.stdin.flush()
                line = process.stdout.readline()
            except BrokenPipeError:
                line = ""
            finally:
                timer.cancel()
            if not line:
                _close(process)
                self._process = None
            return line

    def _running(self) -> subprocess.Popen[str]:
        if self._process is None or self._process.poll() is not None:
            limits = map(str, (MAX_SECONDS, MAX_MEMORY, MAX_CHARACTERS))
            self._process = subprocess.Popen(
                [sys.executable, "-I", str(_WORKER), *limits],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                encoding="utf-8",
                start_new_session=True,  # Ctrl-C in a terminal is for the run, not for this
            )
            weakref.finalize(self, _close, self._process)
        return self._process


RENDERER: Final = Renderer()
"""This program's: starting one takes a second."""


class ChatTemplate:
    """One template.

    Args:
        variables: what the template may name besides the messages: the tokenizer's special tokens.
    """

    def __init__(self, template: str, variables: Mapping[str, Any]) -> None:
        if len(template) > MAX_TEMPLATE:
            raise PlaygroundError(
                f"The model's chat template has {len(template):,} characters, but may have {MAX_TEMPLATE:,}. "
                "Remove it from the model's folder, or choose another model."
            )
        self._template, self._variables = template, dict(variables)

    def render(self, messages: Sequence[Mapping[str, str]]) -> str:
        """The text of a chat.

        Raises:
            ValueError: the template does not take this chat, or asks for more than its limits; the message says why.
        """
        request = {"template": self._template, "messages": list(messages), "variables": self._variables}
        line = RENDERER.ask(json.dumps(request, default=str))
        if not line:
            raise ValueError(f"it takes more than {MAX_SECONDS} s or {MAX_MEMORY / 2**30:.0f} GiB")
        answer: dict[str, str] = json.loads(line)
        if "error" in answer:
            raise ValueError(answer["error"])
        return answer["text"]


def _close(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.wait()
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            try:
                stream.close()
            except OSError:  # what was still to be written has no reader
                continue
