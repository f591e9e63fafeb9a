"""What stands between the network and Gradio: one ASGI layer outside all others.

It answers only to its own names, to requests that its own page makes, on the routes that page uses, with bodies of a
bounded size and shape; and it sends the headers that keep other pages from framing it and scripts of others from
running in it. Gradio's own layers decide on cross-origin reads alone and let every Host, size and route in.
Knows HTTP and Gradio's routes; nothing of what runs behind them.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import gzip
import hashlib
import re
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from contextlib import AbstractAsyncContextManager, AbstractContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from playground.ui.attendance import Attendance
from playground.ui.bodies import MAX_CALL_BYTES, MAX_EVENT_BYTES, BadBody, BodyCheck
from playground.ui.exposure import Exposure

API = "/gradio_api"
PAGE = "playground.page"  # in a request's scope: the page that makes it, by Gradio's session hash
CALLS = f"{API}/component_server"
_HEARTBEAT = re.compile(rf"{API}/heartbeat/([^/]+)")
_PAGE_ROUTES = re.compile(
    r"/(config/?|theme\.css|favicon\.ico|robots\.txt|manifest\.json|login/?|logout|assets/.*|static/.*"
    rf"|{API[1:]}/(queue/(join|data|status)|component_server|heartbeat/[^/]+|startup-events|app_id|login_check"
    r"|reset|cancel|theme\.css|run/predict|api/predict)/?)?"
)
_SCHEMA_ROUTES = re.compile(rf"{API}/(info|openapi\.json|call/[^/]+(/[^/]+)?|run/[^/]+|api/[^/]+)/?")
_MONITORING_ROUTES = re.compile(r"/monitoring(/.*)?")
_INLINE_SCRIPT = re.compile(rb"<script(?![^>]*\ssrc=)[^>]*>(.*?)</script>", re.DOTALL | re.IGNORECASE)
_POLICY = (
    "default-src 'none'; connect-src 'self'; img-src 'self' data: blob:; font-src 'self' data:; media-src 'none'; "
    "style-src 'self' 'unsafe-inline'; manifest-src 'self'; base-uri 'self'; form-action 'self'; "
    "frame-ancestors 'none'; script-src {scripts}"
)
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin-allow-popups",
    "Cross-Origin-Resource-Policy": "same-origin",
}


class Refused(Exception):
    """A request that is not passed on."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status


@dataclass(frozen=True)
class Reach:
    """What of a page may be called, by Gradio's names and numbers."""

    calls: frozenset[tuple[int, str]]  # (component, server function)
    events: Mapping[int, int]  # event -> how many values it takes

    @classmethod
    def of(cls, page: Any) -> Reach:
        """Of Gradio's Blocks."""
        calls = {
            (number, name)
            for number, block in page.blocks.items()
            for name, value in vars(block).items()
            if getattr(value, "_is_server_fn", False)
        }
        events = {number: len(event.inputs) for number, event in page.fns.items()}
        return cls(frozenset(calls), events)


class Gate:
    """The layer; `app` is all of Gradio.

    Args:
        page: what of the page may be called.
        scripts: of the page, run by Gradio after it has loaded.
        attendance: is told who is there.
    """

    def __init__(self, app: ASGIApp, exposure: Exposure, page: Reach, scripts: str, attendance: Attendance) -> None:
        self._app, self._exposure, self._page, self._attendance = app, exposure, page, attendance
        self._scripts = _INLINE_SCRIPT.findall(scripts.encode())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})  # the page opens none
            return
        try:
            self._check_sender(scope)
            receive = await self._checked_body(scope, receive)
        except Refused as refused:
            answer = JSONResponse({"error": str(refused)}, refused.status, {**_HEADERS, **_policy()})
            await answer(scope, receive, send)
            return
        packed = "gzip" in Headers(scope=scope).get("accept-encoding", "")
        if scope["path"] == "/":  # its inline scripts are read off the answer: it is compressed after that, not before
            dropped = [(name, value) for name, value in scope["headers"] if name != b"accept-encoding"]
            scope = {**scope, "headers": dropped}
        with self._noted(scope):
            await self._app(scope, receive, _Answer(send, self._scripts, packed=packed))

    def _noted(self, scope: Scope) -> AbstractContextManager[None]:
        """Tell the attendance whose request this is, and of a stream, how long it is open."""
        if page := _streams_to(scope):
            return self._attendance.held(page)
        if page := scope.get(PAGE, ""):
            self._attendance.asked(page)
        return contextlib.nullcontext()

    def _check_sender(self, scope: Scope) -> None:
        """Refuse by what a browser says of itself and cannot be made to leave out."""
        headers, exposure, path = Headers(scope=scope), self._exposure, scope["path"]
        host, origin = headers.get("host", ""), headers.get("origin")
        if not exposure.answers_to(host):
            raise Refused(403, f"This server does not go by the name {host[:80]!r}. Start it with --allowed-hosts.")
        if origin is not None and not exposure.is_own(origin, host):
            raise Refused(403, f"Pages of {origin[:80]!r} may not use this server. Open the playground itself.")
        site = headers.get("sec-fetch-site", "none")
        opened = scope["method"] == "GET" and headers.get("sec-fetch-mode") == "navigate" and path == "/"
        if site not in ("none", "same-origin") and not opened:
            raise Refused(403, "Other pages may not use this server. Open the playground itself.")
        if not self._is_served(path):
            raise Refused(404, "There is nothing here. The page is at /.")

    def _is_served(self, path: str) -> bool:
        exposure = self._exposure
        return bool(
            _PAGE_ROUTES.fullmatch(path)
            or (exposure.api and _SCHEMA_ROUTES.fullmatch(path))
            or (exposure.monitoring and _MONITORING_ROUTES.fullmatch(path))
        )

    async def _checked_body(self, scope: Scope, receive: Receive) -> Receive:
        """Read a body in whole, refuse what no page sends, and hand it on."""
        if scope["method"] in ("GET", "HEAD", "OPTIONS"):
            return receive
        path, kind = scope["path"].rstrip("/"), Headers(scope=scope).get("content-type", "")
        is_json = kind.partition(";")[0].strip().lower() == "application/json"
        if path.startswith(API) and not is_json:
            raise Refused(415, f"The request is of type {kind[:80]!r}, but must be application/json.")
        check = BodyCheck(MAX_CALL_BYTES if path == CALLS else MAX_EVENT_BYTES)
        try:
            await _read(receive, check)
        except BadBody as error:
            raise Refused(413, str(error)) from error
        if is_json:
            try:
                value = await asyncio.to_thread(check.value)
            except BadBody as error:
                raise Refused(400, str(error)) from error
            self._check_call(path, value)
            scope[PAGE] = value.get("session_hash") or ""
        return _again(check.whole, receive)

    def _check_call(self, path: str, value: Any) -> None:
        """Refuse what Gradio would stumble over: functions and events that are not the page's."""
        if not isinstance(value, dict):
            raise Refused(400, "The request is no JSON object. Reload the page.")
        session, number = value.get("session_hash"), value.get("fn_index")
        known = session is None or (isinstance(session, str) and len(session) <= 64)
        if path == CALLS:
            name, component = value.get("fn_name"), value.get("component_id")
            known = known and isinstance(name, str) and type(component) is int and "data" in value
            known = known and (component, name) in self._page.calls
        elif path.startswith((f"{API}/queue/join", f"{API}/run/", f"{API}/api/", f"{API}/call/")):
            known = known and isinstance(value.get("data"), list)
            if "fn_index" in value or path.endswith(("/join", "/predict")):
                known = known and type(number) is int and self._page.events.get(number) == len(value["data"])
        if not known:
            raise Refused(400, "The page's script asks for nothing like this. Reload the page.")


