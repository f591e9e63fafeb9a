"""The verbs `distill`, `train` and `average`: a drafter for any base model."""

from __future__ import annotations

import argparse
import shlex
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from playground.cli.author import add_base, opened_then_stoppable
from playground.cli.options import add_json, add_verb
from playground.cli.runs import STOPPED
from playground.cli.terminal import Output, output
from playground.config import PlaygroundError
from playground.files import require_writable

if TYPE_CHECKING:
    from playground.distill.author import Author
    from playground.distill.corpus.openings import Openings
    from playground.distill.pipeline import Made
    from playground.sources.tokenizer import Tokenizer

DISTILL = """Let a base model write a training corpus: both sides of its own conversations, no data set needed.
Shards already in the folder are kept, so the same command resumes where it was stopped, and more --rows add to it."""
TRAIN = """Train a drafter for a base model, in one command: corpus (unless --corpus names one), the base model's own
states, training, trial, model card. The same command resumes where it was stopped. Runs under `accelerate launch`
on several GPUs. Without --hours, --steps and --rows it takes as long as suits the base model's size: on a CPU an hour
up to 140M parameters and 7 hours per billion, on CUDA 6 minutes and 24 more per billion. The plan is printed."""
AVERAGE = """Make one drafter out of several that grew from one training run: the mean of their weights, which often
drafts better than each of them. The model card says what it was made of."""


def add_verbs(verbs: Any) -> None:
    parser = add_verb(verbs, "distill", run_distill, "let a base model write a training corpus")
    parser.description = DISTILL
    parser.add_argument("--out", required=True, type=Path, metavar="DIR", help="folder for the corpus")
    add_base(parser)
    _add_corpus(parser)
    parser.add_argument("--hours", type=float, help="start no row that would not end in time")
    parser.add_argument("--seed", type=int, default=0, help="of the sampled turns")
    add_json(parser)

    parser = add_verb(verbs, "train", run_train, "train a drafter for a base model, in one command")
    parser.description = TRAIN
    parser.add_argument("--out", required=True, type=Path, metavar="DIR", help="folder for the drafter")
    add_base(parser)
    _add_training(parser)
    _add_corpus(parser)
    add_json(parser)

    parser = add_verb(verbs, "average", run_average, "make one drafter out of several of one training run")
    parser.description = AVERAGE
    parser.add_argument("drafters", nargs="+", type=Path, metavar="DIR", help="drafter folders")
    parser.add_argument("--out", required=True, type=Path, metavar="DIR", help="folder for the mean drafter")
    parser.add_argument("--shares", metavar="LIST", help="how much each counts, like 0.4,0.3,0.3 (equally much)")
    add_json(parser)


