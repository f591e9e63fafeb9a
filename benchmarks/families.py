"""A minute of training, a load and a race for a tiny random model of every tested family, in every dtype.

    python -m benchmarks.families [--minutes 1] [--together 8]

Runs tests/distill/test_families.py, several processes side by side, and writes benchmarks/results/families.md. The
minutes are by the clock, so with more processes than cores each of them trains for fewer steps.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TESTS = "tests/distill/test_families.py"
PYTEST = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-m", "trust or not trust"]
REPORT = ROOT / "benchmarks" / "results" / "families.md"


@dataclass(frozen=True)
class Case:
    """One family on one engine in one dtype."""

    name: str
    took: str  # minutes, steps and tokens; why it failed, where it did
    passed: bool


def all_cases() -> list[str]:
    """Their pytest ids."""
    done = subprocess.run([*PYTEST, "--collect-only", TESTS], cwd=ROOT, capture_output=True, text=True, check=True)
    return [line for line in done.stdout.splitlines() if line.startswith(f"{TESTS}::")]


def run(cases: list[str], minutes: float, together: int) -> Iterator[Case]:
    """Every case, in `together` processes of one thread each."""
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder) / f"{number}.xml" for number in range(together)]
        environment = os.environ | {"REDRAFTER_TRAIN_MINUTES": str(minutes), "OMP_NUM_THREADS": "1"}
        started = [
            subprocess.Popen(
                [*PYTEST, f"--timeout={60 * minutes + 600:.0f}", f"--junitxml={file}", *cases[number::together]],
                cwd=ROOT,
                env=environment,
                stdout=subprocess.DEVNULL,
            )
            for number, file in enumerate(files)
            if cases[number::together]
        ]
        for process in started:
            process.wait()
        for file in files[: len(started)]:
            yield from read(file)


def read(file: Path) -> Iterator[Case]:
    """The cases of a JUnit report."""
    for case in ElementTree.parse(file).getroot().iter("testcase"):
        name = re.sub(r".*\[(.*)\]", r"\1", case.get("name", ""))
        failure = next((part for kind in ("failure", "error") for part in case.iter(kind)), None)
        took = "".join(part.get("value", "") for part in case.iter("property") if part.get("name") == "took")
        said = took if failure is None else " ".join((failure.get("message") or "").split())[:200]
        yield Case(name, said, failure is None and bool(took))


def report(cases: list[Case], command: str, when: str) -> str:
    """As Markdown."""
    passed = sum(case.passed for case in cases)
    lines = ["# Every tested family, trained for, loaded and raced", "", f"`{command}`, {when}.", ""]
    lines += [f"{passed} of {len(cases)} passed.", "", "| family, engine, dtype | training |", "|---|---|"]
    lines += [f"| {case.name} | {case.took} |" for case in sorted(cases, key=lambda case: case.name)]
    return "\n".join(lines) + "\n"


def main() -> int:
    """0 where all passed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=1.0, help="of each training, by the clock")
    parser.add_argument("--together", type=int, default=os.cpu_count() or 1, help="processes")
    asked = parser.parse_args()
    cases = list(run(all_cases(), asked.minutes, asked.together))
    command = f"python -m benchmarks.families --minutes {asked.minutes:g} --together {asked.together}"
    when = f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {os.cpu_count()} cores"
    REPORT.write_text(report(cases, command, when))
    print(report(cases, command, when))
    return 0 if all(case.passed for case in cases) else 1


if __name__ == "__main__":
    sys.exit(main())
