"""A run and the same run made again: what agrees, claim by claim. Times are shown beside each other, never as equal.

Knows two traces; nothing of how the second one was made.
"""

from __future__ import annotations

from dataclasses import dataclass

from playground.figures.compare import Comparison, compare_runs
from playground.trace import Trace


@dataclass(frozen=True)
class Claim:
    """One thing that both runs say."""

    what: str
    agrees: bool | None  # None: there was nothing to compare
    words: str


@dataclass(frozen=True)
class Agreement:
    """How far a run made again is the run that was recorded."""

    claims: tuple[Claim, ...]
    comparison: Comparison

    @property
    def text_agrees(self) -> bool:
        return next(claim.agrees is True for claim in self.claims if claim.what == "text")


def agreement(recorded: Trace, again: Trace) -> Agreement:
    """What of a recorded run came out the same.

    Of a run that was stopped or cut off, the part that was recorded is compared.
    """
    found = compare_runs(recorded, again)
    before, now = recorded.header, again.header
    claims = (
        _equal("base model", before.base.config_hash, now.base.config_hash),
        _equal("drafter", before.drafter.file_hash, now.drafter.file_hash),
        Claim("prompt", found.same_prompt, f"{len(before.prompt_ids)} tokens, {len(now.prompt_ids)} now"),
        _text(recorded, found),
        _steps("picks", found.same_picks, found),
        _steps("trees", found.same_trees, found),
    )
    return Agreement(claims, found)


def _equal(what: str, before: str, now: str) -> Claim:
    return Claim(what, before == now, before[:12] if before == now else f"{before[:12]} then, {now[:12]} now")


def _text(recorded: Trace, found: Comparison) -> Claim:
    recorded_tokens, now = found.lengths
    if not found.same_prompt:
        return Claim("text", False, "another prompt, so another text")
    if found.first_difference is not None:
        return Claim("text", False, f"differs from new token {found.first_difference + 1} of {recorded_tokens} on")
    if now < recorded_tokens or (now > recorded_tokens and not recorded.stopped):
        return Claim("text", False, f"{recorded_tokens} tokens then, {now} now, the same as far as both go")
    return Claim("text", True, f"the same {recorded_tokens} tokens")


def _steps(what: str, same: int, found: Comparison) -> Claim:
    met = len(found.steps)
    if not met:
        return Claim(what, None, "no two steps start at the same place of the same text")
    return Claim(what, same == met, f"the same in {same} of {met} steps that start at the same place")
