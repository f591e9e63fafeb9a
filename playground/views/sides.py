"""Two runs side by side as the page draws them: what agrees, figures in pairs, where their steps meet.

Record -> picture. The texts and the trees are the runs' own pictures, which the page has already.
"""

from __future__ import annotations

from collections.abc import Iterator

from playground.figures.again import expectation
from playground.figures.agreement import agreement
from playground.figures.compare import StepPair
from playground.figures.provenance import summary_sources
from playground.trace import Trace
from playground.views.compare import difference_rows, figures_table, text_words
from playground.views.page import MeetingPicture, SidesPicture
from playground.views.token_text import visible


def sides_picture(left: Trace, right: Trace) -> SidesPicture:
    """Two runs of any prompts, settings and machines; the claims are those of the right one made again."""
    found = agreement(left, right)
    comparison = found.comparison
    table = figures_table(comparison)
    return {
        "samePrompt": comparison.same_prompt,
        "firstDifference": comparison.first_difference,
        "claims": [
            {"what": claim.what, "agrees": claim.agrees, "words": visible(claim.words)} for claim in found.claims
        ],
        "expectation": expectation(left.header, right.header),
        "words": list(text_words(comparison, left, right)),
        "differences": list(difference_rows(comparison)),
        "columns": list(table.columns),
        "rows": [list(row) for row in table.rows],
        "sources": list(_sources(left, right)),
        "meetings": [_meeting(pair) for pair in comparison.steps],
    }


def _sources(left: Trace, right: Trace) -> Iterator[tuple[str, str, str]]:
    """Of every figure in the table."""
    ours, theirs = summary_sources(left), summary_sources(right)
    for name, source in ours.items():
        yield name, f"{source.kind}: {source.words}", f"{theirs[name].kind}: {theirs[name].words}"


def _meeting(pair: StepPair) -> MeetingPicture:
    return {
        "at": pair.new_tokens,
        "left": pair.left.index,
        "right": pair.right.index,
        "sameTree": pair.same_tree,
        "samePicks": pair.same_picks,
    }
