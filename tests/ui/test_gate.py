"""The gate before Gradio, over a real port: names, senders, routes, bodies, headers; loading when others may ask."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from playground.config import PlaygroundError
from playground.line import Line
from playground.ui.bodies import MAX_CALL_BYTES, MAX_EVENT_BYTES, MAX_VALUES, BadBody, BodyCheck
from playground.ui.exposure import Exposure, read_auth
from playground.ui.host import SessionHost
from playground.ui.pages import Pages
from playground.ui.serving import serve
from playground.ui.store import TraceStore
from tests.ports import free_port
from tests.views.synthetic import make_trace


class Held:
    """A session nothing is run on."""

    line = Line()


def served(exposure: Exposure | None = None) -> Any:
    store = TraceStore()
    store.add_example("Made up", make_trace(new_tokens=12))
    host: Any = SessionHost(lambda *_: Held())  # type: ignore[arg-type, return-value]
    return serve(host, port=free_port(), block=False, store=store, exposure=exposure)


@pytest.fixture(scope="module")
def site() -> Iterator[httpx.Client]:
    server = served()
    with httpx.Client(base_url=server.url, timeout=20) as client:
        yield client
    server.close()


@pytest.fixture(scope="module")
def config(site: httpx.Client) -> dict[str, Any]:
    found: dict[str, Any] = site.get("/config").json()
    return found


def call(config: dict[str, Any], name: str, data: Any) -> dict[str, Any]:
    """The body of a call of the page's script."""
    (stage,) = (item["id"] for item in config["components"] if item["props"].get("elem_id") == "rp-stage")
    return {"data": data, "fn_name": name, "component_id": stage, "session_hash": "tab"}


CALLS = "/gradio_api/component_server/"
JOIN = "/gradio_api/queue/join"


@pytest.mark.parametrize(
    "host", ["rebound.example.com", "rebound.example.com:7860", "127.0.0.1.example.com", "", "a@b"]
)
@pytest.mark.parametrize("path", ["/", "/config", "/gradio_api/queue/data?session_hash=x", "/assets/x.js"])
def test_a_name_that_is_not_ours_is_refused(site: httpx.Client, host: str, path: str) -> None:
    answer = site.get(path, headers={"Host": host})
    assert answer.status_code == 403 and "--allowed-hosts" in answer.json()["error"]


def test_preflights_get_no_further_than_the_gate(site: httpx.Client) -> None:
    """Gradio's own layer answers these before any layer inside it is asked."""
    asking = {"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"}
    for extra in ({}, {"Host": "rebound.example.com"}):
        answer = site.options(JOIN, headers=asking | extra)
        assert answer.status_code == 403 and "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "LOCALHOST:99", "[::1]:7860", "localhost."])
def test_loopback_names_are_ours(site: httpx.Client, host: str) -> None:
    assert site.get("/config", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://localhost:3000", "http://127.0.0.1:1", "x"])
def test_pages_of_others_may_neither_read_nor_write(site: httpx.Client, config: dict[str, Any], origin: str) -> None:
    for answer in (
        site.get("/config", headers={"Origin": origin}),
        site.get("/gradio_api/queue/data?session_hash=x", headers={"Origin": origin}),
        site.post(JOIN, json={"data": [], "fn_index": 0, "session_hash": "x"}, headers={"Origin": origin}),
        site.post(CALLS, json=call(config, "pair_status", ""), headers={"Origin": origin}),
        site.post("/login", data={"username": "a", "password": "b"}, headers={"Origin": origin}),
    ):
        assert answer.status_code == 403 and "access-control-allow-origin" not in answer.headers


def test_requests_without_an_origin_are_told_by_fetch_metadata(site: httpx.Client) -> None:
    """A no-cors GET, an image's for one, carries no Origin; browsers say where it comes from all the same."""
    streams = "/gradio_api/queue/data?session_hash=x"
    for place in ("cross-site", "same-site"):
        told = {"Sec-Fetch-Site": place, "Sec-Fetch-Mode": "no-cors"}
        assert site.get(streams, headers=told).status_code == 403
        assert site.get("/", headers=told).status_code == 403
        assert site.get(streams, headers=told | {"Sec-Fetch-Mode": "navigate"}).status_code == 403
        assert site.get("/", headers=told | {"Sec-Fetch-Mode": "navigate"}).status_code == 200  # a link to the page


def test_text_for_json_is_refused(site: httpx.Client, config: dict[str, Any]) -> None:
    """What a page of others can send without asking: a form or plain text."""
    body = json.dumps(call(config, "pair_status", ""))
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""):
        assert site.post(CALLS, content=body, headers={"Content-Type": kind}).status_code == 415


