"""Plausible traces made up through the real records: for tests of views and page only, never shipped.

Beams over a small vocabulary (hostile tokens included), merged into a prefix tree; the base model's text is known in
advance, so every status and reason can be told from the outside.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace

from playground.trace import (
    BeamsRecord,
    DrafterInfo,
    Footer,
    Header,
    ModelInfo,
    ParityRecord,
    Pick,
    PlainRecord,
    PromptRecord,
    RunSettings,
    StageMs,
    StepRecord,
    Summary,
    Trace,
    TreeRecord,
)

WORDS: tuple[bytes, ...] = (
    b" the", b" sky", b" is", b" blue", b" because", b" light", b" of", b" air", b" and", b" a", b".", b"\n",
    b" scatters", b" short", b" waves", b" more", b" than", b" long", b" ones", b",", b" we", b" see", b" it", b" so",
)  # fmt: skip
HOSTILE: tuple[bytes, ...] = (
    b"${1}", b"<img src=x onerror=alert(1)>", b"<s>", b"</script>", "שלום".encode(), "\u200d".encode(), b"\xe2",
    b"\x96\x88", "\u202e".encode(), b"{{value}}", b"&amp;", "a\u0301".encode(), "\u0301".encode(), "日本".encode(),
    b"\x00", "👩‍🚀".encode(),
)  # fmt: skip
VOCABULARY: tuple[bytes, ...] = WORDS + HOSTILE


def make_tree(beams: Sequence[Sequence[int]], root: int) -> TreeRecord:
    """Merge equal prefixes through a dictionary."""
    token, parent, depth = [root], [-1], [0]
    seen: dict[tuple[int, int], int] = {}
    node_of = []
    for beam in beams:
        at, row = 0, []
        for item in beam:
            if (at, item) not in seen:
                seen[at, item] = len(token)
                token.append(item)
                parent.append(at)
                depth.append(depth[at] + 1)
            at = seen[at, item]
            row.append(at)
        node_of.append(tuple(row))
    return TreeRecord(tuple(token), tuple(parent), tuple(depth), tuple(node_of))


def make_step(
    index: int,
    position: int,
    beams: Sequence[Sequence[int]],
    truth: Sequence[int],
    *,
    root: int = 0,
    clock_ms: float = 0.0,
    random_source: random.Random | None = None,
) -> StepRecord:
    """A step whose base model's own text after the root is `truth`."""
    dice = random_source or random.Random(0)
    tree = make_tree(beams, root)
    path, at = [0], 0
    picks = [Pick(0, truth[0], -0.5, 1)]
    children = {(tree.parent[n], tree.token[n]): n for n in range(1, tree.nodes)}
    while (at, truth[len(path) - 1]) in children:
        at = children[at, truth[len(path) - 1]]
        path.append(at)
        picks.append(Pick(at, truth[len(path) - 1], -0.25 - 0.1 * len(path), 1))
    emitted = tuple(truth[: len(path)])
    ids = {*tree.token, *emitted}
    return StepRecord(
        index=index,
        position=position,
        beams=BeamsRecord(
            tuple(tuple(beam) for beam in beams),
            tuple(tuple(-0.3 - 0.1 * place for place, _ in enumerate(beam)) for beam in beams),
            tuple(-0.5 * (place + 1) for place, _ in enumerate(beams)),
        ),
        tree=tree,
        log_probability=tuple(
            0.0 if n == 0 else -0.5 if n in path else -2.0 - dice.random() for n in range(tree.nodes)
        ),
        rank=tuple(0 if n == 0 else 1 if n in path else 2 + dice.randrange(300) for n in range(tree.nodes)),
        picks=tuple(picks),
        path=tuple(path),
        emitted=emitted,
        next_root=emitted[-1],
        ms=StageMs(3.0 + dice.random(), 0.3, 20.0 + 8 * dice.random(), 0.2, 0.4),
        clock_ms=clock_ms,
        token_bytes={token: VOCABULARY[token] for token in ids},
    )


def make_header(*, width: int = 8, length: int = 5, new_tokens: int = 64, temperature: float = 0.0) -> Header:
    return Header(
        run_id=f"synthetic-{width}-{length}-{new_tokens}",
        created="2026-11-22T04:00:00Z",
        base=ModelInfo("Tiny-Base", "llama", 1_200_000, 2, 64, 300, 2048, "0" * 64),
        drafter=DrafterInfo("tiny-drafter", 80_000, 200, True, "1" * 64, "2" * 64),
        device="cpu",
        dtype="float32",
        engine="eager",
        kernels="reference",
        exact=False,
        versions={"torch": "2.13.0"},
        settings=RunSettings(width, length, new_tokens, temperature, 0, 1.0, 7, True, True),
        messages=(("user", "Why is the sky blue? <b>${1}</b>"),),
        prompt_ids=(0, 1, 2),
        token_bytes={0: VOCABULARY[0], 1: VOCABULARY[1], 2: VOCABULARY[2]},
    )


