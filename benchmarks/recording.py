"""What recording costs: `python -m benchmarks.recording`.

One run, twice over: every step is taken from the session, which makes its record, and then written to a file as the
terminal writes it. Per step, the time of both beside the lane's own time for that step; the median of the pairs is what
recording takes of the engine, so a busy moment touches both halves of a pair. Steps are those of the drafting lane
alone: the plain lane's records are a token each.

The theory: a record is some 2 KB of numbers, made by reading back what the device already holds and written by json
and one write; neither grows with the model.

    python -m benchmarks.recording --tokens 256 --trace-detail light

Prints a table and ends with one line of JSON. Refuses nothing and claims nothing on a busy machine: look at the spread.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from benchmarks.cpu.machine import processor
from playground.cli.trace_file import TraceFile
from playground.config import EngineOptions, Message, RunRequest
from playground.session import Session
from playground.trace import Detail, StepRecord

PROMPT = "Explain in three sentences why the sky is blue."


@dataclass(frozen=True)
class Cost:
    """One step, milliseconds."""

    engine: float  # by the lane's own clock
    record: float  # from the end of the step's work to its record, the record's making among it
    write: float  # encoding and writing
    size: int  # bytes


def costs(session: Session, request: RunRequest, file: TraceFile, path: Path) -> Iterator[Cost]:
    """The costs of every step of a run."""
    records = session.run(request, threading.Event())
    size = 0
    while True:
        begun = time.perf_counter()
        record = next(records, None)
        arrived = time.perf_counter()
        if record is None:
            return
        file.take(record)
        written = time.perf_counter()
        before, size = size, path.stat().st_size
        if isinstance(record, StepRecord):
            engine = record.ms.total
            beside = max(0.0, (arrived - begun) * 1000 - engine)
            yield Cost(engine, beside, (written - arrived) * 1000, size - before)


def report(found: Sequence[Cost], detail: Detail) -> dict[str, object]:
    """Medians over the steps, and the shares that recording takes."""
    median = statistics.median
    return {
        "detail": detail,
        "steps": len(found),
        "engine_ms": round(median(one.engine for one in found), 4),
        "beside_ms": round(median(one.record for one in found), 4),
        "write_ms": round(median(one.write for one in found), 4),
        "bytes_a_step": round(median(one.size for one in found)),
        "write_over_engine": round(median(one.write / one.engine for one in found), 4),
        "beside_over_engine": round(median(one.record / one.engine for one in found), 4),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="What recording a run costs, as a share of the engine's time.")
    parser.add_argument("--base", help="base model; the default one where none is named")
    parser.add_argument("--drafter")
    parser.add_argument("--tokens", type=int, default=256)
    parser.add_argument("--trace-detail", default="full", choices=get_args(Detail))
    parser.add_argument("--prompt", default=PROMPT)
    chosen = parser.parse_args()
    session = Session.open(chosen.base, chosen.drafter, EngineOptions())
    request = RunRequest(
        (Message("user", chosen.prompt),), shape=session.shape, max_new_tokens=chosen.tokens, race=False
    )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "run.jsonl"
        for _ in range(2):  # the first warms up
            file = TraceFile(path, chosen.trace_detail)
            try:
                found = list(costs(session, request, file, path))
            finally:
                file.close()
    told = report(found, chosen.trace_detail)
    for name, value in told.items():
        print(f"{name:>20}  {value}")
    print(json.dumps({**processor(), **told}))


if __name__ == "__main__":
    main()