@pytest.mark.parametrize(
    "path",
    ["upload", "upload?upload_id=1", "info", "openapi.json", "file=/etc/passwd", "proxy=http://x", "vibe-edit", "runs",
     "process_recording", "deep_link", "stream/x", "call/run", "dev/reload"],
)  # fmt: skip
def test_routes_that_the_page_does_not_use_are_off(site: httpx.Client, path: str) -> None:
    for answer in (site.get(f"/gradio_api/{path}"), site.post(f"/gradio_api/{path}", files={"files": b"x" * 999})):
        assert answer.status_code == 404
    for other in ("/monitoring", "/monitoring/summary", "/docs", "/redoc", "/openapi.json"):
        assert site.get(other).status_code == 404


def test_the_page_names_no_endpoint(site: httpx.Client) -> None:
    page = site.get("/").text
    assert re.search(r'gradio_api_info = \{"named_endpoints":\{\},"unnamed_endpoints":\{\}\}', page)


def test_bodies_are_bounded(site: httpx.Client, config: dict[str, Any]) -> None:
    kind = {"Content-Type": "application/json"}
    large = b'{"data": ["' + b"x" * MAX_EVENT_BYTES + b'"]}'
    assert site.post(JOIN, content=large, headers=kind).status_code == 413
    many = b'{"data": [' + b"[]," * 6_000_000 + b"[]]}"
    assert site.post(CALLS, content=many, headers=kind).status_code == 413
    deep = b"[" * 3000 + b"]" * 3000
    for bad in (deep, b"{", b"\xff", b'{"data": ' + b"9" * 5000 + b"}", b'"\\ud800"', b"[]", b"NaN", b"{}"):
        answer = site.post(CALLS, content=bad, headers=kind)
        assert answer.status_code == 400 and answer.json()["error"].endswith(".")


def test_calls_and_events_are_the_pages_own(site: httpx.Client, config: dict[str, Any]) -> None:
    good = call(config, "open_trace", "example-0")
    assert site.post(CALLS, json=good).json()["kind"] == "run"
    for bad in (
        {**good, "component_id": 99_999}, {**good, "component_id": True}, {**good, "fn_name": "__init__"},
        {**good, "fn_name": "postprocess"}, {**good, "fn_name": None}, {**good, "session_hash": "x" * 65},
        {**good, "session_hash": 5}, {"fn_name": "step"},
    ):  # fmt: skip
        assert site.post(CALLS, json=bad).status_code == 400
    for index in (-1, 99_999, None, "0", 1.5):
        body = {"data": [], "fn_index": index, "session_hash": "x"}
        assert site.post(JOIN, json=body).status_code == 400


@pytest.mark.parametrize("name", ["step", "open_trace", "load_trace", "download"])
@pytest.mark.parametrize(
    "data", [None, 5, "x", [], ["x"], ["example-0", "1"], [[], {}], {"a": 1}, ["example-0", 2**80]]
)
def test_wrong_arguments_get_a_sentence(site: httpx.Client, config: dict[str, Any], name: str, data: Any) -> None:
    answer = site.post(CALLS, json=call(config, name, data))
    assert answer.status_code == 200 and set(answer.json()) == {"error"}


def test_the_page_cannot_be_framed_and_runs_its_own_scripts_only(site: httpx.Client) -> None:
    page = site.get("/")
    policy = dict(part.strip().split(" ", 1) for part in page.headers["content-security-policy"].split(";"))
    assert policy["frame-ancestors"] == "'none'" and policy["default-src"] == "'none'"
    assert policy["connect-src"] == "'self'" and "unsafe-inline" not in policy["script-src"]
    assert len(re.findall("'sha256-", policy["script-src"])) >= 4
    for path in ("/", "/theme.css", "/config", "/nothing"):
        answer = site.get(path)
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["x-frame-options"] == "DENY"
        assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]


def test_the_page_is_light(site: httpx.Client) -> None:
    """Compressed on the way where the browser can unpack it, the same page either way; scripts and styles are in it."""
    with site.stream("GET", "/", headers={"Accept-Encoding": "gzip"}) as packed:
        sent = b"".join(packed.iter_raw())
    assert packed.headers["content-encoding"] == "gzip" and int(packed.headers["content-length"]) == len(sent)
    assert "accept-encoding" in packed.headers["vary"].lower()
    plain = site.get("/", headers={"Accept-Encoding": "identity"})
    assert "content-encoding" not in plain.headers
    session = re.compile(rb"[0-9a-z]{10,}")  # Gradio names every answer
    assert session.sub(b"", gzip.decompress(sent)) == session.sub(b"", plain.content)
    assert packed.headers["content-security-policy"] == plain.headers["content-security-policy"]
    assert b"ReDrafter" in plain.content and len(sent) < 100_000 and len(plain.content) < 320_000