def make_trace(
    *, width: int = 8, length: int = 5, new_tokens: int = 64, seed: int = 0, hostile: bool = True, footer: bool = True
) -> Trace:
    """A whole race; the beams hold the truth's first tokens as often as a fair drafter would."""
    dice = random.Random(seed)
    choices = range(len(VOCABULARY) if hostile else len(WORDS))
    truth = [dice.choice(choices) for _ in range(new_tokens + length + 2)]
    trace = Trace(make_header(width=width, length=length, new_tokens=new_tokens))
    first = {truth[0]: VOCABULARY[truth[0]]}
    trace.add(PromptRecord("redrafter", 3, 41.0, truth[0], -0.4, first))
    trace.add(PromptRecord("plain", 3, 40.0, truth[0], -0.4, first))
    written, clock = 1, 0.0
    while written < new_tokens:
        hits = min(length, int(dice.expovariate(0.7)))
        trunk = [*truth[written : written + hits], *(dice.choice(choices) for _ in range(length - hits))]
        beams = [trunk]
        while len(beams) < width:
            keep = dice.randrange(length)
            beam = [*dice.choice(beams)[:keep], *(dice.choice(choices) for _ in range(length - keep))]
            if beam not in beams:
                beams.append(beam)
        clock += 26.0
        step = make_step(
            len(trace.steps),
            2 + written,
            beams,
            truth[written:],
            root=truth[written - 1],
            clock_ms=clock,
            random_source=dice,
        )
        trace.add(step)
        written += len(step.emitted)
    total = len(trace.redrafter_tokens)
    for place, token in enumerate(trace.redrafter_tokens):
        trace.add(PlainRecord(place, token, -0.5, 18.0 if place else 0.0, 18.0 * place, {token: VOCABULARY[token]}))
    trace.add(ParityRecord(True, total, None))
    if footer:
        trace.add(make_footer(trace))
    return trace


def timed(trace: Trace, *, node_ms: float) -> Trace:
    """The same run where a plain step costs 18 ms, drafting 4 ms and a node beyond the first `node_ms`."""
    clock, steps = 0.0, []
    for step in trace.steps:
        ms = StageMs(4.0, 0.5, 18.0 + node_ms * (step.tree.nodes - 1), 0.3, 0.2)
        clock += ms.total
        steps.append(replace(step, ms=ms, clock_ms=clock))
    made = replace(trace, steps=steps)
    return replace(made, footer=make_footer(made) if trace.footer else None)


def differing(trace: Trace, at: int) -> Trace:
    """The same run whose plain lane wrote another token at one place."""
    other = next(token for token in range(len(WORDS)) if token != trace.redrafter_tokens[at])
    plain = [*trace.plain]
    plain[at] = replace(plain[at], token=other, token_bytes={other: VOCABULARY[other]})
    parity = ParityRecord(False, len(plain), at, trace.redrafter_tokens[at], other, 0.1147)
    return replace(trace, plain=plain, parity=parity)


def make_footer(trace: Trace) -> Footer:
    steps = trace.steps
    total = len(trace.redrafter_tokens)
    clock, plain = steps[-1].clock_ms, trace.plain[-1].clock_ms
    histogram = [0] * (trace.header.settings.beam_length + 1)
    for step in steps:
        histogram[step.accepted] += 1
    accepted = sum(step.accepted for step in steps)
    drafted = sum(step.tree.nodes - 1 for step in steps)
    summary = Summary(
        new_tokens=total,
        tokens_per_step=(total - 1) / len(steps),
        redrafter_tokens_per_second=(total - 1) / clock * 1000,
        plain_tokens_per_second=(total - 1) / plain * 1000,
        speedup=plain / clock,
        speedup_over_fastest_plain=plain / clock,
        fastest_plain_dtype="float32",
        drafter_share=0.15,
        stage_ms=StageMs(
            *(sum(getattr(s.ms, k) for s in steps) for k in ("draft", "tree", "verify", "accept", "commit"))
        ),
        prompt_ms=41.0,
        mean_acceptance_length=accepted / len(steps) + 1,
        draft_acceptance_rate=accepted / drafted,
        acceptance_histogram=tuple(histogram),
        num_spec_steps=len(steps),
        num_accepted_draft_tokens=accepted,
        num_draft_tokens=drafted,
        peak_memory_bytes=312_000_000,
    )
    text = b"".join(VOCABULARY[token] for token in trace.redrafter_tokens).decode("utf-8", "replace")
    return Footer("length", summary, text, "Drafting was faster.")
