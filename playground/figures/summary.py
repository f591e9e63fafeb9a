"""A run in figures and in words, computed from its records. Pure; knows no engine, no clock, no tokenizer."""

from __future__ import annotations

from dataclasses import dataclass

from playground.trace import FinishReason, ParityRecord, StageMs, StepRecord, Summary, Trace


@dataclass(frozen=True)
class PlainCosts:
    """Measured milliseconds of one plain step of these weights on this machine, for every dtype on offer."""

    dtype: str  # the run's own
    ms: tuple[tuple[str, float], ...]  # (dtype, ms)

    @property
    def fastest(self) -> str:
        return min(self.ms, key=lambda pair: pair[1])[0]

    @property
    def handicap(self) -> float:
        """What the fastest dtype's plain step costs, as a share of the run's own dtype's: at most 1."""
        costs = dict(self.ms)
        return costs[self.fastest] / costs[self.dtype]


def rate(tokens: int, clock_ms: float) -> float:
    """Tokens per second of a lane; its first token came with the prompt and does not count."""
    return (tokens - 1) * 1000.0 / clock_ms if tokens > 1 and clock_ms > 0.0 else 0.0


def tokens_per_step(trace: Trace) -> float:
    """(emitted tokens - 1) / steps, after every cut; 0 where no step ran."""
    return sum(len(step.emitted) for step in trace.steps) / len(trace.steps) if trace.steps else 0.0


def redrafter_rate(trace: Trace) -> float:
    return rate(len(trace.redrafter_tokens), trace.steps[-1].clock_ms) if trace.steps else 0.0


def plain_rate(trace: Trace) -> float | None:
    """Tokens per second of the plain lane; None where it did not run or wrote one token."""
    if not trace.plain or trace.plain[-1].index == 0:
        return None
    return rate(trace.plain[-1].index + 1, trace.plain[-1].clock_ms)


def total_ms(steps: list[StepRecord]) -> StageMs:
    """Milliseconds by stage, summed over steps."""
    return StageMs(
        draft=sum(step.ms.draft for step in steps),
        tree=sum(step.ms.tree for step in steps),
        verify=sum(step.ms.verify for step in steps),
        accept=sum(step.ms.accept for step in steps),
        commit=sum(step.ms.commit for step in steps),
    )


def acceptance_histogram(steps: list[StepRecord], beam_length: int) -> tuple[int, ...]:
    """Steps by accepted drafted tokens, [L + 1]."""
    counts = [0] * (beam_length + 1)
    for step in steps:
        counts[step.accepted] += 1
    return tuple(counts)


def summarise(trace: Trace, *, peak_memory_bytes: int, costs: PlainCosts | None) -> Summary:
    """The figures of a run, whole or stopped."""
    steps = trace.steps
    stages = total_ms(steps)
    accepted = sum(step.accepted for step in steps)
    drafted = sum(step.tree.nodes - 1 for step in steps)
    ours, plain = redrafter_rate(trace), plain_rate(trace)
    speedup = ours / plain if plain and ours else None
    prompt = trace.prompt("redrafter")
    return Summary(
        new_tokens=len(trace.redrafter_tokens),
        tokens_per_step=tokens_per_step(trace),
        redrafter_tokens_per_second=ours,
        plain_tokens_per_second=plain,
        speedup=speedup,
        speedup_over_fastest_plain=speedup * costs.handicap if speedup and costs else None,
        fastest_plain_dtype=costs.fastest if costs else None,
        drafter_share=stages.draft / stages.total if stages.total else 0.0,
        stage_ms=stages,
        prompt_ms=prompt.ms if prompt else 0.0,
        mean_acceptance_length=1.0 + accepted / len(steps) if steps else 0.0,
        draft_acceptance_rate=accepted / drafted if drafted else 0.0,
        acceptance_histogram=acceptance_histogram(steps, trace.header.settings.beam_length),
        num_spec_steps=len(steps),
        num_accepted_draft_tokens=accepted,
        num_draft_tokens=drafted,
        peak_memory_bytes=peak_memory_bytes,
    )


def verdict(summary: Summary, parity: ParityRecord | None, finish: FinishReason) -> str:
    """The run in words, also when drafting was slower."""
    parts = ["Stopped early." if finish == "stopped" else "", _speed(summary), _why(summary), _parity(parity)]
    return " ".join(part for part in parts if part)


def _speed(summary: Summary) -> str:
    ours = summary.redrafter_tokens_per_second
    if not summary.num_spec_steps:
        return "No drafting step ran, so there is no rate to report."
    if summary.speedup is None or summary.plain_tokens_per_second is None:
        return (
            f"Recurrent drafting wrote {summary.new_tokens} tokens at {ours:.1f} tokens/s. "
            "The plain lane did not run, so nothing is said about a speed-up."
        )
    against = f"({ours:.1f} against {summary.plain_tokens_per_second:.1f} tokens/s)"
    if summary.speedup >= 1.005:
        return f"Recurrent drafting was {summary.speedup:.2f} times as fast as plain decoding {against}."
    if summary.speedup > 0.995:
        return f"Recurrent drafting was as fast as plain decoding {against}: it gained nothing here."
    return (
        f"Recurrent drafting was slower than plain decoding {against}: {summary.speedup:.2f} times its rate. "
        "Try fewer or shorter beams, or decode this prompt plainly."
    )


def _why(summary: Summary) -> str:
    if not summary.num_spec_steps:
        return ""
    gave = f"Each step gave {summary.tokens_per_step:.2f} tokens"
    if summary.speedup:
        gave += f" and cost {summary.tokens_per_step / summary.speedup:.2f} plain steps"
    gave += f"; drafting took {summary.drafter_share:.0%} of its time."
    fastest, over = summary.fastest_plain_dtype, summary.speedup_over_fastest_plain
    if over is not None and summary.speedup is not None and over < 0.995 * summary.speedup:
        gave += f" Against the fastest plain decoding of this model here ({fastest}) that is {over:.2f} times its rate."
    return gave


def _parity(parity: ParityRecord | None) -> str:
    if parity is None or parity.identical is None:
        return ""
    if parity.identical:
        return f"Both lanes wrote the same {parity.compared} tokens."
    first = (parity.first_difference or 0) + 1  # people count from one
    near = parity.gap is not None and parity.gap < 100
    gap = f", where the two best choices lay {parity.gap:.4f} apart" if near else ""
    return (
        f"The lanes differ from new token {first} on{gap}: a forward over a tree rounds "
        "differently from a forward over one token. Use float32 for the same text."
    )
