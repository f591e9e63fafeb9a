"""Stop with a prompt that fills the default model's window: Ctrl-C in a terminal, Stop on the page, within a second.

The second is the process's own computing, with one thread: what the clock shows where nothing else wants the core.
On a busy machine the clock says how busy it is. In a terminal the end of the process counts too.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time

import psutil
import pytest
from tokenizers import Tokenizer

from playground.progress import silent
from playground.sources.default_base import ensure_default_base
from tests.trust.conftest import Note
from tests.trust.tabs import ROOT, Tab, server

pytestmark = [pytest.mark.trust, pytest.mark.timeout(1800)]

TOKENS = 8_100  # of the default model's 8,192
PROMPT = "the" + " sea the" * (TOKENS // 2 - 1) + " sea"
SECONDS = 1.0
ONE_THREAD = {**os.environ, "OMP_NUM_THREADS": "1"}
ENGINES = ("native", "eager")


def computed(process: psutil.Process) -> float:
    """Seconds of computing so far, its children's among them."""
    times = process.cpu_times()
    return float(times.user + times.system + times.children_user + times.children_system)


def compute(process: psutil.Process, seconds: float) -> None:
    """Wait until it has computed for so long."""
    until = computed(process) + seconds
    while computed(process) < until:
        time.sleep(0.05)


def test_the_prompt_is_as_long_as_it_says() -> None:
    tokenizer = Tokenizer.from_file(str(ensure_default_base(silent) / "tokenizer.json"))
    assert len(tokenizer.encode(PROMPT).ids) == TOKENS


@pytest.mark.parametrize("engine", ENGINES)
def test_control_c_is_heard(engine: str, record_property: Note) -> None:
    """A process of its own, as in a terminal; its computing from the signal to its end, its own winding up included."""
    command = [sys.executable, "-m", "playground", "generate", "-", "--no-chat-template", "--max-new-tokens", "64"]
    process = subprocess.Popen(
        [*command, "--engine", engine, "--threads", "1"],
        cwd=ROOT, env=ONE_THREAD, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdin is not None and process.stderr is not None
    process.stdin.write(PROMPT)
    process.stdin.close()
    told = next((line for line in process.stderr if line.startswith("Ready")), "")
    assert told, "the pair was not loaded"
    seen = psutil.Process(process.pid)
    compute(seen, 3.0)  # well into the prompt, which takes many times as long
    before, begun = computed(seen), time.monotonic()
    process.send_signal(signal.SIGINT)
    rest = process.stderr.read()
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    took = used.ru_utime + used.ru_stime - before
    record_property("seconds of computing from Ctrl-C to the end", f"{took:.2f}")
    record_property("by the clock", f"{time.monotonic() - begun:.2f}")
    assert process.returncode == 130, rest
    assert took < SECONDS


@pytest.mark.parametrize("engine", ENGINES)
def test_the_pages_stop_is_heard(engine: str, record_property: Note) -> None:
    """The server's computing from the click to the last frame; the next run is answered."""
    with server("--engine", engine, "--threads", "1") as (url, pid):
        seen, tab, done = psutil.Process(pid), Tab(url), threading.Event()

        def read() -> None:
            for frame in tab.run(PROMPT, tokens=16):
                states.append(frame["state"])
            done.set()

        states: list[str] = []
        threading.Thread(target=read, daemon=True).start()
        while "prompt" not in states:
            assert not done.wait(0.05), tab.frame
        compute(seen, 3.0)
        before, begun = computed(seen), time.monotonic()
        assert not done.is_set(), "the prompt was read before it could be stopped"
        tab.stop()
        assert done.wait(120)
        took = computed(seen) - before
        record_property("seconds of computing from Stop to the last frame", f"{took:.2f}")
        record_property("by the clock", f"{time.monotonic() - begun:.2f}")
        assert states[-1] == "done" and tab.frame.get("steps", 0) == 0
        assert took < SECONDS
        assert [frame["state"] for frame in tab.run("Hi", tokens=4)][-1] == "done"
        tab.close()
