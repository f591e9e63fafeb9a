"""What sampling with drafts writes is distributed as the base model says: chi-square over triples of tokens.

The expected probabilities are transformers' own warpers', in float64, multiplied out over all triples of a vocabulary
of 16; what is counted is what the drafting lane writes for one seed after the other, with a drafter that is right often
enough for whole paths to be accepted.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Sequence

import pytest
import torch
from transformers import TemperatureLogitsWarper, TopKLogitsWarper, TopPLogitsWarper

from playground.config import BeamShape, Sampling
from playground.trace import StepRecord
from tests.decode.lanes import MarkovBase, Scripted, drafting_run
from tests.trust.conftest import Note

V = 16
ROOT = 3
SETTINGS = {
    "plain": Sampling(1.0),
    "cool": Sampling(0.6),
    "top-k": Sampling(1.2, top_k=6),
    "top-p": Sampling(0.9, top_p=0.8),
}


def table() -> torch.Tensor:
    """Logits [V, V] of the next token by the last one."""
    return torch.randn(V, V, generator=torch.Generator().manual_seed(16)) * 1.2


def probabilities(sampling: Sampling) -> torch.Tensor:
    """[V, V] by transformers' warpers."""
    scores = table().double() / 1.0
    scores = TemperatureLogitsWarper(sampling.temperature)(None, scores)
    if sampling.top_k:
        scores = TopKLogitsWarper(sampling.top_k)(None, scores)
    if sampling.top_p < 1.0:
        scores = TopPLogitsWarper(sampling.top_p)(None, scores)
    return scores.softmax(-1)


def triples(sampling: Sampling, seeds: Sequence[int]) -> tuple[Counter[tuple[int, ...]], list[StepRecord]]:
    """What the drafting lane writes after the root for each seed, and its steps."""
    known = table()

    def opinion(text: tuple[int, ...]) -> torch.Tensor:
        """The truth, blurred."""
        blur = torch.randn(V, generator=torch.Generator().manual_seed(text[-1])) * 0.4
        return known[text[-1]] + blur

    base, counted, steps = MarkovBase(known), Counter[tuple[int, ...]](), list[StepRecord]()
    for seed in seeds:
        setting = Sampling(sampling.temperature, sampling.top_k, sampling.top_p, seed)
        run = drafting_run(base, Scripted(opinion), BeamShape(4, 3), [1, ROOT], setting, 4)
        counted[tuple(run.lane.tokens[:3])] += 1
        steps += run.steps
    return counted, steps


def p_value(counted: Counter[tuple[int, ...]], rows: torch.Tensor) -> float:
    """Of Pearson's chi-square; triples that expect fewer than 5 are pooled by how they begin."""
    total, cells = sum(counted.values()), dict[tuple[int, ...], tuple[float, int]]()
    for triple in itertools.product(range(V), repeat=3):
        a, b, c = triple
        expected, seen = total * float(rows[ROOT, a] * rows[a, b] * rows[b, c]), counted[triple]
        assert expected > 0 or seen == 0, "a token that the filters leave out was written"
        cells[triple] = (expected, seen)
    for length in (2, 1, 0):
        for cell in [cell for cell, (expected, _) in cells.items() if expected < 5 and len(cell) > length]:
            (expected, seen), (more, others) = cells.pop(cell), cells.get(cell[:length], (0.0, 0))
            cells[cell[:length]] = (expected + more, seen + others)
    found = [(expected, seen) for expected, seen in cells.values() if expected > 0]
    statistic = sum((seen - expected) ** 2 / expected for expected, seen in found)
    assert len(found) > 10
    return float(torch.special.gammaincc(torch.tensor((len(found) - 1) / 2), torch.tensor(statistic / 2)))


@pytest.mark.parametrize("name", SETTINGS)
def test_triples_are_distributed_as_the_base_model_says(name: str, scale: int, record_property: Note) -> None:
    sampling = SETTINGS[name]
    counted, steps = triples(sampling, range(500 * scale))
    accepted = sum(step.accepted for step in steps) / len(steps)
    found = p_value(counted, probabilities(sampling))
    record_property("triples", f"{sum(counted.values()):,}")
    record_property("accepted a step", f"{accepted:.2f}")
    record_property("p", f"{found:.3f}")
    assert found > 1e-4 and any(step.accepted >= 2 for step in steps)


def test_a_wrong_distribution_is_seen() -> None:
    """The same triples against a temperature a little off: the test has the power to fail."""
    counted, _ = triples(SETTINGS["plain"], range(500))
    assert p_value(counted, probabilities(Sampling(0.6))) < 1e-6