class _Answer:
    """Sends an answer on with our headers; a page is held back until its inline scripts are known, then compressed.

    Compression tells nothing here: a page holds nothing secret beside what somebody else may have put into it.
    """

    def __init__(self, send: Send, scripts: list[bytes], *, packed: bool) -> None:
        self._send, self._scripts, self._packed = send, scripts, packed
        self._held: Message | None = None
        self._body: list[bytes] = []

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            headers.update(_HEADERS)
            if headers.get("content-type", "").startswith("text/html"):
                self._held = message
                return
            headers.update(_policy())
        elif self._held is not None and message["type"] == "http.response.body":
            self._body.append(message.get("body", b""))
            if message.get("more_body"):
                return
            page, start, self._held = b"".join(self._body), self._held, None
            headers = MutableHeaders(scope=start)
            headers.update(_policy([*_INLINE_SCRIPT.findall(page), *self._scripts]))
            if self._packed and "content-encoding" not in headers:
                page = await asyncio.to_thread(gzip.compress, page, 6)
                headers.update({"Content-Encoding": "gzip", "Content-Length": str(len(page))})
                headers.add_vary_header("Accept-Encoding")
            await self._send(start)
            message = {"type": "http.response.body", "body": page}
        await self._send(message)


def _policy(scripts: Collection[bytes] | None = None) -> dict[str, str]:
    """The content security policy: of a page, the scripts in it and no others; of anything else, none.

    Gradio makes functions of the texts that events and components carry, which asks for 'unsafe-eval'.
    """
    allowed = "'none'"
    if scripts is not None:
        digests = (base64.b64encode(hashlib.sha256(script).digest()).decode() for script in scripts)
        allowed = " ".join(["'self'", "'unsafe-eval'", *sorted({f"'sha256-{digest}'" for digest in digests})])
    return {"Content-Security-Policy": _POLICY.format(scripts=allowed)}


def _streams_to(scope: Scope) -> str:
    """The page that asks for a stream of its own; empty where this is something else."""
    path = scope["path"].rstrip("/")
    if found := _HEARTBEAT.fullmatch(path):
        return str(found[1])
    if path == f"{API}/queue/data":
        return str(parse_qs(scope["query_string"].decode("latin-1")).get("session_hash", [""])[0])
    return ""


async def _read(receive: Receive, check: BodyCheck) -> None:
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Refused(400, "The request was cut short.")
        check.take(message.get("body", b""))
        more = message.get("more_body", False)


def _again(body: bytes, receive: Receive) -> Receive:
    """The body as one message, then whatever else comes."""
    waiting: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replay() -> Message:
        return waiting.pop() if waiting else await receive()

    return replay


def behind(
    exposure: Exposure, page: Reach, scripts: str, attendance: Attendance
) -> Callable[[Any], AbstractAsyncContextManager[None]]:
    """A lifespan for Gradio's app that puts the gate around it before the first request is taken.

    A layer given to the app itself would stand inside Gradio's own, which answer some requests without asking it.
    """

    @asynccontextmanager
    async def lifespan(app: Any) -> AsyncIterator[None]:
        app.middleware_stack = Gate(app.middleware_stack, exposure, page, scripts, attendance)
        yield

    return lifespan
