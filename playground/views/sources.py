"""Where every number on the screen comes from: measured, computed from what, predicted, or set. Record -> info.

Names are those the page's script gives to what it draws; the summary's figures have theirs in `figures.provenance`.
Knows no widget.
"""

from __future__ import annotations

from collections.abc import Iterator

from playground.figures.equation import SpeedEquation, speed_equation
from playground.figures.provenance import Source, summary_sources
from playground.figures.totals import RunTotals
from playground.trace import Trace

# What the page calls a figure that the summary has too.
SUMMARY_NAMES = {
    "perstep": "tokens_per_step",
    "redrafter": "redrafter_tokens_per_second",
    "plain": "plain_tokens_per_second",
    "overhead": "drafter_share",
    "memory": "peak_memory_bytes",
    "fastest": "speedup_over_fastest_plain",
    "steps": "num_spec_steps",
    "stages": "stage_ms",
    "prompt": "prompt_ms",
    "histogram": "acceptance_histogram",
}
SOFTMAX = "softmax of the base model's logits at the node's parent, temperature 1, no filter"
# The same for every run.
FIXED: dict[str, Source] = {
    "clock": Source("measured", "the lane's own clock, which stops while the other lane runs; prompt excluded"),
    "rates": Source("computed", "new tokens / seconds of the lane's clock, over an eighth of it (0.25 s at least)"),
    "positions": Source("computed", "steps that accepted the position / steps that drafted it"),
    "map": Source("computed", "of each step: tokens it wrote, accepted ones among them, nodes not accepted"),
    "sentence": Source("computed", "from the figures above it"),
    "advice": Source("predicted", "this run's trees cut to fewer nodes, each step less the time those nodes took"),
    "verdict": Source("computed", f"counted along the step's accepted path; the probability: {SOFTMAX}"),
    "saving-step": Source("computed", "nodes of the step's tree against beam slots, or scored tokens"),
    "stages-step": Source("measured", "the lane's clock around each stage of this step"),
    "base": Source("computed", f"{SOFTMAX}; rank 1 is its most probable token"),
    "node": Source("computed", f"base model: {SOFTMAX}; drafter: its own softmax there, of a copy its counted chance"),
    "beam": Source("computed", "exp(sum of the drafter's log-probabilities along the beam)"),
    "tree": Source("computed", "from the step's tree: parents, depths, what each node may attend to"),
    "step": Source("computed", "steps counted from 1 in the order they ran"),
    "setting": Source("set", "asked for when the run began, as its header says"),
    "made": Source("measured", "the clock of the machine that ran it, when the run began"),
    "honesty": Source("computed", "means of drafted nodes, in bins of the drafter's probability; both models' softmax"),
    "misses": Source("computed", "picks that no drafted child held / picks it guessed at, by kind and by rank"),
    "claims": Source("computed", "both records, compared token by token and step by step; times are left out"),
    "meeting": Source("computed", "two steps meet where as many new tokens of the same text stand before them"),
    "shape": Source("measured", "one run of the prompt at this shape, rates by its own clocks"),
    "card": Source("set", "from the model's configuration and weights file"),
    "pair": Source("measured", "the device and threads found when the pair was loaded; what pays here was timed then"),
}  # fmt: skip


def screen_sources(trace: Trace, totals: RunTotals) -> dict[str, Source]:
    """By the name of what is drawn; of a growing run, as far as it is."""
    of_summary = summary_sources(trace, totals)
    found = {name: of_summary[known] for name, known in SUMMARY_NAMES.items()}
    found["speedup"] = of_summary["speedup"]
    found["parity"] = Source("computed", _parity_words(trace, totals))
    found |= dict(_shares(totals))
    equation = speed_equation(totals)
    if equation is not None:
        found |= dict(_equation(equation))
    return found | FIXED


def _parity_words(trace: Trace, totals: RunTotals) -> str:
    compared = trace.parity.compared if trace.parity else min(totals.redrafter.tokens, totals.plain.tokens)
    return f"token by token of both lanes, {compared} compared"


def _shares(totals: RunTotals) -> Iterator[tuple[str, Source]]:
    steps = totals.steps
    yield "nodes", Source("computed", f"nodes of all trees, roots included / steps = {steps.nodes} / {steps.count}")
    saved = (
        f"1 - drafted nodes / beam slots = 1 - {steps.draft_tokens} / {steps.slots}" if steps.slots else "no beam slots"
    )
    yield "saving", Source("computed", saved)
    counts = f"{totals.redrafter.tokens} of drafting, {totals.plain.tokens} of plain decoding"
    yield "tokens", Source("computed", f"new tokens recorded: {counts}")


def _equation(equation: SpeedEquation) -> Iterator[tuple[str, Source]]:
    cost = equation.cost
    if cost is None:
        yield "cost", Source("computed", "milliseconds of a step / milliseconds of a plain step, which did not run")
        return
    yield "cost", Source("computed", f"ms of a step / ms of a plain step = {cost.step_ms:.3f} / {cost.plain_ms:.3f}")
    yield (
        "cost-parts",
        Source(
            "computed",
            f"a plain step 1, drafting: ms of draft a step / ms of a plain step = {cost.draft * cost.plain_ms:.3f} / "
            f"{cost.plain_ms:.3f}, more nodes: the rest",
        ),
    )
