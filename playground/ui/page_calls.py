"""Functions the page's script may call on the server, outside the queue: answers at once, errors as sentences."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import gradio as gr

from playground.config import PlaygroundError
from playground.ui.gate import PAGE
from playground.ui.pages import Pages
from playground.views.page import Download, Failure, RunFrame, StatusPicture, StepPicture

Answer = TypeVar("Answer")


def page_calls(pages: Pages) -> list[Callable[..., Any]]:
    """The calls, by the names the script knows them by."""

    def pair_status(_: Any, request: gr.Request) -> StatusPicture:
        return pages.status(str(request.scope.get(PAGE, "")))

    def step(arguments: Any) -> StepPicture | Failure:
        def answer() -> StepPicture:
            key, index = _given(arguments, str, int)
            return pages.step(key, index)

        return _answer(answer)

    def open_trace(key: Any) -> RunFrame | Failure:
        return _answer(lambda: pages.open_trace(*_given([key], str)))

    def load_trace(arguments: Any) -> RunFrame | Failure:
        def answer() -> RunFrame:
            name, text = _given(arguments, str, str)
            return pages.load_trace(name, text)

        return _answer(answer)

    def download(key: Any) -> Download | Failure:
        return _answer(lambda: Download(text=pages.download(*_given([key], str))))

    return [pair_status, step, open_trace, load_trace, download]


def _given(arguments: Any, *kinds: type) -> list[Any]:
    """What the script sent, of the kinds it sends.

    Raises:
        PlaygroundError: something else, which our script does not send.
    """
    if not isinstance(arguments, list) or list(map(type, arguments)) != list(kinds):
        raise PlaygroundError("The page's script sent something else than it should. Reload the page.")
    return arguments


def _answer(make: Callable[[], Answer]) -> Answer | Failure:
    try:
        return make()
    except PlaygroundError as error:
        return {"error": str(error)}
