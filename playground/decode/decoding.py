"""What a lane decodes with: the base model, the sampling, and how it drafts, if it does.

Knows no prompt and no run: lanes of one decoding can share what a runner prepares for it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from playground.base_model.types import TreeModel
from playground.config import BeamShape, CostCurve, PlaygroundError, Sampling
from playground.decode.widen import DraftModel


@dataclass(frozen=True)
class Drafting:
    """Who drafts, how it searches, and by which costs of this machine a budget is chosen step by step."""

    model: DraftModel
    shape: BeamShape
    costs: CostCurve | None = None


@dataclass(frozen=True)
class Decoding:
    """One way to decode. Without `drafting` it is plain decoding, the tree being the root alone.

    Attributes:
        judged: records say what the base model thought of every token; off only to measure drafting without them.
    """

    base: TreeModel
    sampling: Sampling
    drafting: Drafting | None = None
    judged: bool = True

    def __post_init__(self) -> None:
        if self.drafting is None and not self.judged:
            raise PlaygroundError("Plain decoding records how likely and how close its picks were. Leave judged on.")

    @property
    def length(self) -> int:
        """L, tokens that a beam drafts."""
        return self.drafting.shape.length if self.drafting else 0

    @property
    def depth(self) -> int:
        """How deep the tree may be."""
        return self.drafting.shape.depth if self.drafting else 0

    @property
    def max_nodes(self) -> int:
        """Nodes of the largest tree, the root included."""
        return self.drafting.shape.max_nodes if self.drafting else 1

    @property
    def any_seed(self) -> Decoding:
        """What decodings that differ by the seed or the record alone have in common."""
        return replace(self, sampling=replace(self.sampling, seed=0), judged=True)
