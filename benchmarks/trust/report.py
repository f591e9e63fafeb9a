"""benchmarks/results/trust.md out of the parts' records: nothing in it but what they say, and what peers' tests ask."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from benchmarks.trust.parts import PARTS, Part
from benchmarks.trust.records import Record

HEAD = """# Trust: what was tried, in numbers

Written by `make trust` (`python -m benchmarks.trust`) from the records in [trust.json](trust.json), not by hand.
[security.md](../../docs/security.md) names the promises, [exactness.md](../../docs/exactness.md) what the text is
compared with. Other work ran on the machine, so durations say how long to wait, not how fast anything is.
"""

PEERS = """## What peers' tests ask for

Read on 29 November 2026 in their repositories, not run. On every prompt ours ask for the same text wherever logits are
equal (`tests/decode/test_identity.py`, `tests/trust/test_families.py`), and measure it elsewhere.

| project | file | asks for |
|---|---|---|
| vLLM | `tests/v1/e2e/test_spec_decode.py` at commit 0130080b | the same text of up to 10 tokens on 66% of 100 prompts (n-gram, suffix), 60% (EAGLE), 80% (MTP); with a draft model the outputs are not compared, only acceptance |
| llama.cpp | `tools/server/tests/unit/test_speculative.py` at commit 0876d422 | the same text on one prompt, with and without a draft model and over five draft lengths |
| transformers | `test_assisted_decoding_matches_greedy_search` of `tests/generation/test_utils.py` | four tokens of every tiny model: equal, or with scores within 1e-5 (mixtures of experts 1e-3); an assistant that is always right or a random one |
"""  # noqa: E501


def report(records: Mapping[str, Record]) -> str:
    """The whole page."""
    parts = [_part(part, records[part.name]) for part in PARTS if part.name in records]
    return "\n".join([HEAD, *_summary(records), *parts, PEERS])


def _summary(records: Mapping[str, Record]) -> Iterator[str]:
    known = [records[part.name] for part in PARTS if part.name in records]
    passed, failed = sum(one.outcome.passed for one in known), sum(len(one.outcome.failed) for one in known)
    skipped = sum(sum(one.outcome.skipped.values()) for one in known)
    yield f"{len(known)} of {len(PARTS)} parts were run: {passed:,} passed, {failed:,} failed, {skipped:,} skipped.\n"
    yield "| part | passed | failed | skipped | began (UTC) | minutes | commit | outcome |"
    yield "|---|---|---|---|---|---|---|---|"
    for part in PARTS:
        if part.name in records:
            yield _row(records[part.name])
        else:
            yield f"| {part.name} | | | | | | | **not run**{f': {part.missing}' if part.needs else ''} |"
    yield ""
    if len({one.sources for one in known}) > 1:
        yield 'Not all parts ran with the same sources; each names its commit ("+": with changes not yet committed).\n'


def _row(record: Record) -> str:
    outcome = record.outcome
    counts = f"{outcome.passed:,} | {len(outcome.failed):,} | {sum(outcome.skipped.values()):,}"
    said = "passed" if record.ok else "**failed**"
    return f"| {record.part} | {counts} | {record.date} | {record.seconds / 60:.1f} | {record.commit} | {said} |"


def _part(part: Part, record: Record) -> str:
    return "\n".join(
        [f"## {part.name}\n", f"{_sentence(part.tries)}\n", *_where(record), *_figures(record), *_left(record)]
    )


def _where(record: Record) -> Iterator[str]:
    yield f"```sh\n{record.command}\n```\n"
    versions = ", ".join(f"{name} {number}" for name, number in record.versions.items())
    flags = f" ({' '.join(record.flags)})" if record.flags else ""
    yield f"{record.date} UTC, commit {record.commit}, {record.processor}{flags}, {record.cores} cores,"
    yield f"load {record.load:g} before; {versions}.\n"


def _figures(record: Record) -> Iterator[str]:
    figures = record.outcome.figures
    yield f"{_sentence(_counts(record))}\n"
    if figures:
        yield "| test | figure | value |"
        yield "|---|---|---|"
        for one in figures:
            yield f"| {_cell(one.test)} | {_cell(one.name)} | {_cell(one.value)} |"
        yield ""


def _counts(record: Record) -> str:
    outcome = record.outcome
    return f"{outcome.passed:,} passed, {len(outcome.failed):,} failed, {sum(outcome.skipped.values()):,} skipped"


def _left(record: Record) -> Iterator[str]:
    """What failed, and what was skipped and why."""
    for one in record.outcome.failed:
        yield f"- **Failed**: `{one.test}`: {one.why}"
    for why, count in record.outcome.skipped.items():
        yield f"- Skipped, {count:,}: {why}"
    if record.outcome.failed or record.outcome.skipped:
        yield ""


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + "."
