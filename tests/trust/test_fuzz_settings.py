"""Settings by chance, through the terminal and over HTTP: a sentence or a run, never a traceback, a 500 or a hang."""

from __future__ import annotations

import contextlib
import io
import json
import random
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import astuple
from pathlib import Path
from typing import Any

import httpx
import pytest

from playground.cli import main
from playground.config import EngineOptions, PlaygroundError, RunRequest
from playground.session import Session
from playground.ui.host import SessionHost
from playground.ui.serving import serve
from playground.ui.settings import Widgets, run_request
from playground.ui.store import TraceStore
from tests.ports import free_port
from tests.trust.conftest import Note
from tests.trust.mutate import ODD, broken, mutated
from tests.ui.test_plumbing import WIDGETS
from tests.views.synthetic import make_trace

SECONDS = 10.0
FLAGS = (
    "--beam-width", "--beam-length", "--max-new-tokens", "--temperature", "--top-k", "--top-p", "--seed", "--device",
    "--dtype", "--engine", "--kernels", "--device-map", "--threads", "--nodes",
    "--system", "--trace", "--base", "--drafter",
)  # fmt: skip
TEXTS = (
    "", "0", "1", "-1", "65", "1e9", "nan", "inf", "-inf", "0.5", "9" * 5000, "auto", "none", "cpu", "cuda:99", "mps",
    "float32", "{", "{}", "[]", "\udcff", "x" * 5000, "/nonexistent/x", "٣", "²", "1,2", "1-4", "--", "-", "\t", "😀",
    "/dev/null",
)  # fmt: skip


def arguments(dice: random.Random) -> list[str]:
    """A command line that loads nothing: its base model is nowhere."""
    verb = dice.choice(("generate", "race", "sweep", "info", "evaluate", "benchmark", "validate", "nothing"))
    given = [verb, *dice.sample(TEXTS, dice.randrange(3))]
    for flag in dice.sample(FLAGS, dice.randrange(5)):
        given += [f"{flag}={dice.choice(TEXTS)}"]
    return [*given, *(("--base", "/nonexistent/model") if verb not in ("validate", "nothing") else ())]


def test_command_lines_end_in_a_sentence(scale: int, monkeypatch: pytest.MonkeyPatch, record_property: Note) -> None:
    dice, longest = random.Random(151), 0.0
    for number in range(100 * scale):
        given = arguments(dice)
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"\xffx")))
        out, err = io.StringIO(), io.StringIO()
        begun = time.monotonic()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            try:
                code = main(given)
            except SystemExit as ended:  # argparse's own way
                code = int(ended.code or 0)
        assert code == 2 and "Traceback" not in err.getvalue(), (number, given, err.getvalue())
        longest = max(longest, took := time.monotonic() - begun)
        assert err.getvalue().strip() and took < SECONDS, (number, given)
    record_property("command lines tried", f"{100 * scale:,}")
    record_property("longest, seconds", f"{longest:.2f}")


def test_widgets_make_a_request_or_a_sentence(scale: int, record_property: Note) -> None:
    dice, made = random.Random(152), 0
    good = astuple(WIDGETS)
    for number in range(1000 * scale):
        values = list(good)
        for _ in range(dice.choice((1, 2))):
            values[dice.randrange(len(good))] = dice.choice(ODD)
        try:
            made += isinstance(run_request(Widgets(*values)), RunRequest)
        except PlaygroundError as error:
            assert len(str(error)) < 1000, (number, values)
    record_property("widget values tried", f"{1000 * scale:,}")
    record_property("of these a request", f"{made:,}")
    assert made


@pytest.fixture(scope="module")
def client(own_cache: Path, tiny_base: Path, tiny_drafter: Path) -> Iterator[httpx.Client]:
    store = TraceStore()
    store.add_example("Made up", make_trace(new_tokens=12))
    session = Session.open(
        str(tiny_base), str(tiny_drafter), EngineOptions(device="cpu", dtype="float32", engine="eager")
    )
    server = serve(SessionHost(lambda *_: session), port=free_port(), block=False, store=store)
    with httpx.Client(base_url=server.url, timeout=30) as made:
        yield made
    server.close()


def test_http_answers_without_a_500(scale: int, client: httpx.Client, record_property: Note) -> None:
    """Calls and events of the page, changed in their values and in their bytes, and other paths."""
    dice = random.Random(153)
    config = client.get("/config").json()
    (stage,) = (item["id"] for item in config["components"] if item["props"].get("elem_id") == "rp-stage")
    names = ("pair_status", "step", "open_trace", "load_trace", "download", "export_run", "draw_chart", "none")
    events = [dependency["id"] for dependency in config["dependencies"]]
    codes, longest = Counter[int](), 0.0
    for number in range(150 * scale):
        if dice.random() < 0.6:
            path = "/gradio_api/component_server/"
            body: Any = {
                "data": ["example-0", 0],
                "fn_name": dice.choice(names),
                "component_id": stage,
                "session_hash": "x",
            }
        else:
            path = dice.choice(
                ("/gradio_api/queue/join", "/gradio_api/run/predict", "/gradio_api/reset", "/gradio_api/cancel")
            )
            body = {
                "data": ["Hi", 4, 3, 20],
                "fn_index": dice.choice(events),
                "session_hash": f"x{number}",
                "event_id": "x",
            }
        body = mutated(dice, body) if dice.random() < 0.8 else body
        content = json.dumps(body).encode()
        content = broken(dice, content) if dice.random() < 0.2 else content
        begun = time.monotonic()
        answer = client.post(path, content=content, headers={"Content-Type": "application/json"})
        codes[answer.status_code] += 1
        longest = max(longest, took := time.monotonic() - begun)
        assert answer.status_code < 500 and took < SECONDS, (
            number,
            path,
            content,
            answer.text[:300],
        )
    record_property("requests tried", f"{150 * scale:,}")
    record_property("answers", ", ".join(f"{count:,} times {code}" for code, count in sorted(codes.items())))
    record_property("longest, seconds", f"{longest:.2f}")
    assert 200 in codes and codes.keys() & {400, 413, 422}
    assert client.get("/config").status_code == 200
