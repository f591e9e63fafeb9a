"""Record the bundled example traces with the default pair: `python -m scripts.examples`.

Knows only the session and the trace writer; the traces are real runs of this machine.
"""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

from playground.config import BeamShape, EngineOptions, Message, RunRequest, Sampling
from playground.export import write_trace
from playground.session import Session
from playground.trace import Trace

FOLDER = Path(__file__).resolve().parents[1] / "assets" / "traces"
CHAT = RunRequest(
    (Message("user", "Explain in three sentences why the sky is blue."),), shape=BeamShape(8, 5), max_new_tokens=96
)
CODE = replace(
    CHAT,
    messages=(Message("user", "Write a Python function that returns the n-th Fibonacci number, with a docstring."),),
    shape=BeamShape(4, 4),
)
STORY = replace(
    CHAT,
    messages=(Message("user", "Write a short story about a lighthouse keeper who finds a message in a bottle."),),
    sampling=Sampling(temperature=0.7, top_p=0.95, seed=11),
)
EXAMPLES = {"1-code-narrow-beams": CODE, "2-chat-greedy": CHAT, "3-story-sampled": STORY}  # the first one greets


def main() -> None:
    session = Session.open(None, None, EngineOptions())
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, request in EXAMPLES.items():
        trace = Trace.collect(session.run(request, threading.Event()))
        write_trace(trace, FOLDER / f"{name}.jsonl")
        assert trace.footer is not None
        print(f"{name}: {trace.footer.sentence}")


if __name__ == "__main__":
    main()
