"""The page: rail on the left, the stage (one gr.HTML that draws everything from JSON) on the right."""

from __future__ import annotations

import os

import gradio as gr

from playground.bench import sweep
from playground.ui.assets import EXAMPLES
from playground.ui.callbacks import wire
from playground.ui.controls import build_controls
from playground.ui.export_calls import export_calls
from playground.ui.exposure import Exposure
from playground.ui.host import SessionHost
from playground.ui.live_work import encode
from playground.ui.page_calls import page_calls
from playground.ui.pages import Pages, Sweeper, first_trace
from playground.ui.store import TraceStore, load_examples
from playground.views.glossary import GLOSSARY
from playground.views.page import Hello
from playground.views.tour import TOUR

BOOT = "ReDrafter.boot(element, props, server, trigger, watch);"


def open_pages(
    host: SessionHost, exposure: Exposure, sweeper: Sweeper | None = None, store: TraceStore | None = None
) -> Pages:
    """What the pages over `host` may ask of it; its models may still be loading.

    Args:
        exposure: to whom they are open, which decides what they may be asked for.
        sweeper: measures beam shapes; by default the bench's.
        store: traces to offer besides the bundled examples (tests).
    """
    pages = Pages(host, sweeper or sweep, store, may_load=exposure.may_load)
    if not pages.store.examples:
        load_examples(pages.store, EXAMPLES)
    return pages


def build(pages: Pages, *, api: bool = False) -> gr.Blocks:
    """The page itself; `api` opens Gradio's schema of what it may be asked."""
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    page = gr.Blocks(title="ReDrafter Playground", analytics_enabled=False, fill_width=True)
    with page:
        with gr.Row(elem_id="rp-page", equal_height=False):
            with gr.Column(scale=0, min_width=320, elem_id="rp-rail"):
                controls = build_controls()
            with gr.Column(scale=1, min_width=320, elem_id="rp-main"):
                stage = gr.HTML(
                    value=encode(greeting(pages)),
                    html_template="<div class='rp-app' data-state='starting'></div>",
                    js_on_load=BOOT,
                    apply_default_css=False,
                    elem_id="rp-stage",
                    server_functions=[*page_calls(pages), *export_calls(pages.store)],
                )
        wire(page, pages, controls, stage)
    if not api:
        for event in page.fns.values():
            event.api_visibility = "private"
    return page


def greeting(pages: Pages) -> Hello:
    """What a fresh page draws before anything else: the first example, whole, and the words of the Learn view."""
    first = first_trace(pages.store)
    return {
        "kind": "hello",
        "status": pages.status(),
        "examples": [(key, name) for key, (name, _) in pages.store.examples.items()],
        "example": pages.open_trace(first[0]) if first else None,
        "glossary": [(term.word, term.meaning) for term in GLOSSARY],
        "tour": [(stop.view, stop.target, stop.title, stop.words) for stop in TOUR],
    }
