"""Functions the page's script may call on the server, outside the queue: answers at once, errors as sentences."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gradio as gr

from playground.ui.answers import answer, given
from playground.ui.gate import PAGE
from playground.ui.pages import Pages
from playground.views.page import Download, Failure, Forgotten, RunFrame, StatusPicture, StepPicture


def page_calls(pages: Pages) -> list[Callable[..., Any]]:
    """The calls, by the names the script knows them by."""

    def pair_status(_: Any, request: gr.Request) -> StatusPicture:
        return pages.status(str(request.scope.get(PAGE, "")))

    def step(arguments: Any) -> StepPicture | Failure:
        def make() -> StepPicture:
            key, index = given(arguments, str, int)
            return pages.step(key, index)

        return answer(make)

    def open_trace(key: Any) -> RunFrame | Failure:
        return answer(lambda: pages.open_trace(*given([key], str)))

    def load_trace(arguments: Any) -> RunFrame | Failure:
        def make() -> RunFrame:
            name, text = given(arguments, str, str)
            return pages.load_trace(name, text)

        return answer(make)

    def download(key: Any) -> Download | Failure:
        return answer(lambda: Download(text=pages.download(*given([key], str))))

    def forget_trace(key: Any) -> Forgotten | Failure:
        def make() -> Forgotten:
            pages.store.drop(*given([key], str))
            return {"forgotten": True}

        return answer(make)

    def load_exactly(_: Any, request: gr.Request) -> StatusPicture | Failure:
        owner = str(request.scope.get(PAGE, ""))

        def make() -> StatusPicture:
            pages.load_exactly(owner)
            return pages.status(owner)

        return answer(make)

    return [pair_status, load_exactly, step, open_trace, load_trace, download, forget_trace]
