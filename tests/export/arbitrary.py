"""Any trace whatever, for properties that must hold for all of them: any bytes as tokens, any text, any number."""

from __future__ import annotations

import math
from dataclasses import replace

from hypothesis import strategies as st

from playground.trace import PlainRecord, PromptRecord, StepRecord, Trace
from tests.views.synthetic import VOCABULARY, make_trace

HOSTILE_TEXTS = (
    "</script><script>alert(1)</script>", "]]>", "&amp;<b>", '"\'`', "=cmd()", "@SUM(A1)", "-1", "+1", "'", "''",
    "\x00\x1b[2J", "\u202e\ufffe\uffff", "a\r\nb\tc", "\u2028\u2029", "", " ", "${title}", "日本 שלום",
)  # fmt: skip
texts = st.sampled_from(HOSTILE_TEXTS) | st.text(max_size=12)
pieces = texts.map(lambda text: text.encode("utf-8", "replace")) | st.binary(max_size=6)
numbers = st.floats(-30, 0) | st.sampled_from([math.nan, -math.inf, -0.0, -1e30])


@st.composite
def traces(draw: st.DrawFn, most_tokens: int = 12) -> Trace:
    """A run of up to four steps, told with any bytes and any numbers, whole or cut off."""
    made = make_trace(
        width=draw(st.integers(1, 4)),
        length=draw(st.integers(1, 3)),
        new_tokens=draw(st.integers(2, most_tokens)),
        seed=draw(st.integers(0, 99)),
        footer=False,
    )
    named = {token: draw(pieces) for token in range(len(VOCABULARY))}
    header = replace(
        made.header,
        run_id=draw(texts),
        created=draw(texts),
        base=replace(made.header.base, name=draw(texts)),
        messages=(("user", draw(texts)),),
        token_bytes={token: named[token] for token in made.header.token_bytes},
    )
    trace = Trace(header)
    for record in made.records():
        if isinstance(record, StepRecord):
            trace.add(_told(draw, record, named))
        elif isinstance(record, PromptRecord | PlainRecord):
            trace.add(replace(record, token_bytes={token: named[token] for token in record.token_bytes}))
    return trace


def _told(draw: st.DrawFn, step: StepRecord, named: dict[int, bytes]) -> StepRecord:
    nodes = step.tree.nodes
    return replace(
        step,
        log_probability=(0.0, *(draw(numbers) for _ in range(nodes - 1))),
        ms=replace(step.ms, verify=draw(st.floats(0, 1e4) | st.just(math.nan))),
        token_bytes={token: named[token] for token in step.token_bytes},
    )
