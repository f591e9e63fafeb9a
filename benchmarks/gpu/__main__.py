"""`python -m benchmarks.gpu`: every measurement of the GPU engine, in order of importance, within a time box.

    python -m benchmarks.gpu --base DIR [--drafter DIR] [--prompts FILE] [--minutes 8] [--out FILE]
    python -m benchmarks.gpu --smoke        # tiny sizes, on CPU in Triton's interpreter: shows that the script runs

Needs torch, triton and transformers; neither network nor gradio nor plotly. Prints progress on standard error, the
table of verdicts last on standard output, and writes JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

TARGETS = (
    "kernels off their references",
    "exact attention and linear: rows that depend on N",
    "default pair: plain decoding over transformers' generate",
    "default pair: a default step in plain steps",
    "default pair: what the record adds to a step",
    "llama-2-7b shape: plain decoding, share of the bandwidth ceiling at 1k",
    "llama-2-7b shape: a step of 64 nodes at 1k, in plain steps",
    "llama-2-7b shape: exact mode's cost over default plain decoding",
    "exact mode, greedy: differing prompts",
    "exact mode, 0.7: differing prompts",
    "llama-1b shape: plain decoding, share of the bandwidth ceiling at 1k",
    "llama-1b shape: exact mode's cost over default plain decoding",
    "prefix_tree + accept + commit, microseconds",
    "attention at 8k over dense mask",
    "attention over PyTorch's own with a dense mask, slowest shape",
)


def main() -> None:
    chosen = _arguments()
    if chosen.smoke:
        os.environ.setdefault("TRITON_INTERPRET", "1")
    from benchmarks.gpu.models import free
    from benchmarks.gpu.report import Report, device_is_lost, machine

    report = Report(machine(smoke=chosen.smoke))
    if chosen.resume:
        report.resume(chosen.out)
    end = time.perf_counter() + 60 * chosen.minutes
    sections = _sections(chosen)
    for place, (name, section) in enumerate(sections):
        left = end - time.perf_counter()
        if left < 5:
            report.skip(name, f"{left:.0f} s left")
            continue
        print(f"[{name}] {left:.0f} s left", file=sys.stderr, flush=True)
        started = time.perf_counter()
        try:
            section(report, end)
        except Exception as error:  # one broken section must not lose the others' figures
            report.fail(name, error)
        report.seconds(name, time.perf_counter() - started)
        _write(report.as_dict(), chosen.out)
        rest = [later for later, _ in sections[place + 1 :]]
        if rest and device_is_lost():
            _go_on_elsewhere(chosen, rest, end)
        free()
    if not chosen.only or chosen.resume:
        report.require(TARGETS)
        _write(report.as_dict(), chosen.out)
    print(report.table())
    print(json.dumps({"verdicts": report.as_dict()["verdicts"]}))


def _go_on_elsewhere(chosen: argparse.Namespace, sections: list[str], end: float) -> None:
    """Replace this process, whose device is lost, by one that runs the other sections."""
    left = max(0.0, end - time.perf_counter()) / 60
    again = [
        sys.executable,
        "-m",
        "benchmarks.gpu",
        "--resume",
        "--only",
        ",".join(sections),
        "--minutes",
        f"{left:.3f}",
    ]
    for name in ("base", "drafter", "prompts", "out"):
        value = getattr(chosen, name)
        again += [] if value is None else [f"--{name}", str(value)]
    print("the device was lost; the other sections run in a new process", file=sys.stderr, flush=True)
    os.execv(sys.executable, again)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description=__doc__.splitlines()[0])
    parser.add_argument("--base", help="folder of the default base model; without it a random model of its shape")
    parser.add_argument("--drafter", help="folder of a drafter for it")
    parser.add_argument("--prompts", help="JSONL with turns, as MT-Bench's question.jsonl")
    parser.add_argument("--minutes", type=float, default=8.0, help="time box (default 8)")
    parser.add_argument("--only", help="comma-separated sections")
    parser.add_argument("--resume", action="store_true", help="add to what --out holds already")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/gpu.json"), help="JSON to write")
    parser.add_argument("--smoke", action="store_true", help="tiny sizes on the CPU, in Triton's interpreter")
    return parser.parse_args()


def _sections(chosen: argparse.Namespace) -> list[tuple[str, Callable[[Any, float], None]]]:
    """In order of importance; each takes the report and the moment the box closes."""
    from functools import partial

    from benchmarks.gpu import kernels, pair, shapes

    sections: list[tuple[str, Callable[[Any, float], None]]] = [
        ("kernels", partial(kernels.check, smoke=chosen.smoke)),
        ("default pair", partial(pair.measure, chosen=chosen)),
        ("7B shape", partial(shapes.measure, name="llama-2-7b", smoke=chosen.smoke)),
        ("parity", partial(pair.parity, chosen=chosen)),
        ("1B shape", partial(shapes.measure, name="llama-1b", smoke=chosen.smoke)),
        ("kernel rates", partial(kernels.rates, smoke=chosen.smoke)),
        ("energy", partial(pair.energy, chosen=chosen)),
    ]
    if chosen.only:
        sections = [section for section in sections if section[0] in chosen.only.split(",")]
    return sections


def _write(figures: dict[str, Any], out: Path) -> None:
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