def test_others_are_let_in_by_name_and_password() -> None:
    server = served(Exposure(allowed_hosts=("play.example",), auth=(("ann", "a secret"),)))
    named = {"Host": "play.example", "Origin": "https://play.example"}
    try:
        with httpx.Client(base_url=server.url) as client:
            assert client.get("/config", headers={"Host": "other.example"}).status_code == 403
            assert client.get("/config", headers=named).status_code == 401
            bad = client.post("/login", data={"username": "ann", "password": "guess"}, headers=named)
            assert bad.status_code == 400
            good = client.post("/login", data={"username": "ann", "password": "a secret"}, headers=named)
            assert good.status_code == 200
            rewritten = {"Origin": "https://play.example"}  # by a proxy that does not pass Host on
            assert client.get("/config", headers=rewritten).status_code == 200
    finally:
        server.close()


def test_schema_and_monitoring_are_served_when_asked() -> None:
    server = served(Exposure(api=True, monitoring=True))
    try:
        with httpx.Client(base_url=server.url) as client:
            assert client.get("/gradio_api/info").json()["named_endpoints"]
            assert client.get("/monitoring/summary").status_code == 200
    finally:
        server.close()


@pytest.mark.parametrize(
    ("exposure", "may"),
    [
        (Exposure(), True), (Exposure("localhost"), True), (Exposure("::1"), True), (Exposure("0.0.0.0"), False),
        (Exposure("192.168.1.4"), False), (Exposure(allowed_hosts=("play.example",)), False),
        (Exposure("0.0.0.0", allow_loading=True), True),
    ],
)  # fmt: skip
def test_pages_load_models_only_where_nobody_else_may_ask(exposure: Exposure, may: bool) -> None:
    assert exposure.may_load is may
    opened = []
    host: Any = SessionHost(lambda *given: opened.append(given) or Held())  # type: ignore[arg-type, func-returns-value]
    pages = Pages(host, lambda *_: iter(()), may_load=exposure.may_load)
    if may:
        pages.load_pair("/some/folder", None, None, None)
    else:
        with pytest.raises(PlaygroundError, match="--allow-loading"):
            pages.load_pair("/some/folder", None, None, None)
        assert not opened


def test_on_every_address_addresses_are_ours_and_names_are_not() -> None:
    everywhere = Exposure("0.0.0.0", allowed_hosts=("play.example",))
    assert all(map(everywhere.answers_to, ("10.1.2.3:7860", "[fe80::1]:7860", "localhost", "PLAY.example")))
    assert not any(map(everywhere.answers_to, ("rebound.example", "play.example.evil", "10.1.2.3.evil", "a/b", "x:y")))
    assert not Exposure().answers_to("10.1.2.3")


@pytest.mark.parametrize("name", ["*", "*.example", "http://a", "a:80", "a/b", "a b@c", ""])
def test_allowed_hosts_are_plain_names(name: str) -> None:
    with pytest.raises(PlaygroundError, match="Allowed host"):
        Exposure(allowed_hosts=(name,))


def test_passwords_come_from_a_file_too(tmp_path: Any) -> None:
    file = tmp_path / "users"
    file.write_text("ann:a:b\n\nbob:c\n")
    assert read_auth(f"@{file}") == (("ann", "a:b"), ("bob", "c"))
    assert "a:b" not in repr(Exposure(auth=read_auth("ann:a:b")))
    for bad in ("ann", ":x", "ann:", f"@{tmp_path}/none", ""):
        with pytest.raises(PlaygroundError, match="--auth"):
            read_auth(bad)


def test_a_body_is_counted_alike_however_it_is_cut() -> None:
    """Commas and brackets inside texts count for nothing, wherever a piece ends."""
    text = json.dumps({"data": ['a "quoted", [text] \\', "\\\\", 'x\\"' * 9, "[,{" * MAX_VALUES]}).encode()
    for size in (1, 2, 3, 7, 64, len(text)):
        check = BodyCheck(MAX_CALL_BYTES)
        for start in range(0, len(text), size):
            check.take(text[start : start + size])
        assert check.value() == json.loads(text)
    crowded = b'["' + b"x" * 50 + b'\\\\",' + b"[]," * (MAX_VALUES + 1) + b"0]"
    for size in (1, 5, 1000):
        with pytest.raises(BadBody, match="values"):
            for check in [BodyCheck(MAX_CALL_BYTES)]:
                for start in range(0, len(crowded), size):
                    check.take(crowded[start : start + size])
