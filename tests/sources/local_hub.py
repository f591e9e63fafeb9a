"""A small hub on this machine that the real client talks to: repositories, commits, gates, and what was asked."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass, field
from hashlib import sha1, sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

FIRST, SECOND = "0123456789abcdef0123456789abcdef01234567", "89abcdef0123456789abcdef0123456789abcdef"


@dataclass
class Repository:
    """Files of one repository, the same at every commit."""

    files: dict[str, bytes]
    gated: bool = False
    commits: list[str] = field(default_factory=lambda: [FIRST])  # the newest one at each time it is asked for


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


class LocalHub:
    """Serves `repositories` by id; `asked` keeps the paths, each as the client asked for it."""

    def __init__(self) -> None:
        self.repositories: dict[str, Repository] = {}
        self.asked: list[str] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def downloads(self) -> list[str]:
        """Files whose bytes were asked for, in order."""
        got = [path for path in self.asked if path.startswith("GET ") and "/resolve/" in path]
        return [path.split("/resolve/")[1].split("/", 1)[1] for path in got]


Answer = tuple[int, bytes, dict[str, str]]


def answer(hub: LocalHub, path: str) -> Answer:
    """Status, body and headers as the hub gives them."""
    parts = path.split("/")
    if parts[1] == "api":  # /api/models/owner/name[/revision/main | /tree/commit]
        return _about(hub.repositories.get("/".join(parts[3:5])), "/".join(parts[3:5]), parts[5:])
    repository, commit, name = hub.repositories.get("/".join(parts[1:3])), parts[4], "/".join(parts[5:])
    if repository is None:
        return 404, b"", {"X-Error-Code": "RepoNotFound"}
    if repository.gated:
        return 403, b"", {"X-Error-Code": "GatedRepo"}
    if name not in repository.files:
        return 404, b"", {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": commit}
    data = repository.files[name]
    return 200, data, {"ETag": f'"{sha256(data).hexdigest()}"', "X-Repo-Commit": commit}


def _about(repository: Repository | None, name: str, more: list[str]) -> Answer:
    if repository is None:
        return 404, b"", {"X-Error-Code": "RepoNotFound"}
    if more[:1] == ["tree"]:
        listed = [
            {"type": "file", "path": path, "size": len(data), "oid": sha1(data).hexdigest()}
            for path, data in repository.files.items()
        ]
        return 200, json.dumps(listed).encode(), {"Content-Type": "application/json"}
    commit = repository.commits.pop(0) if len(repository.commits) > 1 else repository.commits[0]
    siblings = [{"rfilename": path, "size": len(data)} for path, data in repository.files.items()]
    told = {"id": name, "modelId": name, "sha": commit, "siblings": siblings, "tags": []}
    return 200, json.dumps(told).encode(), {"Content-Type": "application/json"}


def _handler(hub: LocalHub) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_HEAD(self) -> None:
            self.reply(body=False)

        def do_GET(self) -> None:
            self.reply(body=True)

        def reply(self, body: bool) -> None:
            path = self.path.split("?")[0]
            hub.asked.append(f"{self.command} {path}")
            status, data, headers = answer(hub, path)
            self.send_response(status)
            for key, value in {**headers, "Content-Length": str(len(data))}.items():
                self.send_header(key, value)
            self.end_headers()
            if body:
                self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            pass

    return Handler
