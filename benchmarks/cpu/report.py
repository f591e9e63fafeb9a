"""The figures as a table, each with its target. Knows the JSON that the parts give."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any


def table(found: dict[str, Any]) -> Iterator[str]:
    """Lines for people: figure, target, whether it is met."""
    machine = found["machine"]
    amx = "amx_int8" in machine["flags"]
    yield f"{machine['processor']}, {machine['threads']} threads, {' '.join(machine['flags'])}"
    yield f"{machine['kernels']}, {machine['format']}, shape {machine['shape']}; {' '.join(machine['notes'])}"
    for name, value, target, above in _rows(found, amx):
        met = "" if target is None else "  met" if (value >= target) == above or value == target else "  missed"
        wanted = "" if target is None else f"  {'>=' if above else '<='} {target:g}"
        yield f"{name:<64}{value:>10.2f}{wanted:<12}{met}"
    for part in ("steps", "races", "trees", "peers", "process"):
        if part in found:
            yield f"load around {part}: {found[part]['load_before']} to {found[part]['load_after']}"
        if missing := found.get(part, {}).get("missing"):
            yield f"not measured: {missing}"


def _rows(found: dict[str, Any], amx: bool) -> Iterator[tuple[str, float, float | None, bool]]:
    if "steps" in found:
        steps, share = found["steps"], found["steps"]["in_plain_steps"]
        yield "plain step, ms", steps["ms"]["nodes_1"]["median"], None, False
        yield "step of 8 nodes, in plain steps", share["nodes_8"], 1.35, False
        yield "step of 16 nodes, in plain steps", share["nodes_16"], 1.4 if amx else 1.9, False
        yield "draft of 4 x 4, in plain steps", share["draft_4x4"], 0.2, False
        yield "prompt of 1,024 tokens, over the eager engine's rate", steps["prompt_speedup"], 3.0, True
    targets = {"mt_bench": (1.8 if amx else 1.5, None), "twelve": (1.7 if amx else 1.45, 1.05), "presets": (None, 1.2)}
    for name, (median, least) in targets.items():
        if name in found.get("races", {}):
            races = found["races"][name]
            yield f"races, {name}: median speed-up", races["median_speedup"], median, True
            yield f"races, {name}: least speed-up", races["least_speedup"], least, True
            yield f"races, {name}: identical texts, of {races['prompts']}", races["identical"], races["prompts"], True
    if "trees" in found:
        trees = found["trees"]
        default = trees["shapes"][trees["default"]]
        for shape, ratio in trees["default_over_surviving_beams"].items():
            target = 1.25 if shape == "8x5@beams" else None  # the default before trees of a budget
            yield f"default tree over {shape}, median speed-up", ratio, target, True
        yield f"least speed-up over those {trees['prompts']} prompts", default["least_speedup"], 1.1, True
        yield "drafting over the verification it feeds", default["draft_over_verify"], 0.2, False
    if "peers" in found:
        peers = found["peers"]
        yield "plain decoding, tokens a second", peers["tokens_per_second"]["plain"], None, True
        yield "plain over transformers' generate", peers["plain_over_transformers_generate"], 4.0, True
        if "plain_over_llama_cpp_q4_1" in peers:
            yield "plain over llama.cpp (Q4_1)", peers["plain_over_llama_cpp_q4_1"], 2.5, True
            yield "drafted over llama.cpp plain", peers["drafted_over_llama_cpp_q4_1"], 3.5, True
    if "process" in found:
        yield "race, peak resident MiB", found["process"]["race_peak_resident_mib"], 0.6 * 1180 / 1.048576, False
        yield "cold generate of 32 tokens, seconds", found["process"]["cold_generate_seconds"], 5.0, False
    if "exactness" in found:
        exact = found["exactness"]
        yield f"exactness: identical of {exact['runs']} runs", exact["identical"], exact["runs"], True
