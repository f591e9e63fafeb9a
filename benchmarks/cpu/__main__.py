"""The CPU engine's targets in one command: `python -m benchmarks.cpu [--mt-bench FILE] [--parts steps,races,...]`.

Theory: a plain step reads every weight once; a tree of a few nodes reads them once too, so it costs little more until
the products themselves take longer. A drafted step wins by its tokens over its cost in plain steps.

Parts:
    steps: a plain step, trees of 4, 8 and 16 nodes, a draft of 4 x 4, a prompt of 1,024 tokens; the eager engine's
        prompt beside it.
    races: eight MT-Bench first turns (one a category, with --mt-bench), twelve other prompts, the page's presets, each
        with the default shape of this machine.
    trees: the default tree beside surviving beams, at the default width and length and at 8 x 5, over MT-Bench's and
        the twelve prompts.
    peers: llama.cpp on the bundled Q4_1 file (xllamacpp, where it is installed) and transformers' generate, each beside
        plain decoding of our own.
    process: a race's resident memory, and `generate --json` of 32 tokens from a cold process.
    exactness: with --exactness N: so many prompts of --mt-bench, greedy and at 0.7, both lanes compared; it goes on
        where an earlier run stopped.

Repeats of what is compared are interleaved; figures are medians. Other work on the machine shows in them, so the load
stands beside each part. Prints a table, writes JSON.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.cpu.exactness import exactness
from benchmarks.cpu.machine import load, machine
from benchmarks.cpu.peers import peers
from benchmarks.cpu.process import process
from benchmarks.cpu.races import races
from benchmarks.cpu.report import table
from benchmarks.cpu.steps import steps
from benchmarks.cpu.trees import trees
from playground.config import EngineOptions
from playground.session import Session

RESULTS = Path(__file__).resolve().parents[1] / "results" / "cpu.json"
PARTS = ("steps", "races", "trees", "peers", "process")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.cpu", description=__doc__.splitlines()[0])
    parser.add_argument("--parts", default=",".join(PARTS), help="comma-separated: " + ", ".join(PARTS))
    parser.add_argument("--dtype", default="auto", choices=("auto", "int8", "bfloat16", "float32"), help="weights")
    parser.add_argument("--mt-bench", type=Path, metavar="FILE", help="MT-Bench's question.jsonl")
    parser.add_argument("--new-tokens", type=int, default=128, metavar="N", help="of each race")
    parser.add_argument("--exactness", type=int, default=0, metavar="N", help="prompts to compare, 512 tokens each")
    parser.add_argument("--out", type=Path, default=RESULTS, metavar="FILE", help="where the JSON goes")
    chosen = parser.parse_args()
    found: dict[str, Any] = json.loads(chosen.out.read_text()) if chosen.out.exists() else {}
    session = Session.open(None, None, EngineOptions(engine="native", dtype=chosen.dtype))
    found["machine"] = machine(session)
    parts: dict[str, Callable[[], Any]] = {
        "steps": lambda: steps(session),
        "races": lambda: races(session, chosen.mt_bench, chosen.new_tokens),
        "trees": lambda: trees(session, chosen.mt_bench, chosen.new_tokens),
        "peers": lambda: peers(session, chosen.new_tokens),
        "process": lambda: process(chosen.dtype),
    }
    for name in [part for part in chosen.parts.split(",") if part]:
        before = load()
        found[name] = {"load_before": before, **parts[name](), "load_after": load()}
        _keep(chosen.out, found)
    if chosen.exactness:
        log = chosen.out.with_suffix(".exactness.jsonl")
        found["exactness"] = exactness(session, chosen.mt_bench, chosen.exactness, log)
        _keep(chosen.out, found)
    print("\n".join(table(found)))


def _keep(file: Path, found: dict[str, Any]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
