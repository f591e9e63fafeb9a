"""What recording costs: `python -m benchmarks.recording`.

Two runs of one prompt, one after the other, several times over: a bare one, in which the drafting lane takes its steps
and nobody judges its nodes or asks for a record; and a recorded one, taken from the session and written to a file as
the terminal writes it. Both take the same steps. What the second takes longer is what recording takes: judging, making
records, writing. Told by the wall clock, and by the time that the thread was on a processor, which a busy machine
changes less; of both the median over the pairs, as a share of the bare run.

The theory: a record is some 2 KB of numbers, made by reading back what the device already holds, and one write; neither
grows with the model. What it costs is memory that the weights have pushed out of the caches.

    python -m benchmarks.recording --tokens 256 --trace-detail light

Prints a table and ends with one line of JSON. Claims nothing on a busy machine: look at the spread.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from benchmarks.cpu.machine import processor
from playground.base_model.native import NativeBase
from playground.cli.trace_file import TraceFile
from playground.config import BeamShape, EngineOptions, Message, PlaygroundError, RunRequest
from playground.decode.decoding import Decoding, Drafting
from playground.decode.direct import DirectRunner
from playground.decode.engine import DraftingLane
from playground.decode.native_runner import NativeDecoding, NativeRunner
from playground.drafter.cell import Drafter
from playground.drafter.native import NativeDraftModel
from playground.session import Session
from playground.trace import Detail, ParityRecord, StepRecord

PROMPT = "Explain in three sentences why the sky is blue."


@dataclass(frozen=True)
class Spent:
    """The steps of one run, from the end of the first to the end of the last; milliseconds."""

    steps: int
    wall: float
    thread: float  # on a processor
    write: float = 0.0  # of `wall`, encoding and writing


def _now() -> tuple[float, float]:
    return time.perf_counter(), time.thread_time()


def _since(begun: tuple[float, float]) -> tuple[float, float]:
    wall, thread = _now()
    return (wall - begun[0]) * 1e3, (thread - begun[1]) * 1e3


def bare(session: Session, request: RunRequest) -> Spent:
    """The steps alone, taken as the session takes them."""
    pair = session.pair
    lane = bare_lane(session, request)
    lane.start(pair.tokenizer.encode(request.messages, chat_template=pair.tokenizer.has_chat_template))
    lane.advance()
    begun = _now()
    while lane.finish_reason is None:
        lane.advance()
    return Spent(lane.steps, *_since(begun))


def bare_lane(session: Session, request: RunRequest) -> DraftingLane:
    """The drafting lane without judgements."""
    base, drafter, shape = session.pair.base, session.pair.drafter, request.shape
    curve = session.pair.curve(shape.width) if session.pair.curve else None
    if isinstance(base, NativeBase):
        assert isinstance(drafter, NativeDraftModel)
        native = NativeDecoding(base, request.sampling, drafter, shape, curve, judged=False)
        return DraftingLane(NativeRunner(native), request.max_new_tokens)
    assert isinstance(drafter, Drafter)
    decoding = Decoding(base, request.sampling, Drafting(drafter, shape, curve), judged=False)
    return DraftingLane(DirectRunner(decoding), request.max_new_tokens)


def recorded(session: Session, request: RunRequest, file: TraceFile) -> Spent:
    """The same steps from the session, each written.

    Raises:
        PlaygroundError: the text ended with its first step.
    """
    steps, write, begun, spent = 0, 0.0, _now(), (0.0, 0.0)
    for record in session.run(request, threading.Event()):
        if isinstance(record, ParityRecord):  # all steps are told
            spent = _since(begun)
        before = time.perf_counter()
        file.take(record)
        if isinstance(record, StepRecord):
            steps += 1
            write += (time.perf_counter() - before) * 1e3 if steps > 1 else 0.0
            begun = begun if steps > 1 else _now()
    if steps < 2:
        raise PlaygroundError(f"The run has {steps} steps, too few to measure. Ask for more tokens, or another prompt.")
    return Spent(steps, *spent, write)


def step_bytes(path: Path) -> float:
    """Mean bytes of a step's line."""
    sizes = [len(line) for line in path.read_bytes().splitlines(keepends=True) if line.startswith(b'{"type":"step"')]
    return statistics.mean(sizes)


def report(pairs: Sequence[tuple[Spent, Spent]], detail: Detail, size: float) -> dict[str, object]:
    """Medians over the pairs of a bare and a recorded run, milliseconds a step, and the shares recording takes.

    Raises:
        PlaygroundError: the two of a pair took different steps.
    """
    for alone, told in pairs:
        if alone.steps != told.steps:
            raise PlaygroundError(
                f"The bare run took {alone.steps} steps, the recorded one {told.steps}. Run it again."
            )
    median, steps = statistics.median, pairs[0][0].steps - 1
    shares = sorted(told.wall / alone.wall - 1 for alone, told in pairs)
    return {
        "detail": detail,
        "steps": steps + 1,
        "pairs": len(pairs),
        "engine_ms": round(median(alone.wall for alone, _ in pairs) / steps, 4),
        "recording_ms": round(median(told.wall - alone.wall for alone, told in pairs) / steps, 4),
        "write_ms": round(median(told.write for _, told in pairs) / steps, 4),
        "bytes_a_step": round(size),
        "recording_over_engine": round(median(shares), 4),
        "least_and_most": [round(shares[0], 4), round(shares[-1], 4)],
        "recording_over_engine_by_processor_time": round(median(t.thread / a.thread - 1 for a, t in pairs), 4),
        "write_over_engine": round(median(told.write / alone.wall for alone, told in pairs), 4),
    }


def measured(session: Session, request: RunRequest, detail: Detail, pairs: int) -> dict[str, object]:
    """The report over so many pairs; one more before them warms up."""
    found = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "run.jsonl"
        for _ in range(pairs + 1):
            alone, file = bare(session, request), TraceFile(path, detail)
            try:
                found.append((alone, recorded(session, request, file)))
            finally:
                file.close()
        return report(found[1:], detail, step_bytes(path))


def main() -> None:
    parser = argparse.ArgumentParser(description="What recording a run costs, as a share of the engine's time.")
    parser.add_argument("--base", help="base model; the default one where none is named")
    parser.add_argument("--drafter")
    parser.add_argument("--tokens", type=int, default=256)
    parser.add_argument("--pairs", type=int, default=9)
    parser.add_argument("--shape", help="beam shape like 8x5; the pair's own where none is named")
    parser.add_argument("--trace-detail", default="full", choices=get_args(Detail))
    parser.add_argument("--prompt", default=PROMPT)
    chosen = parser.parse_args()
    session = Session.open(chosen.base, chosen.drafter, EngineOptions())
    shape = BeamShape(*map(int, chosen.shape.split("x"))) if chosen.shape else session.shape
    request = RunRequest((Message("user", chosen.prompt),), shape=shape, max_new_tokens=chosen.tokens, race=False)
    told = measured(session, request, chosen.trace_detail, chosen.pairs)
    for name, value in told.items():
        print(f"{name:>40}  {value}")
    print(json.dumps({**processor(), "shape": str(shape), **told}))


if __name__ == "__main__":
    main()
