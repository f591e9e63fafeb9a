"""Between widgets and sessions, without a browser: requests, turns, kept traces, loading, live frames."""

from __future__ import annotations

import asyncio
import json
import shlex
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import gradio.queueing
import pytest

from playground.config import BeamShape, EngineOptions, Message, PlaygroundError, RunRequest
from playground.engine_options import exactly
from playground.line import LIMIT, Line, Place
from playground.trace import Record, SweepRecord, Trace
from playground.ui.callbacks import LONG
from playground.ui.exposure import Exposure
from playground.ui.host import SessionHost
from playground.ui.layout import build, open_pages
from playground.ui.live_sweep import LiveSweep
from playground.ui.pages import Pages
from playground.ui.serving import QUEUE_LOOK_SECONDS, serve
from playground.ui.settings import Widgets, command_line, history_of, run_request
from playground.ui.store import TraceStore
from tests.views.synthetic import make_trace

WIDGETS = Widgets("Hi", 4, 3, "auto", 20, 0.0, 1.0, 0, 0, True, True, None)


class Scripted:
    """A session that yields a made-up trace, a record at a time."""

    def __init__(self, trace: Trace, seconds: float = 0.0) -> None:
        self.trace, self.seconds = trace, seconds
        self.info = SimpleNamespace(device="cpu", drafter="made up")
        self.line = Line()
        self.running = 0
        self.most = 0

    def check(self, request: RunRequest) -> None:
        if request.prompt == "too long":
            raise PlaygroundError("The prompt is 9 tokens long, but the window is 3. Shorten it.")

    def run(self, request: RunRequest, stop: threading.Event, place: Place | None = None) -> Iterator[Record]:
        assert place is not None and place.position == 0  # the page stands in the session's line
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            yield self.trace.header
            for record in (*self.trace.prompts, *self.trace.steps, *self.trace.plain):
                if stop.is_set():
                    break
                time.sleep(self.seconds)
                yield record
            if self.trace.footer:
                yield self.trace.footer
        finally:
            self.running -= 1


def pages_of(session: Any) -> Pages:
    host = SessionHost(lambda *_: session)
    host.start()
    until(lambda: host.status.state == "ready")

    return Pages(host, no_sweep)


def no_sweep(*_: Any) -> Iterator[SweepRecord]:
    raise PlaygroundError("No sweep here.")


def until(true: Any) -> None:
    deadline = time.monotonic() + 10
    while not true():
        assert time.monotonic() < deadline, "waited 10 s in vain"
        time.sleep(0.005)


def test_widgets_make_a_request() -> None:
    request = run_request(replace(WIDGETS, system=" Be brief. ", temperature=0.7))
    assert [message.role for message in request.messages] == ["system", "user"]
    assert (request.shape.width, request.shape.length, request.max_new_tokens) == (4, 3, 20)
    assert request.sampling.temperature == 0.7


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"prompt": "  "}, "The prompt is empty"),
        ({"width": 65}, "Beam width is 65"),
        ({"length": 2.5}, "Beam length is 2.5"),
        ({"nodes": "many"}, "Nodes is 'many'"),
        ({"seed": None}, "Seed is None"),
        ({"temperature": float("nan")}, "Temperature is nan"),
        ({"top_p": 0.0}, "Top-p is 0"),
    ],
)
def test_bad_widgets_get_a_sentence(change: dict[str, Any], words: str) -> None:
    with pytest.raises(PlaygroundError, match=words):
        run_request(replace(WIDGETS, **change))


def test_a_follow_up_carries_the_chat_and_one_system_prompt() -> None:
    trace = make_trace(new_tokens=12)
    history = history_of(trace)
    assert [message.role for message in history] == ["user", "assistant"]
    request = run_request(replace(WIDGETS, system="Be brief."), (Message("system", "Old"), *history))
    assert [message.role for message in request.messages] == ["system", "user", "assistant", "user"]
    with pytest.raises(PlaygroundError, match="no footer"):
        history_of(replace(trace, footer=None))


def test_the_command_line_survives_a_shell() -> None:
    widgets = replace(WIDGETS, prompt="it's $HOME `x`", temperature=0.5, seed=3, race=False, chat_template=False)
    words = shlex.split(command_line(widgets, "my/model", None, EngineOptions(dtype="float32")))
    assert words[:5] == ["python", "-m", "playground", "generate", "it's $HOME `x`"]
    joined = " ".join(words)
    for part in ("--base my/model", "--dtype float32", "--temperature 0.5", "--seed 3", "--beam-width 4"):
        assert part in joined
    assert "--no-chat-template" in words and "--top-p" not in words and "--drafter" not in words


