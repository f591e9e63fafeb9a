"""What the native forward costs: `python -m benchmarks.native [--format int8] [--isa NAME] [--busy 8] [--out FILE]`.

Theory: one row reads every weight once, so it costs the weights' bytes over the memory's rate; rows share that reading
until the products themselves take longer (int8: 64 a cycle and core with VNNI, so from about 8 rows on). Attention adds
the bytes of keys and values, read once for all rows of a sequence, and its own float32 products. A prompt and a batch
are bound by products alone.

Measured on the default base (or --base FOLDER): a tree of N rows and all its logits after 300 and 4,096 tokens, a
prompt of 1,024, a step of 256 sequences of 300 tokens, and the likelihood of this project's README against float32.
With --busy N the one-row step again beside N processes that do nothing but count. Times are milliseconds, the least
and the median; other work on the machine shows in the median first.

Prints a table and one JSON line last.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from kernels.native import NativeCache, NativeLibrary, NativeModel, Segment, build
from kernels.native.from_transformers import read_spec, read_weights

ROWS = (1, 2, 4, 8, 12, 16, 24, 32, 48)
CONTEXTS = (300, 4096)
PROMPT, CHUNK, BATCH = 1024, 512, 256
WIDTH = 4  # beams of the trees
MOST_SECONDS = 2.0


@dataclass(frozen=True)
class Time:
    """Milliseconds of one kind of call; `rows` are forwarded in each."""

    name: str
    rows: int
    least: float
    median: float


def timed(name: str, rows: int, call: Callable[[], object], repeats: int) -> Time:
    """Up to `repeats` calls after a first, no more than a few seconds of them."""
    call()
    spent: list[float] = []
    while len(spent) < 3 or (len(spent) < repeats and sum(spent) < MOST_SECONDS * 1e3):
        start = time.perf_counter()
        call()
        spent.append((time.perf_counter() - start) * 1e3)
    return Time(name, rows, min(spent), statistics.median(spent))


def tree(cache: NativeCache, committed: int, tokens: Any) -> Segment:
    """A root and beams of equal length under it."""
    rows = len(tokens)
    parents = np.maximum(np.arange(rows, dtype=np.int32) - WIDTH, 0)
    parents[0] = -1
    depths = np.zeros(rows, np.int32)
    for row in range(1, rows):
        depths[row] = depths[parents[row]] + 1
    return Segment(cache, committed, tokens, parents, depths)


def filled(model: NativeModel, tokens: Any, room: int) -> NativeCache:
    """A cache with `tokens` in it."""
    cache = model.new_cache(len(tokens) + room)
    for start in range(0, len(tokens), CHUNK):
        model.forward([Segment.chain(cache, start, tokens[start : start + CHUNK])])
    return cache


def steps(model: NativeModel, tokens: Any, repeats: int) -> Iterator[Time]:
    for context in CONTEXTS:
        cache = filled(model, tokens[:context], max(ROWS))
        for rows in ROWS:
            segment = tree(cache, context, tokens[:rows])
            logits = np.empty((rows, model.spec.vocabulary), np.float32)
            call = partial(step, model, segment, logits)
            yield timed(f"step at {context}", rows, call, repeats)


def step(model: NativeModel, segment: Segment, logits: Any) -> None:
    model.logits(model.forward([segment]).hidden, logits)


def many_rows(model: NativeModel, tokens: Any, repeats: int) -> Iterator[Time]:
    yield timed("prompt", PROMPT, lambda: filled(model, tokens[:PROMPT], 1), repeats)
    caches = [filled(model, tokens[i : i + 300], 1) for i in range(BATCH)]
    segments = [Segment.chain(cache, 300, tokens[:1]) for cache in caches]
    yield timed("batch at 300", BATCH, lambda: model.forward(segments), repeats)


def likelihood(model: NativeModel, tokens: Any) -> float:
    """Mean negative log-likelihood of a text."""
    cache, total = model.new_cache(len(tokens)), 0.0
    for start in range(0, len(tokens) - 1, CHUNK):
        chunk = tokens[start : min(start + CHUNK, len(tokens) - 1)]
        logits = model.logits(model.forward([Segment.chain(cache, start, chunk)]).hidden).astype(np.float64)
        logits -= logits.max(-1, keepdims=True)
        picked = logits[np.arange(len(chunk)), tokens[start + 1 : start + 1 + len(chunk)]]
        total += float((np.log(np.exp(logits).sum(-1)) - picked).sum())
    return total / (len(tokens) - 1)


@contextmanager
def busy(count: int) -> Iterator[None]:
    """Processes that count, each at the priority of anybody else."""
    running = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        time.sleep(0.5)
        yield
    finally:
        for process in running:
            process.kill()
            process.wait()


def default_base() -> Path:
    """The folder the playground keeps its converted default base in."""
    home = Path(os.environ.get("REDRAFTER_CACHE", Path.home() / ".cache" / "redrafter-playground"))
    found = sorted(path.parent for path in home.glob("llm-*/*/config.json"))
    if not found:
        raise SystemExit(f"There is no default base under {home}; run `python -m playground info` once, or use --base.")
    return found[-1]


def packed(library: NativeLibrary, base: Any, format: Any, key_value_dtype: str | None = None) -> NativeModel:
    spec = read_spec(base, format, key_value_dtype)
    return NativeModel.of(library, spec, read_weights(base, spec))


def text_tokens(folder: Path) -> Any:
    from transformers import AutoTokenizer

    text = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
    ids = AutoTokenizer.from_pretrained(folder)(text)["input_ids"][:1025]
    return np.array(ids, np.int32)


def measure(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    from transformers import AutoModelForCausalLM

    with tempfile.TemporaryDirectory() as place:
        library = NativeLibrary.open(options.cache or Path(place), options.isa, options.threads)
        base = AutoModelForCausalLM.from_pretrained(folder).eval()
        start = time.perf_counter()
        model = packed(library, base, options.format, options.key_values)
        seconds = time.perf_counter() - start
        tokens = np.random.default_rng(0).integers(3, model.spec.vocabulary, 4200).astype(np.int32)
        times = [*steps(model, tokens, options.repeats), *many_rows(model, tokens, options.repeats)]
        if options.busy:
            with busy(options.busy):
                segment = tree(filled(model, tokens[:300], 1), 300, tokens[:1])
                times.append(timed(f"step beside {options.busy} busy", 1, lambda: model.forward([segment]), 100))
        text = text_tokens(folder)
        exact = likelihood(packed(library, base, "float32"), text)
        return {
            "isa": library.isa.name,
            "threads": library.threads,
            "format": model.spec.format,
            "key_values": model.spec.key_value_dtype,
            "pack_seconds": seconds,
            "packed_mib": model.image.size >> 20,
            "times": [asdict(one) for one in times],
            "likelihood": likelihood(model, text),
            "likelihood_float32": exact,
        }


def print_table(found: dict[str, Any]) -> None:
    print(
        f"{found['isa']}, {found['threads']} threads, {found['format']} weights, {found['key_values']} keys and values"
    )
    print(f"{'':>22} {'rows':>5} {'least ms':>9} {'median':>8} {'rows/s':>8}")
    for one in found["times"]:
        rate = one["rows"] / one["median"] * 1e3
        print(f"{one['name']:>22} {one['rows']:>5} {one['least']:>9.2f} {one['median']:>8.2f} {rate:>8.0f}")
    share = found["likelihood"] / found["likelihood_float32"] - 1
    print(
        f"negative log-likelihood {found['likelihood']:.4f}, float32 {found['likelihood_float32']:.4f} ({share:+.2%})"
    )


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Measure the native forward.")
    parser.add_argument("--base", type=Path, help="folder of a model; the default base when not given")
    parser.add_argument("--format", default="int8", choices=("int8", "float32", "bfloat16"))
    parser.add_argument("--key-values", choices=("float32", "bfloat16", "int8"), help="how keys and values are kept")
    parser.add_argument("--isa", help="instruction set; the best when not given")
    parser.add_argument("--threads", type=int)
    parser.add_argument("--repeats", type=int, default=40)
    parser.add_argument("--busy", type=int, default=0, help="also measure beside so many busy processes")
    parser.add_argument("--cache", type=Path, help="folder to keep the built library in")
    parser.add_argument("--out", type=Path, help="file for the JSON line")
    options = parser.parse_args(arguments)
    load = os.getloadavg()
    found = measure(options, options.base or default_base())
    print_table(found)
    line = json.dumps({**found, "processor": build.processor_features(), "load_before": load})
    print(line)
    if options.out:
        options.out.write_text(line + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
