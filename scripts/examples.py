"""Record the bundled example traces with the default pair: `python -m scripts.examples`.

Four of the page's presets, each greedily and sampled, in one shape and in the other, so that each way of picking shows
in both. What was recorded before goes once all are there. Knows only the presets, the session and the trace writer; the
traces are real runs of this machine.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

from playground.config import BeamShape, EngineOptions, Message, RunRequest, Sampling
from playground.export import write_trace
from playground.session import Session
from playground.trace import Trace
from playground.ui.presets import PRESETS

FOLDER = Path(__file__).resolve().parents[1] / "assets" / "traces"
SHOWN = PRESETS[:4]  # the first one greets
NARROW, WIDE = BeamShape(4, 4), BeamShape(8, 5)
WAYS = {"greedy": Sampling(), "sampled": Sampling(temperature=0.7, top_p=0.95, seed=11)}
NEW_TOKENS = 64  # some 60 kB a trace


def examples() -> Iterator[tuple[str, RunRequest]]:
    """(name of the file, what to run), in the order the page offers them."""
    for at, preset in enumerate(SHOWN):
        shapes = (NARROW, WIDE) if at % 2 == 0 else (WIDE, NARROW)
        for (way, sampling), shape in zip(WAYS.items(), shapes, strict=True):
            words = f"{preset.name} {way} {shape.width}x{shape.length}".lower().replace(" ", "-")
            request = RunRequest(
                (Message("user", preset.prompt),), shape=shape, sampling=sampling, max_new_tokens=NEW_TOKENS
            )
            yield f"{1 + 2 * at + (way == 'sampled')}-{words}", request


def main() -> None:
    session = Session.open(None, None, EngineOptions())
    FOLDER.mkdir(parents=True, exist_ok=True)
    before, made = set(FOLDER.glob("*.jsonl")), set()
    for name, request in examples():
        trace = Trace.collect(session.run(request, threading.Event()))
        path = FOLDER / f"{name}.jsonl"
        write_trace(trace, path)
        made.add(path)
        assert trace.footer is not None
        print(f"{name}: {path.stat().st_size:,} bytes. {trace.footer.sentence}")
    for old in before - made:
        old.unlink()


if __name__ == "__main__":
    main()
