"""How many nodes a step's tree gets: a number given, or the number that pays best on this machine at this moment.

A candidate is accepted with about the probability of its path, corrected by what was measured of such depths. With n
nodes a step writes 1 + their sum, and costs what n nodes cost; n is where tokens for a millisecond are most. A pure
function of scores and costs; text never depends on it. Knows no drafter and no tree.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from playground.config import DEFAULT_NODES, BeamShape, CostCurve


class Budget:
    """What a run's shape says of its budget, with the costs on the device. Chooses for one step."""

    def __init__(
        self,
        shape: BeamShape,
        costs: CostCurve | None,
        calibration: Sequence[float],
        device: torch.device,
        sizes: Sequence[int] | None = None,
    ) -> None:
        """How to choose.

        Args:
            costs: without them "auto" takes `DEFAULT_NODES`.
            calibration: actual over predicted acceptance by depth, from 1 on; the last for deeper ones.
            sizes: node counts that are verified as they are, others being padded; None says all.
        """
        fixed = DEFAULT_NODES if isinstance(shape.nodes, str) else shape.nodes or 0
        self._fixed = torch.tensor(fixed, device=device)
        self._costs: torch.Tensor | None = None
        if isinstance(shape.nodes, str) and costs is not None:
            offered = set(range(1, shape.max_nodes + 1) if sizes is None else sizes)
            ms = [costs.step(n, shape.length) if n in offered else torch.inf for n in range(1, shape.max_nodes + 1)]
            self._costs = torch.tensor(ms, device=device)  # [M]
        self._calibration = torch.tensor([1.0, *(calibration or (1.0,))], device=device)  # [D + 1] by depth

    def __call__(self, score: torch.Tensor, depth: torch.Tensor) -> torch.Tensor:
        """Nodes [] for candidates with `score` [M - 1], best first, and `depth` [M - 1]."""
        if self._costs is None:
            return self._fixed
        return choose_budget(score, depth, self._costs, self._calibration)


def choose_budget(
    score: torch.Tensor, depth: torch.Tensor, costs: torch.Tensor, calibration: torch.Tensor
) -> torch.Tensor:
    """The number of nodes [] that gives most tokens for a millisecond, the fewest of equal ones.

    Args:
        score: [M - 1] log-probabilities of the candidates' paths, best first; -inf for none.
        depth: [M - 1].
        costs: [M] milliseconds of a step with 1 .. M nodes, infinite where there is none of that size.
        calibration: [D + 1] actual over predicted acceptance by depth, the last for deeper ones.
    """
    chance = (score.exp() * calibration[depth.clamp(0, len(calibration) - 1)]).clamp_max(1.0)
    tokens = 1.0 + torch.cat((chance.new_zeros(1), chance.cumsum(0)))  # [M]
    return (tokens / costs).argmax() + 1
