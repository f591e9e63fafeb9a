"""Runs one part in a process of its own and makes its record of what the process left."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from xml.etree import ElementTree

from benchmarks.cpu.machine import load, processor
from benchmarks.trust.parts import MT_BENCH, Part
from benchmarks.trust.records import ROOT, Failure, Figure, Outcome, Record, commit, sources

PROMPTS = 80
UNFINISHED = ROOT / "scratch" / "trust"  # what an interrupted comparison has compared
LIBRARIES = ("torch", "transformers", "gradio")
MARKER = "trust or not trust"
LIMIT = 1800  # seconds a test may take on a busy machine; what is to be quick says so itself
PROPERTIES = ("-o", "junit_family=xunit1")  # the form of report that carries figures


def run(part: Part, scale: int) -> Record:
    """The part as it stands here; tests that fail are in the record, not raised."""
    before, began, clock = load(), datetime.now(UTC), time.monotonic()
    stands, known = commit(), sources()
    outcome, command = (_compared if part.dtype else _tested)(part, scale)
    described = processor()
    return Record(
        part=part.name,
        command=command,
        commit=stands,
        sources=known,
        date=began.strftime("%Y-%m-%d %H:%M"),
        seconds=round(time.monotonic() - clock, 1),
        load=before,
        processor=described["processor"],
        flags=tuple(described["flags"]),
        cores=os.cpu_count() or 1,
        versions={"python": sys.version.split()[0], **{name: version(name) for name in LIBRARIES}},
        scale=scale,
        outcome=outcome,
    )


def _tested(part: Part, scale: int) -> tuple[Outcome, str]:
    told = f'TRUST_SCALE={scale} python -m pytest --timeout={LIMIT} -m "{MARKER}" {" ".join(part.tests)}'
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        command = [
            sys.executable,
            "-m",
            "pytest",
            f"--timeout={LIMIT}",
            "-m",
            MARKER,
            *part.tests,
            f"--junitxml={report}",
            *PROPERTIES,
        ]
        code = _ended(command, {"TRUST_SCALE": str(scale)})
        if not report.exists():
            return _broken(f"pytest ended with {code} and left no report"), told
        found = outcome_of(report.read_text(encoding="utf-8"))
    if code and not found.failed:
        found = _broken(f"pytest ended with {code}")
    return found, told


def outcome_of(report: str) -> Outcome:
    """What a report of pytest's (JUnit's XML) says."""
    passed, failed, skipped, figures = 0, list[Failure](), Counter[str](), list[Figure]()
    for case in ElementTree.fromstring(report).iter("testcase"):
        name = f"{case.get('classname', '').removeprefix('tests.')}::{case.get('name')}"
        for told in case.iter("property"):
            figures.append(Figure(name, str(told.get("name")), str(told.get("value"))))
        wrong = [one for kind in ("failure", "error") for one in case.iter(kind)]
        left_out = case.find("skipped")
        if wrong:
            failed.append(Failure(name, _first_line(wrong[0].get("message") or "")))
        elif left_out is not None:
            skipped[_first_line(left_out.get("message") or "no reason given")] += 1
        else:
            passed += 1
    return Outcome(passed, tuple(failed), dict(skipped), tuple(figures))


def _compared(part: Part, _scale: int) -> tuple[Outcome, str]:
    arguments = ["--parts", "", "--dtype", part.dtype, "--exactness", str(PROMPTS), "--mt-bench"]
    told = f'python -m benchmarks.cpu --parts "" {" ".join(arguments[2:])} question.jsonl'
    out = UNFINISHED / sources() / f"{part.name}.json"
    out.parent.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "benchmarks.cpu", *arguments, os.environ[MT_BENCH], "--out", str(out)]
    code = _ended(command, {})
    if code:
        return _broken(f"the comparison ended with {code}"), told
    found = json.loads(out.read_text(encoding="utf-8"))["exactness"]
    differing = found["runs"] - found["identical"]
    failed = (Failure("both lanes", f"{differing} of {found['runs']} runs differ"),) if differing else ()
    figures = [Figure("both lanes", name, f"{found[name]:,}") for name in ("runs", "identical", "tokens")]
    return Outcome(found["identical"], failed, {}, tuple(figures)), told


def _ended(command: list[str], more: Mapping[str, str]) -> int:
    """The command's exit code; its words go to the terminal."""
    with subprocess.Popen(command, cwd=ROOT, env={**os.environ, **more}) as process:
        try:
            return process.wait()
        except KeyboardInterrupt:
            process.wait()  # the terminal has told it too
            raise


def _broken(why: str) -> Outcome:
    return Outcome(0, (Failure("the part itself", why),), {}, ())


def _first_line(text: str) -> str:
    """Short, and without the places of this machine."""
    line = next(iter(text.strip().splitlines()), "")
    return re.sub(r"(/[\w.~ -]+){2,}/", "…/", line.replace(str(ROOT), ""))[:200]
