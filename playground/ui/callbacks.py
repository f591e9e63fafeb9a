"""Events of the page: each takes widget values to `Pages` and its answer back, and does nothing else."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import fields
from typing import Any, Literal

import gradio as gr

from playground.config import Message, PlaygroundError, shown
from playground.line import LIMIT
from playground.ui.controls import Controls
from playground.ui.live_work import LiveWork, encode
from playground.ui.pages import Pages
from playground.ui.presets import PRESETS
from playground.ui.settings import Widgets, command_line, history_of, run_request
from playground.views.page import FailedFrame, Loading, Said

RESTORE = "(...values) => ReDrafter.settings.restore(...values)"
KEEP = "(...values) => { ReDrafter.settings.keep(values); return []; }"
COPY = "(text) => { ReDrafter.settings.copy(text); return []; }"
SHOWN_KEY = "(_, ...values) => [ReDrafter.shownKey(), ...values]"
# Gradio's queue is no second line: it lets in more than the session's takes, and who finds that full is told at once.
LET_IN = 2 * LIMIT
WAITING_SECONDS = 0.5  # between two looks whether the first pair is there
LONG: dict[str, Any] = {"show_progress": "hidden", "concurrency_limit": LET_IN, "trigger_mode": "once"}
SHORT: dict[str, Any] = {"show_progress": "hidden", "queue": False}
LATEST: dict[str, Any] = {**SHORT, "trigger_mode": "always_last"}


def wire(page: gr.Blocks, pages: Pages, controls: Controls, stage: gr.HTML) -> None:
    """Connect the rail, the stage and what pages can ask for."""
    _wire_runs(pages, controls, stage)
    _wire_stage(pages, controls, stage)
    _wire_settings(page, pages, controls, stage)

    def leave(request: gr.Request) -> None:
        pages.leave(_owner(request))

    page.unload(leave)


def _wire_runs(pages: Pages, controls: Controls, stage: gr.HTML) -> None:
    def run(request: gr.Request, *values: Any) -> Iterator[str]:
        yield from _stream(
            pages,
            _owner(request),
            lambda owner: pages.begin_run(owner, run_request(Widgets(*values), own=pages.host.shape)),
        )

    def follow(request: gr.Request, key: str, *values: Any) -> Iterator[str]:
        def begin(owner: str) -> LiveWork:
            return pages.begin_run(owner, run_request(Widgets(*values), _history(pages, key), pages.host.shape))

        yield from _stream(pages, _owner(request), begin)

    def stop(request: gr.Request) -> None:
        pages.stop(_owner(request))

    shown = gr.Textbox(visible=False)
    controls.run.click(run, controls.settings, stage, **LONG)
    controls.follow.click(follow, [shown, *controls.settings], stage, js=SHOWN_KEY, **LONG)
    controls.stop.click(stop, None, None, **SHORT)


def _wire_stage(pages: Pages, controls: Controls, stage: gr.HTML) -> None:
    """What the stage's own script triggers: a sweep, a run made again, settings taken over, a trace from a file."""

    def sweep(request: gr.Request, event: gr.EventData, *values: Any) -> Iterator[str]:
        def begin(owner: str) -> LiveWork:
            widths, lengths = (_numbers(event, key) for key in ("widths", "lengths"))
            if not widths or not lengths:
                raise PlaygroundError("No beam shape is chosen. Tick at least one width and one length.")
            return pages.begin_sweep(owner, run_request(Widgets(*values), own=pages.host.shape), widths, lengths)

        yield from _stream(pages, _owner(request), begin, kind="sweep")

    def take_settings(event: gr.EventData) -> list[Any]:
        said = (_said(event, field.name) for field in fields(Widgets))
        return [gr.skip() if value is None or isinstance(value, list | dict) else value for value in said]

    def adopt(request: gr.Request, event: gr.EventData) -> None:
        pages.store.adopt(str(_said(event, "key")), _owner(request))

    def again(request: gr.Request, event: gr.EventData) -> Iterator[str]:
        key = str(_said(event, "key"))
        yield from _stream(pages, _owner(request), lambda owner: pages.begin_again(owner, key))

    stage.submit(sweep, controls.settings, stage, **LONG)
    stage.retry(again, None, stage, **LONG)
    stage.select(take_settings, None, controls.settings, **SHORT)
    stage.upload(adopt, None, None, **SHORT)


def _wire_settings(page: gr.Blocks, pages: Pages, controls: Controls, stage: gr.HTML) -> None:
    def copy(*values: Any) -> str:
        try:
            return command_line(Widgets(*values), *pages.host.wanted, pages.host.options)
        except PlaygroundError as error:
            return str(error)

    def load(request: gr.Request, *names: str) -> str:
        owner = _owner(request)
        try:
            pages.load_pair(*names, owner=owner)
        except PlaygroundError as error:
            return encode(Said(kind="said", tone="error", message=str(error)))
        return encode(Loading(kind="loading", status=pages.status(owner)))

    page.load(None, controls.kept, controls.kept, js=RESTORE)
    changes = [widget.change for widget in controls.kept]  # type: ignore[attr-defined]
    gr.on(changes, None, controls.kept, None, js=KEEP)
    moments = [page.load, controls.command_box.expand, controls.prompt.change, *changes]
    gr.on(moments, copy, controls.settings, controls.command, **LATEST)
    copied = controls.copy.click(copy, controls.settings, controls.command, **SHORT)
    copied.then(None, controls.command, None, js=COPY)
    names = [controls.base, controls.drafter, controls.device, controls.dtype, controls.device_map]
    controls.load.click(load, names, stage, **SHORT)
    for button, preset in zip(controls.presets, PRESETS, strict=True):
        button.click(None, None, controls.prompt, js=f"() => {json.dumps(preset.prompt)}")


def _stream(
    pages: Pages, owner: str, begin: Callable[[str], LiveWork], *, kind: Literal["run", "sweep"] = "run"
) -> Iterator[str]:
    """Frames of what `begin` starts, once there is a pair; when the page closes this generator, the work ends too."""
    for _ in pages.wait_for_pair(owner):
        yield encode(
            Said(kind="said", tone="info", message=f"The model is still loading. The {kind} begins when it is there.")
        )
        time.sleep(WAITING_SECONDS)
    try:
        live = begin(owner)
    except PlaygroundError as error:
        yield encode(FailedFrame(kind=kind, key="", state="failed", message=str(error)))
        return
    try:
        yield from live.frames()
    finally:
        pages.ended(owner, live)


def _said(event: gr.EventData, key: str) -> Any:
    """What the stage's script sent under a key; None where it sent something else."""
    return event._data.get(key) if isinstance(event._data, dict) else None


def _numbers(event: gr.EventData, key: str) -> tuple[int, ...]:
    """A list of whole numbers that the stage's script sent.

    Raises:
        PlaygroundError: something else, which our script does not send.
    """
    found = _said(event, key)
    if not isinstance(found, list) or not all(type(item) is int for item in found):
        raise PlaygroundError(f"The {key} are {shown(found)}, but must be whole numbers. Reload the page.")
    return tuple(sorted(set(found)))


def _history(pages: Pages, key: str) -> tuple[Message, ...]:
    if not key:
        raise PlaygroundError("There is no run to follow up. Run a prompt first.")
    return history_of(pages.store.get(key))


def _owner(request: gr.Request) -> str:
    return request.session_hash or ""
