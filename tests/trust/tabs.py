"""Tabs of the page without a browser: what its script sends to the server, sent here over real connections.

A tab keeps a heartbeat open, as a browser does; when it is closed, the server drops all that was this tab's.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx

from tests.ports import free_port

ROOT = Path(__file__).resolve().parents[2]
API = "/gradio_api"
START_SECONDS = 300.0  # until a server answers and its pair is loaded, on a busy machine


class Tab:
    """One open page of a server; without a heartbeat, a client that is no browser."""

    def __init__(self, url: str, *, heartbeat: bool = True) -> None:
        self.url = url.rstrip("/")
        self.client = httpx.Client(base_url=self.url, timeout=120)
        self.hash = secrets.token_hex(5)
        self.config: dict[str, Any] = self.client.get("/config").raise_for_status().json()
        self.frame: dict[str, Any] = {}
        self._closed, self._alive = threading.Event(), threading.Event()
        self._heart = threading.Thread(target=self._beat, daemon=True)
        if heartbeat:
            self._heart.start()
            assert self._alive.wait(60), "no heartbeat"

    def run(self, prompt: str, **settings: Any) -> Iterator[dict[str, Any]]:
        """Press Run: frames as the page gets them, the last one in `frame`."""
        self.begin(prompt, **settings)
        yield from self._frames()

    def begin(self, prompt: str, **settings: Any) -> None:
        """Press Run and look at nothing."""
        run = self._event("rp-run")
        values = [self._value(component) for component in run["inputs"]]
        for name, value in {"prompt": prompt, **settings}.items():
            values[run["inputs"].index(self._component(f"rp-{name}"))] = value
        body = {"data": values, "fn_index": run["id"], "session_hash": self.hash, "event_data": None}
        self.client.post(f"{API}/queue/join", json=body).raise_for_status()

    def stop(self) -> None:
        """Press Stop."""
        body = {"data": [], "fn_index": self._event("rp-stop")["id"], "session_hash": self.hash}
        self.client.post(f"{API}/run/predict", json=body).raise_for_status()

    def ask(self, name: str, *data: Any) -> Any:
        """A call of the stage's script."""
        stage = self._component("rp-stage")
        body = {"data": list(data), "fn_name": name, "component_id": stage, "session_hash": self.hash}
        return self.client.post(f"{API}/component_server/", json=body).raise_for_status().json()

    def close(self) -> None:
        """Close the tab: its connections end."""
        self.end_heartbeat()
        self.client.close()

    def end_heartbeat(self) -> None:
        """As a client does that loses interest, or its network."""
        self._closed.set()
        if self._heart.is_alive():
            self._heart.join(60)

    def _beat(self) -> None:
        url = f"{self.url}{API}/heartbeat/{self.hash}"
        with contextlib.suppress(httpx.HTTPError), httpx.stream("GET", url, timeout=None) as stream:
            beats = stream.raise_for_status().iter_raw()  # a generator that is dropped closes the stream
            next(beats)
            self._alive.set()
            self._closed.wait()

    def _frames(self) -> Iterator[dict[str, Any]]:
        told = ""
        with self.client.stream("GET", f"{API}/queue/data?session_hash={self.hash}") as events:
            for line in events.iter_lines():
                message = json.loads(line[5:]) if line.startswith("data:") else {"msg": ""}
                assert message.get("success", True), message
                if message["msg"] in ("process_generating", "process_completed"):
                    told = changed(told, message["output"]["data"])
                    self.frame = json.loads(told)
                    yield self.frame
                if message["msg"] in ("process_completed", "close_stream"):
                    return

    def _event(self, element: str) -> dict[str, Any]:
        """The first thing that a click on this element starts."""
        component = self._component(element)
        wanted = [component, "click"]
        return next(event for event in self.config["dependencies"] if wanted in map(list, event["targets"]))

    def _component(self, element: str) -> int:
        (found,) = (c["id"] for c in self.config["components"] if c["props"].get("elem_id") == element)
        return int(found)

    def _value(self, component: int) -> Any:
        (found,) = (c["props"] for c in self.config["components"] if c["id"] == component)
        return found.get("value")


def changed(text: str, data: list[Any]) -> str:
    """The output's text after a message: the whole text, or how it differs from the one before."""
    if not data:
        return text
    (value,) = data
    if isinstance(value, str):
        return value
    for action, path, new in value:
        assert not path, "the stage's value is one text"
        text = text + new if action == "append" else new
    return text


@contextlib.contextmanager
def server(*flags: str) -> Iterator[tuple[str, int]]:
    """The page in a process of its own, its pair loaded: address and process id."""
    port = free_port()
    command = [sys.executable, "app.py", "--no-browser", "--port", str(port), *flags]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=os.environ)
    url = f"http://127.0.0.1:{port}"
    try:
        wait_until_ready(url, process)
        yield url, process.pid
    finally:
        process.terminate()
        process.wait(60)


def wait_until_ready(url: str, process: subprocess.Popen[bytes]) -> None:
    """It answers, and its pair is there."""
    deadline = time.monotonic() + START_SECONDS
    while True:
        assert process.poll() is None, f"the server ended with {process.returncode}"
        assert time.monotonic() < deadline, f"no server after {START_SECONDS:g} s"
        with contextlib.suppress(httpx.TransportError):
            tab = Tab(url)
            try:
                while tab.ask("pair_status")["state"] == "loading":
                    assert time.monotonic() < deadline, f"no model after {START_SECONDS:g} s"
                    time.sleep(0.2)
                assert tab.ask("pair_status")["state"] == "ready"
            finally:
                tab.close()
            return
        time.sleep(0.2)
