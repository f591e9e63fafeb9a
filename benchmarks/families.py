"""A minute of training, a load and a race for a tiny random model of every tested family, in every dtype.

    python -m benchmarks.families [--minutes 1] [--together 8]

Runs tests/distill/test_families.py, several processes side by side, and writes benchmarks/results/families.md. The
minutes are by the clock, so with more processes than cores each of them trains for fewer steps.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.cpu.machine import processor
from benchmarks.trust.records import ROOT, Outcome
from benchmarks.trust.run import LIMIT, MARKER, PROPERTIES, outcome_of

TESTS = "tests/distill/test_families.py"
PYTEST = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-m", MARKER]
REPORT = ROOT / "benchmarks" / "results" / "families.md"


def all_cases() -> list[str]:
    """Their pytest ids."""
    done = subprocess.run([*PYTEST, "--collect-only", TESTS], cwd=ROOT, capture_output=True, text=True, check=True)
    return [line for line in done.stdout.splitlines() if line.startswith(f"{TESTS}::")]


def run(cases: list[str], minutes: float, together: int) -> Iterator[Outcome]:
    """Of every one of `together` processes of one thread each, which share the cases."""
    with tempfile.TemporaryDirectory() as folder:
        shares = [share for number in range(together) if (share := cases[number::together])]
        reports = [Path(folder) / f"{number}.xml" for number in range(len(shares))]
        environment = os.environ | {"REDRAFTER_TRAIN_MINUTES": str(minutes), "OMP_NUM_THREADS": "1"}
        started = [
            subprocess.Popen(
                [*PYTEST, f"--timeout={60 * minutes + LIMIT:.0f}", f"--junitxml={report}", *PROPERTIES, *share],
                cwd=ROOT,
                env=environment,
                stdout=subprocess.DEVNULL,
            )
            for share, report in zip(shares, reports, strict=True)
        ]
        for process, report in zip(started, reports, strict=True):
            process.wait()
            yield outcome_of(report.read_text(encoding="utf-8"))


def report(outcomes: Sequence[Outcome], command: str, when: str) -> str:
    """As Markdown."""
    failed = [failure for outcome in outcomes for failure in outcome.failed]
    passed, described = sum(outcome.passed for outcome in outcomes), processor()
    rows = {_case(figure.test): figure.value for outcome in outcomes for figure in outcome.figures}
    rows |= {_case(failure.test): f"**failed**: {failure.why}" for failure in failed}
    lines = ["# Every tested family, trained for, loaded and raced", "", f"`{command}`, {when},"]
    lines += [f"{described['processor']} ({' '.join(described['flags'])}), {os.cpu_count()} cores.", ""]
    lines += [f"{passed} of {passed + len(failed)} passed.", "", "| family, engine, dtype | training |", "|---|---|"]
    lines += [f"| {case} | {said} |" for case, said in sorted(rows.items())]
    return "\n".join(lines) + "\n"


def _case(test: str) -> str:
    """What stands in the brackets of a test's name."""
    return test.partition("[")[2].removesuffix("]")


def main() -> int:
    """0 where all passed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=1.0, help="of each training, by the clock")
    parser.add_argument("--together", type=int, default=os.cpu_count() or 1, help="processes")
    asked = parser.parse_args()
    outcomes = list(run(all_cases(), asked.minutes, asked.together))
    command = f"python -m benchmarks.families --minutes {asked.minutes:g} --together {asked.together}"
    words = report(outcomes, command, f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC")
    REPORT.write_text(words)
    print(words)
    return 1 if any(outcome.failed for outcome in outcomes) else 0


if __name__ == "__main__":
    sys.exit(main())
