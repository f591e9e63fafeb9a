"""Compares drafter recipes on held-out text: loss, draft vocabulary, extra context, corpus size, passes.

    python -m benchmarks.recipe_study --corpus DIR --work DIR [--steps 800] [--variants mixture,labels,...]

Every variant trains from the same seed for the same number of steps on the same teacher states and is
judged by simulation on held-out greedy rows, with and without tokens inside loops. Short runs rank
recipes; they do not tell how good a long run gets. Prints a table and writes JSON.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.recipe_study.losses import Mixture, StudyObjective
from kernels import kernel_set
from playground.base_model.adapter import BaseModel
from playground.config import BeamShape
from playground.distill.corpus.corpus import Corpus, load_corpus
from playground.distill.teacher.states import StatesInfo, TeacherStates
from playground.distill.training.loop import train
from playground.distill.training.options import TrainOptions
from playground.distill.training.recipe import Recipe, assemble, choose_config
from playground.distill.training.simulate import simulate
from playground.files import write_json
from playground.progress import Bars
from playground.sources.catalogue import resolve_base

MIXTURE = Mixture(regression=0.3)
"""The loss the study began with; since it found the regression to add nothing, drafters are trained without."""

SHAPES = (BeamShape(1, 3, None), BeamShape(8, 5, None), BeamShape(16, 5, None))


@dataclass(frozen=True)
class Variant:
    """One recipe: what differs from the default one."""

    about: str
    config: dict[str, Any] = field(default_factory=dict)
    mixture: Mixture = MIXTURE
    corpus_share: float = 1.0
    steps: float = 1.0  # of the run's steps


NO_CONTEXT = {"context_layers": (), "context_tokens": 0, "context_dim": 0}
NO_LOOKUP = {"lookup_tokens": 0}

VARIANTS = {
    "paper": Variant("the paper's cell and head: no extra context, no lookup", {**NO_CONTEXT, **NO_LOOKUP}),
    "context": Variant("with lower layers' states and recent tokens", NO_LOOKUP),
    "mixture": Variant("with lookup too, learnt with feature regression beside distillation"),
    "distillation": Variant("the same without feature regression", mixture=Mixture()),
    "acceptance": Variant("the default: distillation and acceptance", mixture=Mixture(acceptance=1.0)),
    "sharper": Variant(
        "the same from the base model at temperature 0.5", mixture=Mixture(acceptance=1.0, temperature=0.5)
    ),
    "regression": Variant(
        "feature regression with a hint of distillation", mixture=Mixture(cross_entropy=0.05, regression=1.0)
    ),
    "labels": Variant("Apple's loss: cross-entropy on the text's own tokens", mixture=Mixture(label_share=1.0)),
    "vocabulary_4k": Variant("draft vocabulary of 4,096", {"draft_vocab_size": 4096}),
    "vocabulary_16k": Variant("draft vocabulary of 16,384", {"draft_vocab_size": 16_384}),
    "vocabulary_32k": Variant("draft vocabulary of 32,768", {"draft_vocab_size": 32_768}),
    "corpus_quarter": Variant("a quarter of the corpus", corpus_share=0.25),
    "corpus_sixteenth": Variant("a sixteenth of the corpus", corpus_share=0.0625),
    "half_the_steps": Variant("half the steps", steps=0.5),
    "twice_the_steps": Variant("twice the steps", steps=2.0),
}


def thinned(corpus: Corpus, share: float) -> Corpus:
    """The corpus with only the first `share` of its training rows to learn from; held-out rows stay."""
    if share >= 1.0:
        return corpus
    learnt = corpus.assistant & ((corpus.row < corpus.rows * share) | corpus.held_out)
    return replace(corpus, assistant=np.asarray(learnt))


def measure(
    variant: Variant, corpus: Corpus, states_folder: Path, base: BaseModel, steps: int, out: Path
) -> dict[str, Any]:
    """Train a variant and judge it."""
    config = replace(choose_config(base.info()), **variant.config)
    info = StatesInfo(
        base.info().config_hash, corpus.content_hash, corpus.tokens, base.hidden_size, config.context_layers
    )
    states = TeacherStates.open_part(states_folder, info)
    states.into_memory()
    recipe = Recipe(config)
    drafter, source, _ = assemble(recipe, thinned(corpus, variant.corpus_share), states, base, out.name)
    objective = StudyObjective(drafter, states, base, variant.mixture)
    count = int(steps * variant.steps)
    began = time.perf_counter()
    with Bars().stage(out.name, count, "step") as done:
        options = TrainOptions(steps=count, checkpoint_every=10**9)
        train(drafter, source, corpus, objective, options, out, lambda now: done(now.step))
    seconds = time.perf_counter() - began
    with torch.autocast(drafter.device.type, dtype=torch.bfloat16):
        found = simulate(drafter, source, corpus, SHAPES)
    parameters = drafter.info().parameters
    told = {"about": variant.about, "steps": count, "places": count * recipe.batch, "parameters": parameters}
    judged = asdict(found)
    return told | {"seconds": round(seconds), "simulated_steps": judged.pop("steps")} | judged


def table(results: dict[str, dict[str, Any]]) -> str:
    """The results as Markdown."""
    names = [str(shape) for shape in SHAPES]
    lines = [
        "| variant | top-1 at positions 1-5 | "
        + " | ".join(f"{name} (no loops)" for name in names)
        + " | parameters |",
        "|---" * (len(names) + 3) + "|",
    ]
    for name, result in results.items():
        top = " ".join(f".{100 * value:02.0f}" for value in result["top1"])
        cells = [
            f"{result['tokens_per_step'][shape]:.2f} ({result['tokens_per_step_no_loops'][shape]:.2f})"
            for shape in names
        ]
        lines.append(f"| {name}: {result['about']} | {top} | {' | '.join(cells)} | {result['parameters'] / 1e6:.1f}M |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True, help="holds the teacher states of this corpus in `teacher`")
    parser.add_argument("--base", help="base model; the default one if left out")
    parser.add_argument("--steps", type=int, default=800)
    parser.add_argument("--variants", default=",".join(VARIANTS))
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/recipe_study.json"))
    chosen = parser.parse_args()
    corpus = load_corpus(chosen.corpus)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    folder = resolve_base(chosen.base)
    base = BaseModel.load(folder.path, device=device, dtype=torch.bfloat16, kernels=kernel_set("auto", device))
    results = json.loads(chosen.out.read_text())["results"] if chosen.out.exists() else {}
    for name in chosen.variants.split(","):
        run = chosen.work / "study" / name
        results[name] = measure(VARIANTS[name], corpus, chosen.work / "teacher", base, chosen.steps, run)
        print(name, json.dumps(results[name]), flush=True)
        write_json(chosen.out, {"corpus_tokens": corpus.tokens, "results": results})
    print(table(results))


if __name__ == "__main__":
    main()
