"""Why a token lives or dies, in words.

Knows one step's record. Says only what the record proves: the base model's picks along the path, and its probability
and rank of every node under that node's own parent.
"""

from __future__ import annotations

import math

from playground.figures.format import ordinal, percent
from playground.trace import Pick, StepRecord
from playground.views.token_text import quoted


class Reasons:
    """Sentences about the nodes of one step."""

    def __init__(self, step: StepRecord, *, sampled: bool) -> None:
        self._step = step
        self._sampled = sampled
        self._pick_at = {pick.node: pick for pick in step.picks}
        self._path = frozenset(step.path)

    def of(self, node: int, status: str) -> str:
        """The sentence for one node, given its status."""
        if status == "root":
            return "The root: the base model picked it before this step, so it is already certain."
        if status == "accepted":
            return self._accepted(node)
        if status == "rejected":
            return self._rejected(node)
        return self._unreached(node)

    def of_pick(self, pick: Pick) -> str:
        """The sentence for the pick that ended the step."""
        drafted = any(parent == pick.node for parent in self._step.tree.parent)
        missed = "no beam had it here" if drafted else "the draft went no further"
        if drafted and self._step.budget is not None and self._step.unsent is None:
            missed = "no node of the tree had it here"
        if self._scored(pick):
            missed = "it was scored here but not verified: others were likelier"
        return f"The base model {self._picked(pick)}; {missed}. It becomes the next root."

    def _accepted(self, node: int) -> str:
        pick = self._pick_at[self._step.tree.parent[node]]
        had = "it was copied from earlier in the text" if self._copied(node) else "a beam had it"
        return f"Accepted: the base model {self._picked(pick)} here, and {had}."

    def _rejected(self, node: int) -> str:
        step = self._step
        pick = self._pick_at[step.tree.parent[node]]
        own = f"{self._word(step.tree.token[node])} was its {ordinal(step.rank[node])} choice"
        share = percent(math.exp(step.log_probability[node]))
        return f"{self._from(node)}Rejected: the base model {self._picked(pick)}; {own} ({share})."

    def _unreached(self, node: int) -> str:
        step = self._step
        parent = step.tree.parent[node]
        if parent in self._path:
            return f"{self._from(node)}Never reached: the base model's text ended before it."
        first = parent
        while step.tree.parent[first] not in self._path:
            first = step.tree.parent[first]
        would = f"after that prefix it would have been the {ordinal(step.rank[node])} choice"
        share = percent(math.exp(step.log_probability[node]))
        start = f"{self._from(node)}Never reached"
        return f"{start}: {self._word(step.tree.token[first])} before it was rejected; {would} ({share})."

    def _copied(self, node: int) -> bool:
        return self._step.tree.origin[node : node + 1] == ("copy",)

    def _from(self, node: int) -> str:
        return "Copied from earlier in the text. " if self._copied(node) else ""

    def _scored(self, pick: Pick) -> bool:
        """The pick is among the best that were scored but not sent."""
        unsent = self._step.unsent
        return unsent is not None and (pick.node, pick.token) in zip(unsent.parent, unsent.token, strict=True)

    def _picked(self, pick: Pick) -> str:
        word, share = self._word(pick.token), percent(math.exp(pick.log_probability))
        if self._sampled:
            return f"drew {word} with seeded noise ({ordinal(pick.rank)} choice, {share})"
        return f"picked {word} ({share})"

    def _word(self, token: int) -> str:
        return quoted(self._step.token_bytes.get(token, b""))
