"""A run of `train` in a process of its own, interrupted where it stands as a person's Ctrl-C does it."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil

from playground.distill.training.loop import trained_steps

ROOT = Path(__file__).resolve().parents[2]
_STOPS_WITHIN = 10.0  # seconds, of a process that has a core for itself
INTERRUPTED = (130, -signal.SIGINT)  # the second where Python was still importing
STAGES = ("corpus", "teacher", "training", "trial")


@dataclass(frozen=True)
class Moment:
    """Seconds after a stage's bar was first drawn; after the program began, where the stage is empty."""

    stage: str
    seconds: float


@dataclass(frozen=True)
class Stop:
    """How a run ended that was interrupted, or that was over before."""

    code: int
    seconds: float  # from the signal to the end, by the clock
    computed: float  # the same in seconds of computing, of all its threads
    told: dict[str, float]  # by stage, what its bar said was done last
    words: str  # standard error

    @property
    def interrupted(self) -> bool:
        """Whether it still ran at that moment."""
        return self.code in INTERRUPTED


def stops_within() -> float:
    """Seconds from Ctrl-C to the end: ten, and as many times that as there are processes for every core now."""
    return _STOPS_WITHIN * max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))


def train(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "playground", "train", *arguments]


def stopped_at(command: list[str], moment: Moment) -> Stop:
    """Start the command and interrupt it at that moment."""
    read: list[bytes] = []
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, preexec_fn=_hears_interrupts
    ) as process:
        assert process.stderr is not None
        source = process.stderr

        def follow() -> None:
            while part := source.read1(4096):  # type: ignore[attr-defined]
                read.append(part)

        reader = threading.Thread(target=follow, daemon=True)
        reader.start()
        drawn = re.compile(rf"\b{moment.stage}: +\d+%".encode()) if moment.stage else re.compile(b"")
        while process.poll() is None and not drawn.search(b"".join(read)):
            time.sleep(0.02)
        time.sleep(moment.seconds)
        process.poll()  # what has ended by itself is not counted
        began, before = time.monotonic(), _computed(process)
        process.send_signal(signal.SIGINT)
        code, computed = _end(process, began + 120)
        seconds, computed = time.monotonic() - began, computed - before
        reader.join(timeout=30)
    words = b"".join(read).decode("utf-8", "replace")
    return Stop(code, seconds, computed, {stage: _told(words, stage) for stage in STAGES}, words)


def _computed(process: subprocess.Popen[bytes]) -> float:
    """Seconds of computing so far; none where it has ended."""
    try:
        times = psutil.Process(process.pid).cpu_times()
    except psutil.NoSuchProcess:
        return 0.0
    return float(times.user + times.system)


def _end(process: subprocess.Popen[bytes], deadline: float) -> tuple[int, float]:
    """Its exit code and all it computed, once it has ended."""
    if process.returncode is not None:  # before it was told to
        return process.returncode, 0.0
    while True:
        pid, status, used = os.wait4(process.pid, os.WNOHANG)
        if pid:
            process.returncode = os.waitstatus_to_exitcode(status)
            return process.returncode, used.ru_utime + used.ru_stime
        if time.monotonic() > deadline:
            process.kill()
            raise subprocess.TimeoutExpired(process.args, 120)
        time.sleep(0.02)


def _hears_interrupts() -> None:
    """As in a terminal; a shell's background job is started with Ctrl-C ignored."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def _told(words: str, stage: str) -> float:
    found = re.findall(rf"{stage}: [^|\r\n]*\|[^|\r\n]*\| *([\d.]+)([kM]?)/", words)
    return float(found[-1][0]) * {"": 1, "k": 1e3, "M": 1e6}[found[-1][1]] if found else 0.0


def kept(work: Path) -> dict[str, int]:
    """By stage, what is on disk: tokens, tokens, steps, decodings."""
    shards = (work / "corpus").glob("rows-*.npz")
    tokens = sum(np.load(file)["ids"].size for file in shards)
    for file in (work / "corpus").glob("unfinished-*.npz"):
        with np.load(file) as archive:
            tokens += sum(len(archive[name]) for name in archive.files)
    states = work / "teacher" / "states.json"
    read = json.loads(states.read_text())["done"] if states.exists() else 0
    return {"corpus": tokens, "teacher": read, "training": trained_steps(work / "training"), "trial": _tried(work)}


def _tried(work: Path) -> int:
    plan = json.loads(file.read_text()) if (file := work / "plan.json").exists() else {}
    if trial := plan.get("trial"):
        return int(trial["prompts"] * (1 + len(trial["shapes"])))
    return len((plan.get("tried") or {"decodings": []})["decodings"])


def interrupt(command: list[str], work: Path, moments: tuple[Moment, ...]) -> list[Stop]:
    """One run, interrupted and taken up again at every moment: each stop is quick, and nothing told as done is lost."""
    stops, before = [], kept(work)
    for moment in moments:
        stop, now = stopped_at(command, moment), kept(work)
        assert stop.code in (0, *INTERRUPTED), (moment, stop.words[-2000:])
        assert stop.seconds < stops_within(), (moment, stop.seconds, stop.words[-2000:])
        assert stop.computed < _STOPS_WITHIN, (moment, stop.computed, stop.words[-2000:])
        for stage in STAGES:
            assert now[stage] >= before[stage], (moment, stage, before, now)
            assert now[stage] >= 0.99 * stop.told[stage], (moment, stage, stop.told, now)
        stops.append(stop)
        before = now
    return stops
