"""The promises of docs/security.md at length, part by part: `python -m benchmarks.trust [--parts a,b] [--again]`.

A part that passed with these sources is not run again unless `--again` asks for it, so a run that was stopped goes on
with the next part. After each part its record goes to benchmarks/results/trust.json, and the report, which is made of
the records alone, to benchmarks/results/trust.md. Exit code 0 where every part that could run has passed.

REDRAFTER_SECOND_BASE names the folder of a second base model, REDRAFTER_MT_BENCH MT-Bench's question.jsonl, and
TRUST_SCALE how many times the short form's cases are tried; what is not named is skipped, and the report says so.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from benchmarks.trust.parts import PARTS, Part
from benchmarks.trust.records import RECORDS, Record, keep, read, sources
from benchmarks.trust.report import report
from benchmarks.trust.run import run
from playground.files import write_text

REPORT = RECORDS.with_suffix(".md")
SCALE = 6  # more than 10,000 cases


def main(arguments: Sequence[str] | None = None) -> int:
    """Parts that are missing, then the report."""
    assert __doc__
    parser = argparse.ArgumentParser(prog="python -m benchmarks.trust", description=__doc__.splitlines()[0])
    names = [part.name for part in PARTS]
    parser.add_argument("--parts", default=",".join(names), help="comma-separated: " + ", ".join(names))
    parser.add_argument("--again", action="store_true", help="also parts that passed with these sources")
    parser.add_argument("--report", action="store_true", help="run nothing; write the report from the records")
    chosen = parser.parse_args(arguments)
    asked = [name for name in chosen.parts.split(",") if name]
    if unknown := set(asked) - set(names):
        parser.error(f"no part is called {', '.join(sorted(unknown))}; there are {', '.join(names)}")
    if not chosen.report:
        for part in [part for part in PARTS if part.name in asked]:
            _one(part, again=chosen.again)
    write_text(REPORT, report(read()))
    known = read()
    wrong = [name for name in asked if name in known and not known[name].ok]
    print(f"The report is in {REPORT}." + (f" Not passed: {', '.join(wrong)}." if wrong else ""), file=sys.stderr)
    return 1 if wrong else 0


def _one(part: Part, *, again: bool) -> None:
    """Run it where it has to be, and keep what came of it."""
    known = read().get(part.name)
    if part.needs and not os.environ.get(part.needs):
        _say(part, f"skipped: {part.missing}")
    elif known is not None and not again and stands(known, scale()):
        _say(part, f"passed with these sources on {known.date}")
    else:
        _say(part, part.tries)
        keep(run(part, scale()))
        write_text(REPORT, report(read()))


def stands(record: Record, cases: int) -> bool:
    """It passed with the sources that are here, on as many cases at least."""
    return record.ok and record.sources == sources() and record.scale >= cases


def scale() -> int:
    """TRUST_SCALE."""
    return int(os.environ.get("TRUST_SCALE") or SCALE)


def _say(part: Part, words: str) -> None:
    print(f"== {part.name}: {words}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
