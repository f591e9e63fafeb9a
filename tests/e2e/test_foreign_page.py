"""A page of somebody else's, in a real browser beside ours: it cannot read, run, store or frame anything."""

from __future__ import annotations

import http.server
import os
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import Site

TRIES = """async (url) => {
  const json = { data: "", fn_name: "pair_status", component_id: 1, session_hash: "x" };
  const sent = async (path, options) => {
    try { const answer = await fetch(url + path, options); return [answer.type, answer.status, await answer.text()]; }
    catch (error) { return ["failed", 0, String(error)]; }
  };
  const form = new FormData();
  const headers = { "Content-Type": "application/json" };
  form.append("files", new Blob(["x".repeat(1000)]), "x.txt");
  return {
    read: await sent("config", {}),
    blind: await sent("config", { mode: "no-cors" }),
    call: await sent("gradio_api/component_server/", { method: "POST", mode: "no-cors", body: JSON.stringify(json) }),
    upload: await sent("gradio_api/upload", { method: "POST", mode: "no-cors", body: form }),
    asked: await sent("gradio_api/queue/join", { method: "POST", headers, body: "{}" }),
  };
}"""


@pytest.fixture
def foreign(site: Site) -> Iterator[str]:
    """Another server on this machine, whose page frames ours."""
    page = f"<!doctype html><title>Other</title><iframe src={site.url!r} width=800 height=600></iframe>".encode()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(page)

        def log_message(self, *_: Any) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()


def test_a_page_of_others_gets_nothing(browser: Any, site: Site, foreign: str) -> None:
    upload = Path(os.environ.get("GRADIO_TEMP_DIR") or Path(tempfile.gettempdir()) / "gradio")
    stored = set(upload.rglob("x.txt"))
    context = browser.new_context()
    page = context.new_page()
    page.goto(foreign)
    page.wait_for_timeout(1000)
    frame = next(frame for frame in page.frames if frame is not page.main_frame)
    assert frame.url.startswith("chrome-error:") and frame.query_selector(".rp-app") is None
    found = page.evaluate(TRIES, site.url)
    assert found["read"][0] == found["asked"][0] == "failed", found  # no cross-origin read, and a preflight refused
    for name in ("blind", "call", "upload"):
        assert found[name][:2] in (["failed", 0], ["opaque", 0]), found
    assert set(upload.rglob("x.txt")) == stored
    context.close()
