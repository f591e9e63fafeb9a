"""Answers to the page's script: what it sent is checked, and an error becomes a sentence in place of the answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from playground.config import PlaygroundError
from playground.views.page import Failure

Answer = TypeVar("Answer")


def given(arguments: Any, *kinds: type) -> list[Any]:
    """What the script sent, of the kinds it sends.

    Raises:
        PlaygroundError: something else, which our script does not send.
    """
    if not isinstance(arguments, list) or list(map(type, arguments)) != list(kinds):
        raise PlaygroundError("The page's script sent an unexpected message. Reload the page.")
    return arguments


def answer(make: Callable[[], Answer]) -> Answer | Failure:
    """What `make` gives, or its error as a sentence."""
    try:
        return make()
    except PlaygroundError as error:
        return {"error": str(error)}
