"""The recipe study: its losses on a tiny drafter, and one variant trained and judged from end to end."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from benchmarks.recipe_study.__main__ import VARIANTS, measure, table
from benchmarks.recipe_study.losses import Mixture, StudyObjective, at_temperature, hidden_regression, with_labels
from playground.distill.training.loss import Teacher
from playground.distill.training.objective import Objective
from tests.distill.small import Training, training


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Training:
    return training(tmp_path_factory.mktemp("study"))


def test_regression_is_relative_to_the_target() -> None:
    target = torch.randn(9, 5, generator=torch.Generator().manual_seed(0))
    assert float(hidden_regression(target, target, torch.ones(9))) == 0.0
    same = [float(hidden_regression(k * 2 * target, k * target, torch.ones(9))) for k in (1, 10)]
    assert same[0] == pytest.approx(same[1]) == pytest.approx(9.0)
    assert float(hidden_regression(2 * target, target, torch.zeros(9))) == 0.0


def test_labels_join_the_teacher() -> None:
    soft = Teacher(torch.tensor([[3, 1], [0, 2]]), torch.tensor([[0.75, 0.25], [0.5, 0.5]]))
    mixed = with_labels(soft, torch.tensor([7, -1]), 0.5)
    assert mixed.ids.tolist() == [[3, 1, 7], [0, 2, 0]]
    assert mixed.probabilities.tolist() == [[0.375, 0.125, 0.5], [0.25, 0.25, 0.0]]


def test_a_lower_temperature_sharpens_the_teacher() -> None:
    soft = Teacher(torch.tensor([[3, 1], [0, 2]]), torch.tensor([[0.75, 0.25], [0.0, 0.0]]))
    sharper = at_temperature(soft, 0.5)
    assert torch.equal(sharper.ids, soft.ids) and sharper.probabilities[1].tolist() == [0.0, 0.0]
    torch.testing.assert_close(sharper.probabilities[0], torch.tensor([0.9, 0.1]))
    torch.testing.assert_close(at_temperature(soft, 1.0).probabilities, soft.probabilities)


def test_the_parts_add_up(tiny: Training) -> None:
    drafter, source, trained = tiny.assemble()
    batch = source.batch(0)

    def total(mixture: Mixture) -> float:
        return loss(StudyObjective(drafter, tiny.states, tiny.base, mixture))

    def loss(objective: Objective) -> float:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            return float(objective(batch).total.detach())

    plain = total(Mixture())
    acceptance = total(Mixture(cross_entropy=0.0, acceptance=1.0))
    assert acceptance > 0 and total(Mixture(acceptance=0.5)) == pytest.approx(plain + 0.5 * acceptance, rel=1e-4)
    assert loss(trained) == pytest.approx(total(VARIANTS["acceptance"].mixture)), "what is called the default is not"
    regression = total(Mixture(cross_entropy=0.0, regression=1.0))
    assert regression > 0 and total(Mixture(1.0, 0.3)) == pytest.approx(plain + 0.3 * regression, rel=1e-4)
    labels = total(Mixture(label_share=1.0))
    assert labels != plain and total(Mixture(label_share=0.25)) == pytest.approx(0.75 * plain + 0.25 * labels, rel=1e-4)


@pytest.mark.parametrize("name", ["paper", "labels", "sharper", "corpus_quarter"])
def test_a_variant_is_trained_and_judged(tiny: Training, name: str, tmp_path: Path) -> None:
    variant = VARIANTS[name]
    layers = {} if name == "paper" else {"context_layers": (1,)}  # what the tiny states hold
    variant = type(variant)(variant.about, {**variant.config, **layers}, variant.mixture, variant.corpus_share)
    found = measure(variant, tiny.corpus, tiny.states.folder, tiny.base, 4, tmp_path)
    assert (
        found["steps"] == 4
        and len(found["top1"]) == 5
        and set(found["tokens_per_step"]) == {"1x3@beams", "8x5@beams", "16x5@beams"}
    )
    assert variant.about in table({name: found})
