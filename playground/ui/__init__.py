"""The page: Gradio layout and callbacks, which translate between widgets and session calls and do nothing else.

`build(host)` makes the Blocks, `launch(host)` serves them. Nothing heavy is imported until one of them is called.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from playground.ui.exposure import Exposure, read_auth
from playground.ui.host import SessionHost

if TYPE_CHECKING:
    import gradio as gr

    from playground.ui.serving import Served

__all__ = ["Exposure", "SessionHost", "build", "launch", "read_auth"]


def build(host: SessionHost) -> gr.Blocks:
    """The page over `host`; the models may still be loading."""
    from playground.ui.layout import build as build_layout
    from playground.ui.layout import open_pages

    return build_layout(open_pages(host, Exposure()))


def launch(
    host: SessionHost,
    *,
    exposure: Exposure | None = None,
    port: int = 7860,
    open_browser: bool = True,
    block: bool = True,
) -> Served:
    """Serve the page and start loading the models in the background.

    Args:
        exposure: to whom the page is open; by default to this machine alone.
        block: wait until the server is interrupted; False returns at once (tests).
    """
    from playground.ui.serving import serve

    return serve(host, exposure=exposure, port=port, open_browser=open_browser, block=block)