def _add_corpus(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("corpus")
    group.add_argument("--rows", type=int, metavar="N", help="exactly so many rows of text")
    group.add_argument("--row-tokens", type=int, default=512, metavar="N", help="tokens of a row")
    group.add_argument(
        "--shard-rows", type=int, metavar="N", help="rows of a file, written together (by device; by speed and memory)"
    )
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
    group.add_argument(
        "--disk", type=float, metavar="GB", help="for the base model's states, at most (half of the free)"
    )
    group.add_argument("--from", dest="start", type=Path, metavar="DIR", help="start from this drafter's weights")
    group.add_argument("--draft-vocabulary", type=int, metavar="N", help="tokens to draft from (chosen by size)")
    group.add_argument("--apple-format", action="store_true", help="the paper's drafter as Apple's code reads it")
    group.add_argument("--batch", type=int, metavar="N", help="places of a training batch (by device)")
    group.add_argument("--learning-rate", type=float, metavar="R", help="peak learning rate (by batch)")
    group.add_argument(
        "--trial-prompts", type=int, metavar="N", help="held-out prompts to try the drafter on (by time)"
    )
    group.add_argument("--trial-tokens", type=int, default=96, metavar="N", help="new tokens for each of them")
    group.add_argument("--seed", type=int, default=0, help="of corpus, weights and batches")


def run_distill(chosen: argparse.Namespace) -> int:
    from playground.distill.corpus.conversation import CorpusOptions
    from playground.distill.corpus.corpus import load_corpus
    from playground.distill.corpus.self_written import ENDLESS_ROWS, write_own_corpus
    from playground.distill.disk import explain_full_disk
    from playground.distill.request import sizes_for
    from playground.progress import Bars, Stopped

    if chosen.rows is None and chosen.hours is None:
        raise PlaygroundError("How long should the corpus be? Give --rows, such as 2048, or --hours, such as 0.5.")
    _require_places(chosen.out)
    began, texts = time.perf_counter(), _prompt_texts(chosen.prompts)
    with output(chosen.json) as out, opened_then_stoppable(chosen) as (opened, stop):
        author, openings = opened.author, _openings(chosen, texts, opened.author, opened.tokenizer)
        sizes = sizes_for(author.base.device, author.base.info().parameters)
        options = CorpusOptions(
            rows=ENDLESS_ROWS if chosen.rows is None else chosen.rows,
            row_tokens=min(chosen.row_tokens, author.base.window),
            shard_rows=sizes.shard_rows if chosen.shard_rows is None else chosen.shard_rows,
            seed=chosen.seed,
        )
        limit = None if chosen.hours is None else chosen.hours * 3600 - (time.perf_counter() - began)
        try:
            with explain_full_disk(chosen.out):
                write_own_corpus(
                    author,
                    options,
                    chosen.out,
                    Bars(stop=stop.is_set),
                    openings=openings,
                    together=chosen.shard_rows,
                    seconds=None if limit is None else lambda _rate: limit,
                )
        except Stopped:
            return _stopped()
        corpus = load_corpus(chosen.out)
        spoken = int(corpus.assistant.sum())
        out.result({"corpus": str(chosen.out), "tokens": corpus.tokens, "rows": corpus.rows, "assistant": spoken})
        out.words(f"{chosen.out}: {corpus.rows:,} rows, {corpus.tokens:,} tokens, {spoken:,} of them the assistant's")
    return 0


def run_train(chosen: argparse.Namespace) -> int:
    from playground.distill.pipeline import Pipeline
    from playground.distill.request import TrainRequest
    from playground.distill.training.processes import Processes
    from playground.distill.trial import TrialOptions
    from playground.progress import Bars, Stopped

    _require_places(chosen.out, chosen.work)
    began, texts = time.perf_counter(), _prompt_texts(chosen.prompts)
    with output(chosen.json) as out, opened_then_stoppable(chosen) as (opened, stop):
        author = opened.author
        names = ("out", "work", "corpus", "hours", "steps", "rows", "row_tokens", "shard_rows", "max_tokens")
        request = TrainRequest(
            **{name: getattr(chosen, name) for name in names},
            disk_bytes=None if chosen.disk is None else int(chosen.disk * 1e9),
            draft_vocabulary=chosen.draft_vocabulary,
            apple_format=chosen.apple_format,
            start=chosen.start,
            places=chosen.batch,
            learning_rate=chosen.learning_rate,
            openings=_openings(chosen, texts, author, opened.tokenizer),
            trial=TrialOptions(chosen.trial_prompts, chosen.trial_tokens),
            began=began,
            seed=chosen.seed,
            command=shlex.join(("python", "-m", "playground", *sys.argv[1:])),
        )
        main = Processes.launched(author.base.device).main
        try:
            made = Pipeline(author, request, Bars(silent=not main, stop=stop.is_set)).run()
        except Stopped:
            return _stopped()
        if main:
            _tell_made(out, made)
    return 0


def run_average(chosen: argparse.Namespace) -> int:
    from playground.distill.training.average import average, average_card
    from playground.drafter.file import CARD_FILE, save_drafter
    from playground.files import write_text

    shares = _numbers(chosen.shares) if chosen.shares else None
    if chosen.out.resolve() in [folder.resolve() for folder in chosen.drafters]:
        raise PlaygroundError(f"--out is {chosen.out}, one of the drafters to average. Name another folder.")
    _require_places(chosen.out)
    with output(chosen.json) as out:
        mean = average(chosen.drafters, shares)
        save_drafter(mean, chosen.out)
        write_text(chosen.out / CARD_FILE, average_card(chosen.out, chosen.drafters, shares))
        parameters = mean.info().parameters
        out.result({"drafter": str(chosen.out), "members": len(chosen.drafters), "parameters": parameters})
        out.words(f"Drafter in {chosen.out}: the mean of {len(chosen.drafters)}, {parameters / 1e6:.2f}M parameters")
    return 0


def _require_places(*folders: Path | None) -> None:
    """Refuse places that cannot be written to, before hours are spent.

    Raises:
        PlaygroundError: the place, and what the system says of it.
    """
    for folder in filter(None, folders):
        try:
            require_writable(folder)
        except OSError as error:
            raise PlaygroundError(f"{folder} cannot be written to: {error.strerror}. Name another folder.") from error


def _numbers(text: str) -> list[float]:
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        raise PlaygroundError(
            f"--shares is {text!r}, but must be numbers with commas between, like 0.4,0.3,0.3."
        ) from None


def _openings(chosen: argparse.Namespace, texts: list[str], author: Author, tokenizer: Tokenizer) -> Openings:
    """What the user says in the rows: the prompts given, then composed requests unless the model is to open them."""
    from playground.distill.corpus.openings import Openings

    plain = author.turns.plain
    encode = tokenizer.encode_text if plain else tokenizer.encode_words
    given = tuple(tuple(encode(text)) for text in texts)
    composed = not (plain or chosen.own_openings)
    passages = _passages(chosen.passages, composed, author, tokenizer) if chosen.passages else ()
    return Openings(given, encode if composed else None, passages)


def _passages(folder: Path, composed: bool, author: Author, tokenizer: Tokenizer) -> tuple[str, ...]:
    """Texts to ask about, out of an earlier corpus of this model."""
    from playground.distill.corpus.corpus import load_corpus, require_corpus_of
    from playground.distill.corpus.own_passages import passages_of

    if not composed:
        raise PlaygroundError(
            f"--passages {folder} needs composed requests. Leave out --own-openings and --no-chat-template."
        )
    corpus = load_corpus(folder)
    require_corpus_of(corpus.about, corpus.ids, author.about, folder)
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
