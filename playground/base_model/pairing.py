"""Puts a drafter beside its base model: same place and dtype, bound to its embedding and output rows, taps set.

The one way a pair is made, for sessions, training's trial and benchmarks alike. Knows no files.
"""

from __future__ import annotations

import torch

from playground.base_model.adapter import BaseModel
from playground.base_model.packed import pack
from playground.drafter.cell import Drafter


def pair_drafter(drafter: Drafter, base: BaseModel) -> Drafter:
    """The drafter, ready to decode with `base`.

    Raises:
        PlaygroundError: it does not fit the base model.
    """
    bound = drafter.to(device=base.device, dtype=base.dtype).eval().requires_grad_(False).bind(base)
    linears = [module for module in bound.modules() if isinstance(module, torch.nn.Linear)]
    pack(linears, set(), release=False)
    base.set_taps(bound.taps)
    return bound
