"""The verbs `distill`, `train`, `average` and `evaluate`: a drafter for any base model, and what it is worth."""

from __future__ import annotations

import argparse
import shlex
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from playground.cli.options import add_json, add_pair, add_sampling, add_verb, sampling_of
from playground.cli.runs import STOPPED, open_session
from playground.cli.terminal import Output, ProgressLine, output, stop_on_interrupt
from playground.config import BeamShape, Message, PlaygroundError, RunRequest

if TYPE_CHECKING:
    from kernels import KernelSet
    from playground.bench.evaluate import ShapeEvaluation
    from playground.distill.corpus.openings import Openings
    from playground.distill.pipeline import Made
    from playground.distill.request import Source
    from playground.figures.acceptance import Acceptance
    from playground.sources.tokenizer import Tokenizer

DISTILL = """Let a base model write a training corpus: both sides of its own conversations, no data set needed.
Shards already in the folder are kept, so the same command goes on where it was stopped, and more --rows grow it."""
TRAIN = """Train a drafter for a base model, in one command: corpus (unless --corpus names one), the base model's own
states, training, trial, model card. The same command goes on where it was stopped. Runs under `accelerate launch`
on several GPUs. Without --hours, --steps and --rows it takes an hour on a CPU and less than ten minutes on CUDA
for the default base model."""
AVERAGE = """Make one drafter out of several that grew from one training run: the mean of their weights, which often
drafts better than each of them. The model card says what it was made of."""
EVALUATE = """Measure a drafter on a prompt set: tokens per step over all tokens and without those inside loops,
acceptance by position and by category."""


def add_verbs(verbs: Any) -> None:
    parser = add_verb(verbs, "distill", run_distill, "let a base model write a training corpus")
    parser.description = DISTILL
    parser.add_argument("--out", required=True, type=Path, metavar="DIR", help="folder for the corpus")
    _add_base(parser)
    _add_corpus(parser)
    parser.add_argument("--shard-rows", type=int, metavar="N", help="rows written together, and lost together")
    parser.add_argument("--hours", type=float, help="start no shard that would not end in time")
    parser.add_argument("--seed", type=int, default=0, help="of the sampled turns")
    add_json(parser)

    parser = add_verb(verbs, "train", run_train, "train a drafter for a base model, in one command")
    parser.description = TRAIN
    parser.add_argument("--out", required=True, type=Path, metavar="DIR", help="folder for the drafter")
    _add_base(parser)
    _add_training(parser)
    _add_corpus(parser)
    add_json(parser)

    parser = add_verb(verbs, "average", run_average, "make one drafter out of several of one training run")
    parser.description = AVERAGE
    parser.add_argument("drafters", nargs="+", type=Path, metavar="DIR", help="drafter folders")
    parser.add_argument("--out", required=True, type=Path, metavar="DIR", help="folder for the mean drafter")
    parser.add_argument("--shares", metavar="LIST", help="how much each counts, like 0.4,0.3,0.3 (equally much)")
    add_json(parser)

    parser = add_verb(verbs, "evaluate", run_evaluate, "measure a drafter on a prompt set, by position and category")
    parser.description = EVALUATE
    parser.add_argument("--prompts", required=True, metavar="FILE", help="Spec-Bench or MT-Bench style JSON lines")
    parser.add_argument("--limit", type=int, metavar="N", help="so many prompts, taken in turn from every category")
    parser.add_argument("--beam-width", type=int, default=BeamShape().width, metavar="W", help="beam width")
    parser.add_argument("--beam-length", type=int, default=BeamShape().length, metavar="L", help="beam length")
    parser.add_argument("--shapes", metavar="LIST", help="several beam shapes in one go, like 8x5,1x3")
    add_sampling(parser.add_argument_group("run"))
    add_pair(parser)
    add_json(parser)


