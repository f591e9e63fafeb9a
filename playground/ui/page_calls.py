"""Functions the page's script may call on the server, outside the queue: answers at once, errors as sentences."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from playground.config import PlaygroundError
from playground.ui.pages import Pages
from playground.views.page import Download, Failure, RunFrame, StatusPicture, StepPicture

MAX_TRACE_CHARACTERS = 256_000_000

Answer = TypeVar("Answer")


def page_calls(pages: Pages) -> list[Callable[..., Any]]:
    """The calls, by the names the script knows them by."""

    def pair_status(_: Any) -> StatusPicture:
        return pages.status()

    def step(arguments: list[Any]) -> StepPicture | Failure:
        key, index = arguments
        return _answer(lambda: pages.step(str(key), int(index)))

    def open_trace(key: str) -> RunFrame | Failure:
        return _answer(lambda: pages.open_trace(str(key)))

    def load_trace(arguments: list[Any]) -> RunFrame | Failure:
        name, text = arguments
        return _answer(lambda: _load(pages, str(name), str(text)))

    def download(key: str) -> Download | Failure:
        return _answer(lambda: Download(text=pages.download(str(key))))

    return [pair_status, step, open_trace, load_trace, download]


def _load(pages: Pages, name: str, text: str) -> RunFrame:
    if len(text) > MAX_TRACE_CHARACTERS:
        raise PlaygroundError(
            f"{name} has {len(text):,} characters; the page takes traces up to {MAX_TRACE_CHARACTERS:,}. "
            "Record a shorter run."
        )
    return pages.load_trace(name, text)


def _answer(make: Callable[[], Answer]) -> Answer | Failure:
    try:
        return make()
    except PlaygroundError as error:
        return {"error": str(error)}
