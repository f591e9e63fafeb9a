"""The hub's real client against a small hub on this machine: download, progress, and the cache alone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
COMMIT = "0123456789abcdef0123456789abcdef01234567"

FETCH = """
import json, sys
from playground.config import PlaygroundError
from playground.sources.catalogue import resolve_base
told = []
try:
    found = resolve_base("owner/model", lambda done, message: told.append((done, message)))
    print(json.dumps({"name": found.name, "files": sorted(p.name for p in found.path.iterdir()), "told": told}))
except PlaygroundError as error:
    print(json.dumps({"error": str(error)}))
"""


@pytest.fixture
def small_hub(model_folder: Path) -> Iterator[str]:
    """Address of a hub that holds one repository, owner/model."""
    files = {file.name: file.read_bytes() for file in model_folder.iterdir()}
    files["pytorch_model.bin"] = b"never wanted"
    siblings = [{"rfilename": name, "size": len(data)} for name, data in files.items()]
    told = {"id": "owner/model", "modelId": "owner/model", "sha": COMMIT, "siblings": siblings, "tags": []}

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_HEAD(self) -> None:
            self.answer(body=False)

        def do_GET(self) -> None:
            self.answer(body=True)

        def answer(self, body: bool) -> None:
            path = self.path.split("?")[0]
            if path.startswith("/api/models/owner/model"):
                return self.send(200, json.dumps(told).encode(), {"Content-Type": "application/json"}, body)
            name = path.rpartition("/")[2]
            if "/resolve/" not in path or name not in files:
                return self.send(404, b"", {"X-Error-Code": "EntryNotFound"}, body)
            data = files[name]
            etag = sha256(data).hexdigest()
            return self.send(200, data, {"ETag": f'"{etag}"', "X-Repo-Commit": COMMIT}, body)

        def send(self, status: int, data: bytes, headers: dict[str, str], body: bool) -> None:
            self.send_response(status)
            for key, value in {**headers, "Content-Length": str(len(data))}.items():
                self.send_header(key, value)
            self.end_headers()
            if body:
                self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


def fetch(endpoint: str, home: Path) -> dict[str, object]:
    environment = {key: value for key, value in os.environ.items() if not key.lower().endswith("_proxy")}
    environment |= {"PYTHONPATH": str(ROOT), "HF_ENDPOINT": endpoint, "HF_HOME": str(home), "HF_HUB_DISABLE_XET": "1"}
    environment.pop("HF_HUB_OFFLINE", None)
    done = subprocess.run(
        [sys.executable, "-c", FETCH], env=environment, cwd=home.parent, capture_output=True, text=True, timeout=240
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout)


def test_a_download_then_the_cache_alone(small_hub: str, tmp_path: Path) -> None:
    first = fetch(small_hub, tmp_path / "home")
    assert first.get("name") == "owner/model", first
    assert {"config.json", "model.safetensors", "tokenizer.json"} <= set(first["files"])
    assert "pytorch_model.bin" not in first["files"]
    shares = [share for share, _ in first["told"]]
    assert shares == sorted(shares) and shares[-1] == 1.0 and len(set(shares)) > 3

    again = fetch("http://127.0.0.1:9", tmp_path / "home")  # the discard port: nobody answers
    assert again.get("name") == "owner/model", again