def _add_base(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("base model")
    group.add_argument("--base", metavar="DIR_OR_ID", help="a folder or a hub id (the default pair's)")
    group.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:N or mps")
    group.add_argument(
        "--dtype", default="bfloat16", choices=("bfloat16", "float32", "float16"), help="of the base model's weights"
    )
    group.add_argument("--no-chat-template", action="store_true", help="write plain texts instead of chats")


def _add_corpus(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("corpus")
    group.add_argument("--rows", type=int, metavar="N", help="exactly so many rows of text")
    group.add_argument("--row-tokens", type=int, default=512, metavar="N", help="tokens of a row")
    group.add_argument("--prompts", metavar="FILE", help="JSON lines whose turns open the first rows, one each")
    group.add_argument(
        "--passages",
        type=Path,
        metavar="DIR",
        help="corpus of this model whose answers are given as texts to ask about",
    )
    group.add_argument(
        "--own-openings", action="store_true", help="let the model open the further rows too, without composed requests"
    )


def _add_training(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("training")
    group.add_argument("--hours", type=float, help="for everything together; sizes and steps are chosen to fit")
    group.add_argument("--steps", type=int, metavar="N", help="exactly so many training steps; more than before go on")
    group.add_argument("--corpus", type=Path, metavar="DIR", help="corpus that `distill` wrote, instead of a new one")
    group.add_argument("--max-tokens", type=int, metavar="N", help="use the corpus's first rows up to so many tokens")
    group.add_argument("--work", type=Path, metavar="DIR", help="where what is not the drafter goes (OUT/work)")
    group.add_argument("--from", dest="start", type=Path, metavar="DIR", help="start from this drafter's weights")
    group.add_argument("--draft-vocabulary", type=int, metavar="N", help="tokens to draft from (chosen by size)")
    group.add_argument("--apple-format", action="store_true", help="the paper's drafter as Apple's code reads it")
    group.add_argument("--batch", type=int, metavar="N", help="places of a training batch (by device)")
    group.add_argument("--learning-rate", type=float, metavar="R", help="peak learning rate (by batch)")
    group.add_argument("--trial-prompts", type=int, metavar="N", help="held-out prompts to try the drafter on")
    group.add_argument("--trial-tokens", type=int, default=96, metavar="N", help="new tokens for each of them")
    group.add_argument("--seed", type=int, default=0, help="of corpus, weights and batches")


def run_distill(chosen: argparse.Namespace) -> int:
    from playground.distill.corpus.corpus import load_corpus
    from playground.distill.corpus.generate import DistillOptions
    from playground.distill.corpus.self_written import ENDLESS_ROWS, distill
    from playground.distill.disk import explain_full_disk
    from playground.distill.progress import Bars, Stopped
    from playground.distill.request import sizes_for

    if chosen.rows is None and chosen.hours is None:
        raise PlaygroundError("How long should the corpus be? Give --rows, such as 2048, or --hours, such as 0.5.")
    texts = _prompt_texts(chosen.prompts)
    with output(chosen.json) as out, stop_on_interrupt() as stop:
        source, openings, _ = _open_base(chosen, texts)
        options = DistillOptions(
            rows=ENDLESS_ROWS if chosen.rows is None else chosen.rows,
            row_tokens=min(chosen.row_tokens, source.base.window),
            batch=sizes_for(source.base.device).shard_rows if chosen.shard_rows is None else chosen.shard_rows,
            seed=chosen.seed,
        )
        seconds = None if chosen.hours is None else chosen.hours * 3600
        try:
            with explain_full_disk(chosen.out):
                distill(source, options, chosen.out, Bars(stop=stop.is_set), openings=openings, seconds=seconds)
        except Stopped:
            return _stopped()
        corpus = load_corpus(chosen.out)
        spoken = int(corpus.assistant.sum())
        out.result({"corpus": str(chosen.out), "tokens": corpus.tokens, "rows": corpus.rows, "assistant": spoken})
        out.words(f"{chosen.out}: {corpus.rows:,} rows, {corpus.tokens:,} tokens, {spoken:,} of them the assistant's")
    return 0


def run_train(chosen: argparse.Namespace) -> int:
    from playground.distill.pipeline import Pipeline
    from playground.distill.progress import Bars, Stopped
    from playground.distill.request import TrainRequest, sizes_for
    from playground.distill.training.processes import Processes
    from playground.distill.trial import TrialOptions

    texts = _prompt_texts(chosen.prompts)
    with output(chosen.json) as out, stop_on_interrupt() as stop:
        source, openings, kernels = _open_base(chosen, texts)
        count = chosen.trial_prompts or sizes_for(source.base.device).trial_prompts
        names = ("out", "work", "corpus", "hours", "steps", "rows", "row_tokens", "max_tokens", "draft_vocabulary")
        request = TrainRequest(
            **{name: getattr(chosen, name) for name in names},
            apple_format=chosen.apple_format,
            start=chosen.start,
            places=chosen.batch,
            learning_rate=chosen.learning_rate,
            openings=openings,
            trial=TrialOptions(count, chosen.trial_tokens),
            seed=chosen.seed,
            command=shlex.join(("python", "-m", "playground", *sys.argv[1:])),
        )
        main = Processes.launched(source.base.device).main
        try:
            made = Pipeline(source, request, kernels, Bars(silent=not main, stop=stop.is_set)).run()
        except Stopped:
            return _stopped()
        if main:
            _tell_made(out, made)
    return 0


def run_average(chosen: argparse.Namespace) -> int:
    from playground.distill.training.average import average, average_card
    from playground.drafter.file import CARD_FILE, save_drafter

    shares = _numbers(chosen.shares) if chosen.shares else None
    if chosen.out.resolve() in [folder.resolve() for folder in chosen.drafters]:
        raise PlaygroundError(f"--out is {chosen.out}, one of the drafters to average. Name another folder.")
    with output(chosen.json) as out:
        mean = average(chosen.drafters, shares)
        save_drafter(mean, chosen.out)
        (chosen.out / CARD_FILE).write_text(average_card(chosen.out, chosen.drafters, shares), encoding="utf-8")
        parameters = mean.info().parameters
        out.result({"drafter": str(chosen.out), "members": len(chosen.drafters), "parameters": parameters})
        out.words(f"Drafter in {chosen.out}: the mean of {len(chosen.drafters)}, {parameters / 1e6:.2f}M parameters")
    return 0


def _numbers(text: str) -> list[float]:
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        raise PlaygroundError(
            f"--shares is {text!r}, but must be numbers with commas between, like 0.4,0.3,0.3."
        ) from None


def _open_base(chosen: argparse.Namespace, texts: list[str]) -> tuple[Source, Openings, KernelSet]:
    """The base model on this process's device, with what opens its rows."""
    import torch

    from kernels import kernel_set
    from playground.base_model.adapter import BaseModel
    from playground.distill.corpus.openings import Openings
    from playground.distill.corpus.turns import chat_turns
    from playground.distill.request import Source
    from playground.distill.training.processes import Processes
    from playground.loading import Progress, quiet_transformers, resolve_device
    from playground.sources.catalogue import resolve_base
    from playground.sources.tokenizer import Tokenizer

    wanted = resolve_device(chosen.device)
    device = Processes.launched(wanted).device(wanted)
    line = ProgressLine()
    quiet_transformers()
    try:
        folder = resolve_base(chosen.base, lambda done, text: line(Progress("Finding the base model", done, text)))
        kernels = kernel_set("auto", device)
        base = BaseModel.load(
            chosen.base,
            device=device,
            dtype=getattr(torch, chosen.dtype),
            kernels=kernels,
            progress=lambda done, text: line(Progress("Loading the base model", done, text)),
        )
    finally:
        line.close()
    tokenizer = Tokenizer.load(folder.path)
    turns = chat_turns(tokenizer, base.eos_ids, plain=chosen.no_chat_template)
    encode = tokenizer.encode_text if turns.plain else tokenizer.encode_words
    source = Source(base, turns, tokenizer.fingerprint)
    given = tuple(tuple(encode(text)) for text in texts)
    composed = not (turns.plain or chosen.own_openings)
    passages = _passages(chosen.passages, composed, source, tokenizer) if chosen.passages else ()
    return source, Openings(given, encode if composed else None, passages), kernels


def _passages(folder: Path, composed: bool, source: Source, tokenizer: Tokenizer) -> tuple[str, ...]:
    """Texts to ask about, out of an earlier corpus of this model."""
    from playground.distill.corpus.corpus import load_corpus, require_corpus_of
    from playground.distill.corpus.own_passages import passages_of

    if not composed:
        raise PlaygroundError(
            f"--passages {folder} needs composed requests. Leave out --own-openings and --no-chat-template."
        )
    corpus = load_corpus(folder)
    require_corpus_of(corpus.about, corpus.ids, source.about, folder)
    return passages_of(corpus, lambda ids: tokenizer.decode(ids, skip_special=True), folder)


def _prompt_texts(file: str | None) -> list[str]:
    """First turns of a prompt file, read before anything is loaded: a broken line costs no time."""
    from playground.bench.prompts import read_questions

    return [question.turns[0] for question in read_questions(file)] if file else []


def _stopped() -> int:
    print("Stopped. Everything finished so far is kept: the same command goes on from there.", file=sys.stderr)
    return STOPPED


def _tell_made(out: Output, made: Made) -> None:
    trial, best = made.trial, made.trial.best
    out.result(
        {
            "drafter": str(made.folder),
            "parameters": made.drafter.info().parameters,
            "steps": made.facts.steps,
            "corpus_tokens": made.facts.corpus.tokens,
            "plain_ms_per_token": trial.plain_ms,
            "trial": [
                {"beam_width": one.shape.width, "beam_length": one.shape.length, "speedup": one.speedup}
                | asdict(one.acceptance)
                for one in trial.shapes
            ],
            "best": {"beam_width": best.shape.width, "beam_length": best.shape.length, "speedup": best.speedup},
            "held_out": made.log[-1] if made.log else None,
            "rates": {stage: cost.rate for stage, cost in made.facts.spent.items()},
        }
    )
    out.words(f"Drafter in {made.folder}: {made.drafter.info().parameters / 1e6:.2f}M parameters")
    for one in trial.shapes:
        found = one.acceptance
        out.words(
            f"  beam width {one.shape.width}, length {one.shape.length}: {found.tokens_per_step:.2f} tokens per step "
            f"({found.tokens_per_step_no_loops:.2f} outside loops), predicted speed-up here {one.speedup:.2f}"
        )


def run_evaluate(chosen: argparse.Namespace) -> int:
    from playground.bench.evaluate import evaluate
    from playground.bench.prompts import read_questions, spread
    from playground.distill.progress import Bars

    questions = spread(read_questions(chosen.prompts), chosen.limit)
    shapes = _shapes(chosen.shapes) if chosen.shapes else [BeamShape(chosen.beam_width, chosen.beam_length)]
    messages = (Message("user", questions[0].turns[0]),)
    sampling = sampling_of(chosen)
    request = RunRequest(messages, shapes[0], sampling, chosen.max_new_tokens, race=False)
    with output(chosen.json) as out, stop_on_interrupt() as stop:
        session = open_session(chosen)
        found: list[ShapeEvaluation] = []
        with Bars().stage("evaluate", len(questions) * len(shapes), "prompt", stops=False) as report:
            found.extend(evaluate(session, questions, request, shapes, stop, report))
        if not found:
            return STOPPED
        info = session.info
        settings = {
            "prompts_file": Path(chosen.prompts).name,
            "max_new_tokens": chosen.max_new_tokens,
            **asdict(sampling),
            "base": info.base.name,
            "drafter": info.drafter.name if info.drafter else None,
            "device": info.device,
            "dtype": info.dtype,
        }
        out.result({**_flat(found[0]), **settings, "shapes": [_flat(one) for one in found]})
        for one in found:
            _tell_shape(out, one)
        return 0 if len(found) == len(shapes) and found[-1].finished else STOPPED


def _shapes(text: str) -> list[BeamShape]:
    """'8x5,1x3' as beam shapes.

    Raises:
        PlaygroundError: anything else.
    """
    found = []
    for part in text.split(","):
        width, cross, length = part.strip().lower().partition("x")
        if not (cross and width.isdecimal() and length.isdecimal()):
            raise PlaygroundError(f"{text!r} is no list of beam shapes. Write width x length, like 8x5,1x3.")
        found.append(BeamShape(int(width), int(length)))
    return found


def _flat(one: ShapeEvaluation) -> dict[str, Any]:
    """One shape as JSON: its overall figures beside its settings."""
    figures = asdict(one)
    return {**figures, **figures.pop("overall")}


def _tell_shape(out: Output, one: ShapeEvaluation) -> None:
    out.words(f"\nBeam width {one.beam_width}, length {one.beam_length}; {one.prompts} prompts")
    out.words("category         tokens/step  outside loops  in loops  accepted at 1, 2, ...")
    for name, figures in {**one.categories, "all": one.overall}.items():
        out.words(_row(name, figures))
    overall = one.overall
    out.words(f"accepted by step: {' '.join(map(str, overall.accepted_histogram))} (0, 1, ... tokens)")
    out.words(f"drafting takes {overall.draft_over_verify:.0%} of verifying; {overall.mean_nodes:.1f} nodes a tree")


def _row(name: str, figures: Acceptance) -> str:
    accepted = " ".join(f"{share:.2f}" for share in figures.accepted_at)
    return (
        f"{name:<16} {figures.tokens_per_step:11.2f}  {figures.tokens_per_step_no_loops:13.2f}  "
        f"{figures.loop_share:8.0%}  {accepted}"
    )
