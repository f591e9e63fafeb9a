"""Serving the page: theme, styles and scripts, the port, and the background load."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import gradio as gr

from playground.config import PlaygroundError
from playground.ui import gate
from playground.ui.assets import page_css, page_head
from playground.ui.attendance import GONE_SECONDS, Attendance
from playground.ui.callbacks import LET_IN
from playground.ui.exposure import Exposure
from playground.ui.host import SessionHost
from playground.ui.layout import build, open_pages
from playground.ui.pages import Sweeper
from playground.ui.store import TraceStore

SANS = ["system-ui", "-apple-system", "Segoe UI", "Roboto", "Noto Sans", "sans-serif"]
# Gradio looks for new events every millisecond and for progress every ten: 7% of a core, idle or not.
QUEUE_LOOK_SECONDS = 0.02
MONO = ["ui-monospace", "SFMono-Regular", "Menlo", "Consolas", "DejaVu Sans Mono", "monospace"]


@dataclass(frozen=True)
class Served:
    """A running server."""

    url: str
    close: Callable[[], None]


def serve(
    host: SessionHost,
    *,
    exposure: Exposure | None = None,
    port: int | None = 7860,
    open_browser: bool = False,
    block: bool = True,
    sweeper: Sweeper | None = None,
    store: TraceStore | None = None,
    gone_seconds: float = GONE_SECONDS,
) -> Served:
    """Build and serve the page; the pair loads in the background, the page does not wait for it.

    Args:
        gone_seconds: after which a page that holds no stream has left.

    Raises:
        PlaygroundError: the port is taken.
    """
    open_to = exposure or Exposure()
    pages = open_pages(host, open_to, sweeper, store)
    page = build(pages, api=open_to.api)
    attendance = Attendance(pages.leave, gone_seconds)
    host.start()
    page.queue(max_size=LET_IN, default_concurrency_limit=LET_IN)
    page._queue.sleep_when_free = page._queue.progress_update_sleep_when_free = QUEUE_LOOK_SECONDS
    try:
        _, url, _ = page.launch(
            server_name=open_to.host,
            server_port=port,
            inbrowser=open_browser,
            prevent_thread_lock=True,
            share=False,
            quiet=not block,
            show_error=False,
            ssr_mode=False,
            run_history=False,
            theme=_theme(),
            css=page_css(),
            head=page_head(),
            footer_links=[],
            max_threads=LET_IN + 32,  # those let in, and what is asked beside them
            auth=list(open_to.auth) or None,
            enable_monitoring=open_to.monitoring,
            _frontend=False,  # no look at itself: it gives up after 3 s, on a busy machine or behind a proxy
            pwa=False,
            mcp_server=False,
            max_file_size=0,
            app_kwargs={"lifespan": gate.behind(open_to, gate.Reach.of(page), page_head(), attendance)},
        )
    except OSError as error:
        raise PlaygroundError(
            f"Port {port} on {open_to.host} cannot be used ({error}). Choose another with --port."
        ) from error
    if block:
        page.block_thread()
    return Served(url, page.close)


def _theme() -> Any:
    return gr.themes.Base(
        primary_hue=gr.themes.colors.teal,
        neutral_hue=gr.themes.colors.slate,
        font=SANS,
        font_mono=MONO,
        radius_size=gr.themes.sizes.radius_md,
        text_size=gr.themes.sizes.text_sm,
        spacing_size=gr.themes.sizes.spacing_sm,
    )
