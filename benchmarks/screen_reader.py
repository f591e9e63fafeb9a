"""A client that reads a run's frames and draws nothing: `python -m benchmarks.screen_reader URL`, values on stdin.

Speaks the page's own event stream over plain HTTP with the standard library alone, in a process of its own, so that
its cost is not taken for the server's. Says `ready` when it has started, waits for one line of JSON (the rail's
values), and prints one JSON line: for every frame the steps it shows, when it came (seconds since the epoch), and its
size.
"""

from __future__ import annotations

import http.client
import json
import sys
import time
import uuid
from typing import Any
from urllib.parse import urlsplit


def read_run(url: str, values: list[Any]) -> list[tuple[int, float, int]]:
    """Ask for a run and read its frames: (steps, arrival, characters) each."""
    address = urlsplit(url)
    connection = http.client.HTTPConnection(address.hostname or "", address.port)
    connection.request("GET", "/config")
    config = json.load(connection.getresponse())
    prefix = config["api_prefix"]
    index = next(item["id"] for item in config["dependencies"] if item["api_name"] == "run")
    session = uuid.uuid4().hex
    body = json.dumps({"data": values, "fn_index": index, "session_hash": session})
    connection.request("POST", f"{prefix}/queue/join", body, {"Content-Type": "application/json"})
    connection.getresponse().read()
    connection.request("GET", f"{prefix}/queue/data?session_hash={session}")
    frames = []
    for raw in connection.getresponse():
        arrived = time.time()
        if not raw.startswith(b"data:"):
            continue
        message = json.loads(raw[5:])
        if message["msg"] == "process_completed":
            break
        if message["msg"] == "process_generating":
            frames.append((raw, arrived))
    connection.close()
    read = []
    for raw, arrived in frames:
        [value] = json.loads(raw[5:])["output"]["data"]
        text = value if isinstance(value, str) else "".join(change[-1] for change in value)
        if text:  # the end of a stream repeats its last frame as no change
            read.append((int(json.loads(text).get("steps", 0)), arrived, len(raw)))
    return read


def main() -> None:
    print("ready", flush=True)
    values = json.loads(sys.stdin.readline())
    print(json.dumps(read_run(sys.argv[1], values)))


if __name__ == "__main__":
    main()
