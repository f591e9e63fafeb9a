"""No stage asks its device for a number: on PyTorch's `meta` device, which holds none, asking is an error.

A captured graph cannot ask, and neither may a step that waits once. Run with the reference kernels, which ask on the
CPU alone; attention is left out, as theirs does ask.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch

from kernels import kernel_set
from playground.base_model.types import BaseOutput
from playground.config import BeamShape, CostCurve, NodeBudget, Sampling
from playground.decode.decoding import Decoding, Drafting
from playground.decode.replay.program import InPlace
from playground.decode.stages import Stages
from playground.drafter.cell import Drafter
from playground.drafter.config import DrafterConfig
from playground.sampling import rule_of

META = torch.device("meta")
VOCABULARY, HIDDEN = 24, 32
KERNELS = kernel_set("reference", torch.device("cpu"))


class Rows:
    """A cache that moves rows and counts them."""

    def __init__(self, capacity: int) -> None:
        self.keys = [torch.zeros(2, capacity, 8, device=META)]
        self.committed_tensor = torch.zeros((), dtype=torch.int64, device=META)

    def commit_counted(self, path: torch.Tensor, length: torch.Tensor) -> None:
        KERNELS.kv_commit(self.keys, self.keys, self.committed_tensor, path, length)
        self.committed_tensor.add_(length)


class Base:
    """A base model of embeddings and logits alone."""

    name, device, dtype, kernels, taps, context_size = "meta", META, torch.bfloat16, KERNELS, (), HIDDEN
    hidden_size, vocab_size, window, eos_ids = HIDDEN, VOCABULARY, 1000, frozenset({3})

    def __init__(self) -> None:
        self.states = torch.zeros(VOCABULARY, HIDDEN, dtype=self.dtype, device=META)

    def new_cache(self, capacity: int) -> Rows:
        return Rows(capacity)

    def prefill(self, tokens: torch.Tensor, cache: Rows) -> BaseOutput:
        return self.forward(tokens[-1:], tokens[-1:], tokens[-1:], cache)

    def forward(self, tokens: torch.Tensor, depth: torch.Tensor, ancestors: torch.Tensor, cache: Rows) -> BaseOutput:
        return BaseOutput(self.states[tokens] @ self.states.T, self.states[tokens])

    def embed(self, tokens: torch.Tensor) -> torch.Tensor:
        return self.states[tokens]


def drafting(base: Any, nodes: NodeBudget) -> Drafting:
    config = DrafterConfig(
        VOCABULARY, HIDDEN, 2 * HIDDEN, logit_cut=8, context_tokens=3, context_dim=8, lookup_tokens=2
    )
    return Drafting(
        Drafter(config).to(META, torch.bfloat16).eval().bind(base),
        BeamShape(4, 3, nodes),
        CostCurve((1, 64), (1.0, 2.0)),
    )


SAMPLINGS = [Sampling(), Sampling(1.0, seed=3), Sampling(1.0, 12, 0.9, seed=3)]


@pytest.mark.parametrize("sampling", SAMPLINGS, ids=["greedy", "hot", "top-p"])
@pytest.mark.parametrize(
    ("drafts", "nodes"),
    [(True, None), (True, 20), (True, "auto"), (False, None)],
    ids=["beams", "best", "auto", "plain"],
)
@torch.inference_mode()
def test_no_stage_asks(sampling: Sampling, drafts: bool, nodes: NodeBudget) -> None:
    base: Any = Base()
    decoding = Decoding(base, sampling, drafting(base, nodes) if drafts else None)
    seed = torch.zeros((), dtype=torch.int64, device=META)
    stages = Stages(decoding, rule_of(sampling, seed), 60, InPlace())
    stages.begin(torch.zeros(5, dtype=torch.int64, device=META), 20, lambda: False)
    for nodes in (8, 13) if drafts else (1, 1):
        if drafts:
            stages.draft()
            stages.tree()
        stages.verify(nodes)
        stages.accept(nodes)
        stages.commit()
        stages.judge(nodes)
        told = stages.told()
    assert stages.verdict.path.shape == (decoding.depth + 1,)
    assert len(told) == (21 if drafts else 5)
    with pytest.raises((RuntimeError, NotImplementedError)):  # asking does show here
        int(stages.root)