def test_the_command_line_is_one_the_cli_takes() -> None:
    from playground import cli

    widgets = replace(
        WIDGETS, nodes="beams", temperature=0.5, seed=3, top_p=0.9, top_k=4, chat_template=False, system="Brief."
    )
    for prompt in ("Hi", "--help me", "-5 degrees"):
        line = command_line(
            replace(widgets, prompt=prompt), "my/model", "my/drafter", EngineOptions(dtype="float32", device="cpu")
        )
        parsed = cli.parser().parse_args(shlex.split(line)[3:])
        assert (parsed.prompt, parsed.top_k, parsed.system, parsed.nodes) == (prompt, 4, "Brief.", "beams")


def test_the_models_panel_takes_a_device_map() -> None:
    """Empty is the map in use, `none` is one device; the command line repeats it."""
    from playground import cli

    asked: list[EngineOptions] = []

    def opened(_base: Any, _drafter: Any, options: EngineOptions, _tell: Any) -> Scripted:
        asked.append(options)
        return Scripted(make_trace())

    host = SessionHost(opened)
    pages = Pages(host, lambda *_: iter(()))
    for text, device in (("auto", ""), (" ", ""), ('{"": "disk"}', ""), ("none", ""), (None, "cpu")):
        pages.load_pair("my/model", "", device, "float32", text)
        until(lambda: host.status.state == "ready")
        line = command_line(WIDGETS, *host.wanted, host.options)
        parsed = cli.parser().parse_args(shlex.split(line)[3:])
        assert (parsed.device_map, parsed.device) == (host.options.device_map, host.options.device)
    found = [(options.device_map, options.device) for options in asked]
    spread = '{"": "disk"}'
    assert found == [("auto", "auto"), ("auto", "auto"), (spread, "auto"), (None, "auto"), (None, "cpu")]
    with pytest.raises(PlaygroundError, match="Device map is 'everywhere'"):
        pages.load_pair(None, None, None, "auto", "everywhere")


def test_the_store_is_bounded_and_forgets_a_closed_page() -> None:
    store, trace = TraceStore(limit=2), make_trace(new_tokens=6)
    store.add_example("Kept", trace)
    keys = [store.add(trace, owner) for owner in ("a", "b", "b")]
    assert len(set(keys)) == 3
    with pytest.raises(PlaygroundError, match="last 2 runs"):
        store.get(keys[0])
    store.forget("b")
    with pytest.raises(PlaygroundError):
        store.get(keys[1])
    assert store.get("example-0") is trace


def test_a_trace_without_an_owner_can_be_adopted_once() -> None:
    store, trace = TraceStore(), make_trace(new_tokens=6)
    key = store.add(trace, "")
    store.adopt(key, "a")
    store.adopt(key, "b")
    store.adopt("no such key", "b")
    assert store.owner(key) == "a"
    store.forget("b")
    assert store.get(key) is trace
    store.forget("a")
    assert store.owner(key) is None


def test_a_failed_load_keeps_the_pair_in_use() -> None:
    sessions = iter([SimpleNamespace(name="first")])

    def opener(*_: Any) -> Any:
        for session in sessions:
            return session
        raise PlaygroundError("No such model. Check its name.")

    host = SessionHost(opener)
    with pytest.raises(PlaygroundError, match="still loading"):
        host.require()
    host.start()
    until(lambda: host.status.state == "ready")
    first = host.require()
    host.open("other", None, EngineOptions())
    until(lambda: host.status.error)
    assert host.status.state == "ready" and host.require() is first
    assert host.status.error.startswith("No such model") and host.wanted == (None, None)


def test_why_a_load_failed_is_for_the_page_that_asked() -> None:
    """Others, who typed nothing, learn neither the name nor the path; what the server itself loads concerns all."""
    answers: list[Any] = [PlaygroundError("No folder /own. Check it."), PlaygroundError("No folder /secret. Check it.")]
    answers += [Scripted(make_trace(new_tokens=6)), PlaygroundError("No folder /other. Check it.")]

    def opener(*_: Any) -> Any:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        answer.info = None
        return answer

    host = SessionHost(opener)
    pages = Pages(host, lambda *_: iter(()))

    def errors() -> tuple[str, str]:
        until(lambda: host.status.state != "loading")
        return host.status.error_for("a"), host.status.error_for("b")

    host.start()
    assert errors() == ("No folder /own. Check it.",) * 2
    pages.load_pair("/secret", None, None, None, owner="a")
    told, others = errors()
    assert told == "No folder /secret. Check it."
    assert others.startswith("No model is loaded: the one another page asked for") and "secret" not in others
    with pytest.raises(PlaygroundError) as caught:
        host.require("b")
    assert "secret" not in str(caught.value)
    pages.load_pair("/good", None, None, None, owner="a")
    assert errors() == ("", "")
    pages.load_pair("/other", None, None, None, owner="b")
    assert errors() == ("", "No folder /other. Check it.") and host.status.state == "ready"


