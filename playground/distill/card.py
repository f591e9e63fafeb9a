"""The model card of a trained drafter: README.md in its folder, every figure of it taken from the run's data.

Knows facts and Markdown; measures nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from playground.distill.corpus.corpus import HELD_OUT_EVERY, Corpus
from playground.distill.corpus.openings import Openings
from playground.distill.plan import Spent
from playground.distill.training.objective import DEFAULT_AIM
from playground.distill.training.recipe import Recipe
from playground.distill.trial import Trial
from playground.drafter.config import DEFAULT_COPY_CHANCES, DrafterConfig
from playground.drafter.file import CARD_FILE
from playground.files import write_text
from playground.trace import DrafterInfo, ModelInfo

_CURVE_POINTS = 8


@dataclass(frozen=True)
class CardFacts:
    """All that a card tells."""

    name: str
    base: ModelInfo
    dtype: str
    device: str
    drafter: DrafterInfo
    weights_bytes: int
    config: DrafterConfig
    recipe: Recipe
    learning_rate: float
    steps: int
    processes: int
    corpus: Corpus
    coverage: float  # of held-out assistant tokens by the draft vocabulary
    own_corpus: bool
    openings: Openings
    spent: dict[str, Spent]
    log: list[dict[str, Any]]
    trial: Trial
    command: str


def write_card(folder: Path, facts: CardFacts) -> Path:
    """Write the card beside the weights."""
    file = folder / CARD_FILE
    write_text(file, render(facts))
    return file


def render(facts: CardFacts) -> str:
    """The card as Markdown with front matter."""
    sections = (_opening, _figures, _training_data, _recipe, _rates, _curve, _commands)
    body = "\n\n".join("\n".join(section(facts)) for section in sections)
    return f"---\nbase_model: {facts.base.name}\ntags: [redrafter, speculative-decoding]\n---\n{body}\n"


def _opening(facts: CardFacts) -> Iterator[str]:
    base, config = facts.base, facts.config
    head = "tied to the base model's own output rows" if config.tied_head else "with a projection of its own"
    yield f"# {facts.name}: a recurrent drafter for {base.name}"
    yield ""
    yield (
        f"{facts.drafter.parameters / 1e6:.2f}M parameters ({facts.weights_bytes / 2**20:.1f} MiB) that draft for "
        f"{base.name} ({base.family}, {base.parameters / 1e6:.0f}M parameters, {base.layers} layers, hidden "
        f"{base.hidden_size}, vocabulary {base.vocab_size:,}). The base model checks every drafted token, so the text "
        f"is its own; the drafter decides only how fast it comes."
    )
    yield ""
    yield (
        f"Recurrent cell, {config.num_draft_layers} residual blocks of width {config.exit_dim}, head {head}, "
        f"{config.head_vocab:,} tokens to draft from ({facts.coverage:.1%} of the held-out text)."
    )
    extras = [
        f"the residual stream after layers {', '.join(map(str, config.context_layers))}"
        if config.context_layers
        else "",
        f"the last {config.context_tokens} tokens" if config.context_tokens else "",
        f"what followed the longest match of the last {config.lookup_match} tokens" if config.lookup_tokens else "",
    ]
    if any(extras):
        yield f"Beside the last hidden state it reads {'; '.join(filter(None, extras))}."
    chances = config.copy_chances
    if chances != DEFAULT_COPY_CHANCES:
        yield (
            f"Where 2 tokens of the base model's own text agree with an earlier place, the next is that of the earlier "
            f"place in {chances[2]:.0%} of cases, where 8 agree in {chances[8]:.0%}."
        )
    yield f"Apple's checkpoint format: {'yes' if config.apple_compatible else 'extended by our own keys and tensors'}."


def _figures(facts: CardFacts) -> Iterator[str]:
    trial = facts.trial
    yield "## Tokens per step"
    yield ""
    if not trial.prompts:
        yield "The corpus was too small to hold prompts back, so nothing was measured. Run `evaluate` on a prompt set."
        return
    yield (
        f"Measured with the real decoders, greedily, in {facts.dtype} on {facts.device}: {trial.prompts} prompts of "
        f"conversations never trained on. Plain decoding took {trial.plain_ms:.1f} ms for a token."
    )
    yield ""
    yield "| tree | tokens per step | outside loops | in loops | accepted at position 1, 2, ... | speed-up |"
    yield "|---|---|---|---|---|---|"
    for one in trial.shapes:
        found = one.acceptance
        yield (
            f"| {one.shape} | {found.tokens_per_step:.2f} | "
            f"{found.tokens_per_step_no_loops:.2f} | {found.loop_share:.0%} | {_shares(found.accepted_at)} | "
            f"{one.speedup:.2f} |"
        )
    if not facts.log or not facts.log[-1]["steps"]:
        return
    last = facts.log[-1]
    yield ""
    yield f"Simulated on more held-out greedy text ({last['steps']:,} steps):"
    yield ""
    yield f"- best token right at position 1, 2, ... of a draft fed the true text: {_shares(last['top1'])}"
    for shape, rate in last["tokens_per_step"].items():
        yield f"- {shape}: {rate:.2f} tokens per step, {last['tokens_per_step_no_loops'][shape]:.2f} outside loops"


def _training_data(facts: CardFacts) -> Iterator[str]:
    corpus = facts.corpus
    spoken, held = int(corpus.assistant.sum()), int(corpus.assistant[corpus.held_out].sum())
    yield "## Training data"
    yield ""
    yield (
        f"{corpus.tokens:,} tokens in {corpus.rows:,} rows, {spoken:,} of them the assistant's, "
        f"{corpus.greedy.mean():.0%} in rows written greedily. Every {HELD_OUT_EVERY}st row ({held:,} of the "
        f"assistant's tokens) was held out. {corpus.looped()[corpus.assistant].mean():.0%} of the assistant's tokens "
        f"stand in loops (eight predecessors seen together before); most of those were left out of training."
    )
    if facts.own_corpus:
        yield _written_by(facts.openings)


def _written_by(openings: Openings) -> str:
    """Who wrote the text; given prompts may come from a data set, so nothing is said of none then."""
    said = ["The base model wrote both sides of the text itself"]
    if openings.given:
        said.append(f"{len(openings.given)} given prompts opened the first rows")
    if openings.encode:
        shares = openings.shares
        said.append(
            f"requests composed of templates opened {1 - shares.own:.0%} of the rows, {shares.passages:.0%} with a "
            f"text given and asked about, and went on in {shares.follow_ups:.0%} of those they opened"
        )
        if openings.passages:
            said.append(f"{shares.own_passages:.0%} of the texts given were answers of an earlier corpus")
    if not openings.given:
        said.append("no data set was used")
    return "; ".join(said) + "."


def _recipe(facts: CardFacts) -> Iterator[str]:
    recipe = facts.recipe
    places = facts.steps * recipe.batch * facts.processes
    yield "## Recipe"
    yield ""
    yield (
        f"{facts.steps:,} steps of {recipe.batch * facts.processes} places ({places:,} in all), each unrolled over "
        f"{recipe.unroll} tokens; AdamW, learning rate {facts.learning_rate:g}, linear warm-up and decay; seed "
        f"{recipe.seed}."
        + (f" It began with the weights of the drafter {Path(recipe.start).name}." if recipe.start else "")
    )
    mix = DEFAULT_AIM.mix
    parts = [
        f"{weight:g} x {part}"
        for weight, part in (
            (mix.entropy, "cross-entropy against the base model's own distribution"),
            (mix.acceptance, "-log of the overlap with it"),
        )
        if weight
    ]
    yield f"Loss: {' + '.join(parts)}; step k weighs {DEFAULT_AIM.step_decay:g}^(k-1)."


def _rates(facts: CardFacts) -> Iterator[str]:
    yield "## Rates"
    yield ""
    yield f"On {facts.device}" + (f", {facts.processes} processes:" if facts.processes > 1 else ":")
    yield ""
    units = {"corpus": "tokens written", "teacher": "tokens read by the base model", "training": "places trained"}
    for stage, unit in units.items():
        if stage in facts.spent:
            cost = facts.spent[stage]
            yield f"- {stage}: {cost.amount:,} {unit} in {cost.seconds:,.0f} s, {cost.rate:,.0f} a second"


def _curve(facts: CardFacts) -> Iterator[str]:
    """How the held-out figures grew with training."""
    if not facts.log:
        return
    shapes = list(facts.log[-1]["tokens_per_step"])
    stride = -(-len(facts.log) // _CURVE_POINTS)
    points = facts.log[::-1][::stride][::-1]  # the last one always
    yield "## How it grew"
    yield ""
    yield "| steps | loss | " + " | ".join(f"{shape} (outside loops)" for shape in shapes) + " |"
    yield "|---" * (2 + len(shapes)) + "|"
    for entry in points:
        rates = [
            f"{entry['tokens_per_step'][shape]:.2f} ({entry['tokens_per_step_no_loops'][shape]:.2f})"
            for shape in shapes
        ]
        yield f"| {entry['step']:,} | {entry['loss']:.3f} | {' | '.join(rates)} |"


def _commands(facts: CardFacts) -> Iterator[str]:
    yield "## Command"
    yield ""
    yield "```"
    yield facts.command or "made from Python: playground.distill.pipeline"
    yield "```"


def _shares(values: list[float] | tuple[float, ...]) -> str:
    return " ".join(f".{min(round(100 * value), 99):02d}" if value < 1 else "1" for value in values)