def test_frames_are_dropped_but_records_are_not() -> None:
    trace = make_trace(new_tokens=120, seed=2)
    pages = pages_of(Scripted(trace, seconds=0.001))
    run = pages.begin_run("page", run_request(WIDGETS))
    frames = [json.loads(frame) for frame in run.frames()]
    assert len(frames) < len(trace.steps) and frames[-1]["state"] == "done"
    assert frames[-1]["steps"] == len(trace.steps) and "replay" in frames[-1]
    kept = pages.store.get(frames[-1]["key"])
    assert kept.steps == trace.steps and kept.plain == trace.plain and kept.footer == trace.footer


def test_stop_ends_the_worker_and_frees_the_device() -> None:
    session = Scripted(make_trace(new_tokens=200), seconds=0.01)
    pages = pages_of(session)
    run = pages.begin_run("page", run_request(WIDGETS))
    frames = run.frames()
    next(frames)
    pages.stop("page")
    begun = time.monotonic()
    last = [json.loads(frame) for frame in frames][-1]
    assert last["state"] == "done" and time.monotonic() - begun < 2.0
    until(lambda: session.running == 0)


def test_one_run_at_a_time_and_the_second_sees_its_place() -> None:
    session = Scripted(make_trace(new_tokens=60), seconds=0.004)
    pages = pages_of(session)
    first = pages.begin_run("one", run_request(WIDGETS))
    second = pages.begin_run("two", run_request(WIDGETS))
    waiting = json.loads(next(second.frames()))
    assert (waiting["state"], waiting["position"], waiting["key"]) == ("queued", 1, "")
    threads = [threading.Thread(target=lambda live=live: list(live.frames())) for live in (first, second)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert session.most == 1 and first.over and second.over


def test_a_waiting_run_can_be_stopped_and_those_behind_move_up() -> None:
    session = Scripted(make_trace(new_tokens=60), seconds=0.01)
    pages = pages_of(session)
    runs = [pages.begin_run(owner, run_request(WIDGETS)) for owner in ("one", "two", "three")]
    assert [json.loads(next(run.frames()))["position"] for run in runs[1:]] == [1, 2]
    pages.stop("two")
    until(lambda: runs[1].over)
    last = [json.loads(frame) for frame in runs[1].frames()][-1]
    assert (last["state"], last["message"], runs[1].trace) == ("done", "", None)
    assert json.loads(next(runs[2].frames()))["position"] == 1
    pages.stop("one")
    pages.stop("three")
    until(lambda: len(session.line) == 0)


def test_a_full_line_is_told_at_once() -> None:
    session = Scripted(make_trace(new_tokens=60), seconds=0.05)
    pages = pages_of(session)
    runs = [pages.begin_run(f"page {index}", run_request(WIDGETS)) for index in range(LIMIT)]
    with pytest.raises(PlaygroundError, match=f"{LIMIT} runs are waiting for this device already"):
        pages.begin_run("one more", run_request(WIDGETS))
    for index in range(LIMIT):
        pages.stop(f"page {index}")
    until(lambda: all(run.over for run in runs))
    pages.begin_run("one more", run_request(WIDGETS))
    pages.stop("one more")


def test_gradio_lets_in_more_than_the_line_takes() -> None:
    page = build(open_pages(SessionHost(lambda *_: Scripted(make_trace(new_tokens=6))), Exposure()))
    long = [function for function in page.fns.values() if function.concurrency_limit == LONG["concurrency_limit"]]
    assert len(long) == 4  # run, follow up, sweep, run again
    assert LONG["concurrency_limit"] > LIMIT + 1 and "concurrency_id" not in LONG


def test_another_pair_stands_in_the_same_line() -> None:
    sessions = [Scripted(make_trace(new_tokens=6)) for _ in range(2)]
    opening = iter(sessions)
    host = SessionHost(lambda *_: next(opening))
    host.start()
    until(lambda: host.session is sessions[0])
    host.open("other", None, EngineOptions())
    until(lambda: host.session is sessions[1])
    assert sessions[1].line is sessions[0].line


def test_a_pair_is_loaded_again_exactly() -> None:
    wanted: list[tuple[str | None, EngineOptions]] = []
    session = Scripted(make_trace(new_tokens=6))

    def opener(base: str | None, _drafter: str | None, options: EngineOptions, _progress: Any) -> Any:
        wanted.append((base, options))
        return session

    host = SessionHost(opener, "mine", None, EngineOptions(dtype="bfloat16", engine="eager", threads=2))
    pages = Pages(host, no_sweep)
    with pytest.raises(PlaygroundError, match="still loading"):
        pages.load_exactly("a")
    host.start()
    until(lambda: host.status.state == "ready")
    pages.load_exactly("a")
    until(lambda: host.status.revision == 2)
    assert wanted[1] == ("mine", EngineOptions(dtype="float32", engine="auto", threads=2))
    on_cuda = exactly(EngineOptions(dtype="bfloat16"), "cuda:0")
    assert (on_cuda.exact, on_cuda.kernels, on_cuda.dtype) == (True, "triton", "bfloat16")
    spread = exactly(EngineOptions(device_map="auto"), "cuda:0")
    assert (spread.exact, spread.dtype, spread.engine) == (False, "float32", "eager")
    with pytest.raises(PlaygroundError, match="--allow-loading"):
        Pages(host, no_sweep, may_load=False).load_exactly("a")


def test_a_refused_request_starts_nothing() -> None:
    pages = pages_of(Scripted(make_trace(new_tokens=6)))
    with pytest.raises(PlaygroundError, match="window is 3"):
        pages.begin_run("page", RunRequest((Message("user", "too long"),), BeamShape(1, 1)))
    session = pages.host.session
    assert session is not None and len(session.line) == 0


def test_a_sweep_tells_its_state_like_a_run() -> None:
    cut = SweepRecord((1, 2), (1,), (), plain_tokens_per_second=None, prompt="Hi", finished=False)

    def measure(stop: threading.Event, place: Place) -> Iterator[SweepRecord]:
        assert place.position == 0
        yield cut
        raise ValueError("no such shape")

    line = Line()
    sweep = LiveSweep(measure, line)
    sweep.start()
    frames = [json.loads(frame) for frame in sweep.frames()]
    last = frames[-1]
    assert (last["kind"], last["state"], last["position"]) == ("sweep", "failed", 0)
    assert last["message"] == "The sweep broke off: ValueError: no such shape. What was measured stays."
    assert last["surface"]["total"] == 2
    until(lambda: len(line) == 0)


def test_the_queue_does_not_spin(monkeypatch: pytest.MonkeyPatch) -> None:
    """Gradio's own pace, a look every millisecond, costs 7% of a core; its name for it may change with a release."""
    pauses: list[float] = []

    class Noted:
        """asyncio as the queue sees it, its pauses noted."""

        def __getattr__(self, name: str) -> Any:
            return getattr(asyncio, name)

        async def sleep(self, seconds: float) -> None:
            pauses.append(seconds)
            await asyncio.sleep(seconds)

    monkeypatch.setattr(gradio.queueing, "asyncio", Noted())
    served = serve(SessionHost(lambda *_: Scripted(make_trace(new_tokens=6))), port=None, block=False)
    try:
        until(lambda: len(pauses) >= 5)
    finally:
        served.close()
    assert min(pauses) >= QUEUE_LOOK_SECONDS, f"idle, the queue pauses for {min(pauses) * 1e3:g} ms"


def test_steps_and_files_through_the_hub() -> None:
    trace = make_trace(new_tokens=20)
    pages = pages_of(Scripted(trace))
    key = pages.store.add(trace, "page")
    assert pages.step(key, 0)["index"] == 0
    with pytest.raises(PlaygroundError, match="does not exist"):
        pages.step(key, 999)
    text = pages.download(key)
    opened = pages.load_trace("../run of mine.jsonl", text)
    assert opened["steps"] == len(trace.steps) and opened["message"] == "" and pages.store.get(opened["key"]) == trace
    cut = "\n".join(text.splitlines()[:-2]) + "\n"
    assert "cut off" in pages.load_trace("cut.jsonl", cut)["message"]
    with pytest.raises(PlaygroundError, match=r"holiday\.txt"):
        pages.load_trace("holiday.txt", "Dear diary")
