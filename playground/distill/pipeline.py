"""One command for any base model: corpus, teacher states, drafter, checkpoint, trial, model card.

Every stage takes up where an earlier run left it: shards and teacher batches already there are kept, training goes
on from its last state, and what was decided from a measured rate stands in the plan. Knows no terminal and no
session.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch

from playground.base_model.adapter import BaseModel
from playground.config import PlaygroundError
from playground.distill.allowance import Allowance
from playground.distill.author import Author, device_name
from playground.distill.card import CardFacts, write_card
from playground.distill.corpus.conversation import CorpusOptions
from playground.distill.corpus.corpus import Corpus, load_corpus, require_corpus_of
from playground.distill.corpus.self_written import ENDLESS_ROWS, tokens_in, write_own_corpus
from playground.distill.disk import explain_full_disk
from playground.distill.pace import Pace, require_a_batch
from playground.distill.plan import Plan, Stage
from playground.distill.request import TrainRequest, sizes_for
from playground.distill.teacher.fill import fill
from playground.distill.teacher.states import StatesInfo, TeacherStates
from playground.distill.training.loop import TrainProgress, train, trained_steps
from playground.distill.training.processes import Processes
from playground.distill.training.recipe import (
    Recipe,
    assemble,
    config_for,
    coverage,
    taught_vocabulary,
)
from playground.distill.trial import Decoding, Trial, TrialOptions, held_out_prompts, opening_prompts, try_drafter
from playground.drafter.cell import Drafter
from playground.drafter.config import DrafterConfig
from playground.drafter.file import load_drafter, save_drafter
from playground.progress import Bars

_TRIAL_ROW = 192  # tokens of a row that is written for its prompt alone


@dataclass(frozen=True)
class Made:
    """A finished drafter and what it is worth."""

    folder: Path
    drafter: Drafter  # bound to the base model
    trial: Trial
    log: list[dict[str, Any]]
    facts: CardFacts


class Pipeline:
    """The stages of one run, in order. Make one and call `run`."""

    def __init__(self, author: Author, request: TrainRequest, bars: Bars) -> None:
        self.author, self.base, self.request, self.bars = author, author.base, request, bars
        self.processes = Processes.launched(self.base.device)
        self.sizes = sizes_for(self.base.device, self.base.info().parameters)
        self.work = request.work or request.out / "work"
        config = config_for(self.base, request.start, request.draft_vocabulary, apple_format=request.apple_format)
        start = str(request.start.resolve()) if request.start else None
        self.recipe = Recipe(config, batch=request.places or self.sizes.places, seed=request.seed, start=start)
        settings = {
            "base": weights_fingerprint(self.base),
            "engine": author.engine,
            "corpus": str(request.corpus.resolve()) if request.corpus else None,
            **request.openings.settings,
            "rows": request.rows,
            "max_tokens": request.max_tokens,
            "recipe": asdict(self.recipe) | {"config": self.recipe.config.to_json()},
        }
        self.plan = Plan.open(self.work / "plan.json", settings)
        self.processes.wait()  # nobody writes the plan before all have read it
        self.allowance = Allowance(author, request, self.sizes, self.plan, bars.say, tick=bars.look)
        self.allowance.taps = self.recipe.config.context_layers
        self.pace = Pace(self.allowance, self.plan, bars, self._save)

    def run(self) -> Made:
        """Do what is still to be done.

        Raises:
            PlaygroundError: a corpus or folder of another model or run, a full disk, a loss that is not a number.
            Stopped: on request; the same call goes on later.
        """
        with explain_full_disk(self.request.out):
            corpus = self._corpus()
            corpus, states = self._teacher(corpus)
            if self.plan.trial is None:
                self._prompts(corpus, self._trial_options())  # before training, which gets the rest of the time
            log = self._training(corpus, states)
            drafter = load_drafter(self.request.out)
            trial = self._trial(corpus, drafter)
            facts = self._facts(corpus, drafter.bind(self.base), trial, log)
            if self.processes.main:
                write_card(self.request.out, facts)
            self.processes.wait()
        return Made(self.request.out, drafter, trial, log, facts)

    @property
    def learning_rate(self) -> float:
        return self.request.learning_rate or self.sizes.learning_rate

    def _corpus(self) -> Corpus:
        """The corpus given, or one the base model writes now."""
        request, plan = self.request, self.plan
        folder = request.corpus or self.work / "corpus"
        if request.corpus is None and plan.corpus_tokens is None:
            self._write(folder)
        corpus = load_corpus(folder)
        require_corpus_of(corpus.about, corpus.ids, self.author.about, folder)
        corpus = corpus.first(plan.corpus_tokens or request.max_tokens or corpus.tokens)
        if plan.corpus_tokens is None:
            plan.corpus_tokens = corpus.tokens
            self._save()
        return corpus

    def _write(self, folder: Path) -> None:
        """For its share of the time, or exactly so many rows."""
        options = self.allowance.corpus_options(self.work, self._states_info("", self.allowance.row_tokens))
        write_own_corpus(
            self.author,
            options,
            folder,
            self.bars,
            openings=self.request.openings,
            together=self.request.shard_rows,
            seconds=self.allowance.writing_seconds(),
            spend=lambda seconds, tokens: self._spend("corpus", seconds, tokens),
        )

    def _states_info(self, corpus_hash: str, tokens: int) -> StatesInfo:
        layers = self.recipe.config.context_layers
        return StatesInfo(self.base.info().config_hash, corpus_hash, tokens, self.base.hidden_size, layers)

    def _teacher(self, corpus: Corpus) -> tuple[Corpus, TeacherStates]:
        """The base model's word on every token of the corpus; one process fills it, the others wait.

        Returns:
            The corpus as far as there was time to read it, and the states.
        """
        info, folder = self._states_info(corpus.content_hash, corpus.tokens), self.work / "teacher"
        if self.processes.main:
            corpus = self._fill(corpus, *TeacherStates.create_or_open(folder, info))
            info = self._states_info(corpus.content_hash, corpus.tokens)
        self.processes.wait_until(lambda: _is_full(folder, info))
        states = TeacherStates.open_part(folder, info)
        states.into_memory()
        self.bars.look()
        return corpus, states

    def _fill(self, corpus: Corpus, states: TeacherStates, done: int) -> Corpus:
        if done >= corpus.tokens:
            return corpus
        if self.request.steps is None:
            self.allowance.say_plan(corpus.tokens)
        with (
            self._timed("teacher") as amount,
            self.bars.stage("teacher", corpus.tokens, "tok", done) as report,
            self.author.reader(states.info.taps) as reader,
        ):

            def tell(now: int, _total: int) -> None:
                amount(now - done)
                report(now)

            alone = self.processes.world == 1  # others wait for all of it
            enough = self.allowance.reading_ends() if alone else lambda done: False
            read = fill(reader, corpus, states, done, tell, self.bars.say, enough)
        return corpus if read == corpus.tokens else self._cut(corpus, states, read)

    def _cut(self, corpus: Corpus, states: TeacherStates, tokens: int) -> Corpus:
        """The corpus as far as it was read."""
        self.bars.say(
            f"Reading takes longer than planned: {tokens:,} of {corpus.tokens:,} tokens have to do, so that there is "
            "time to train on them."
        )
        corpus = corpus.first(tokens)
        states.end_at(self._states_info(corpus.content_hash, corpus.tokens))
        self.plan.corpus_tokens = corpus.tokens
        self._save()
        return corpus

    def _training(self, corpus: Corpus, states: TeacherStates) -> list[dict[str, Any]]:
        """Train to the planned step; every checkpoint leaves a drafter in `out`."""
        request, out = self.request, self.work / "training"
        self.recipe = replace(self.recipe, config=self._fitted(corpus))
        self.recipe = self.pace.choose(self.recipe, corpus, states, self.base, self.learning_rate)
        drafter, source, objective = assemble(self.recipe, corpus, states, self.base, request.out.resolve().name)
        require_a_batch(source)
        options, began = self.pace.options(self.learning_rate), trained_steps(out)
        self.bars.look()

        def keep(_entry: dict[str, Any]) -> None:
            save_drafter(drafter, request.out)

        with (
            self._timed("training") as amount,
            self.bars.stage("training", options.steps, "step", began, stops=False) as report,
        ):

            def show(now: TrainProgress) -> None:
                self.bars.note(loss=f"{now.loss:.3f}", places=f"{now.places_per_second:,.0f}/s")
                amount(now.places)
                report(now.step)

            log = train(
                drafter,
                source,
                corpus,
                objective,
                options,
                out,
                show,
                checkpointed=keep,
                stop=self.bars.stop,
                halved=self._halved,
                **({"revise": self.pace.revise} if self.allowance.hours_decide else {}),
            )
        if self.processes.main:
            keep({})  # a run may have been broken off between its last state and the drafter
        self.processes.wait()
        return log

    def _halved(self, places: int) -> None:
        self.bars.say(f"Out of memory with {2 * places} places together: training on {places} at once from now on.")
        self.plan.places, self.recipe = places, replace(self.recipe, batch=places)
        self._save()

    def _fitted(self, corpus: Corpus) -> DrafterConfig:
        """The drafter's config, no larger a draft vocabulary than the corpus can teach unless one was asked for."""
        request, config = self.request, self.recipe.config
        if request.draft_vocabulary is not None or request.start is not None or not config.draft_vocab_size:
            return config
        return replace(config, draft_vocab_size=taught_vocabulary(corpus, config.draft_vocab_size))

    def _trial(self, corpus: Corpus, drafter: Drafter) -> Trial:
        """The real decoders on prompts never trained on; the result of an earlier run of the same weights holds."""
        kept = self.plan.trial
        if kept is not None and kept["weights"] == drafter.hashes[0]:
            return Trial.from_json(kept)
        options = self._trial_options()
        prompts = self._prompts(corpus, options)
        decoders = self.author.decoders(drafter)
        of = {"weights": drafter.hashes[0], "new_tokens": options.new_tokens, "shapes": list(map(str, options.shapes))}
        tried = self.plan.tried or {}
        known = [Decoding.from_json(one) for one in tried["decodings"]] if tried.get("of") == of else []
        kinds = 1 + len(options.shapes)
        known = known[: kinds * len(prompts)]

        def keep(done: Sequence[Decoding]) -> None:
            self.plan.tried = {"of": of, "decodings": [one.to_json() for one in done]}
            self._save()

        with self.bars.stage("trial", kinds * len(prompts), "run", len(known)) as report:
            ends = self.allowance.trial_ends(len(known) // kinds)
            trial = try_drafter(decoders, prompts, options, report, ends, known=known, keep=keep)
        self.plan.trial, self.plan.tried = asdict(trial) | {"weights": drafter.hashes[0]}, None
        self._save()
        return trial

    def _trial_options(self) -> TrialOptions:
        """With as many prompts as the main process has time for: they are written together."""
        return self.processes.of_main(self.allowance.trial_options)

    def _prompts(self, corpus: Corpus, options: TrialOptions) -> list[list[int]]:
        """As many as were asked for: of held-out rows, and where these are too few, of rows written for this alone."""
        count, room = options.prompts or 0, max(1, self.base.window - options.new_tokens)
        prompts = held_out_prompts(corpus, count, room)
        missing = count - len(prompts)
        if missing > 0:
            tokens = min(_TRIAL_ROW, self.base.window)
            more = CorpusOptions(
                rows=missing,
                first_row=ENDLESS_ROWS,
                row_tokens=tokens,
                shard_rows=missing,
                seed=self.request.seed,
                longest_user_turn=tokens // 3,  # the assistant is to speak in every row
            )
            folder = self.work / f"trial-{missing}"
            openings = replace(self.request.openings, given=())
            if tokens_in(folder, more) < missing * tokens:
                write_own_corpus(self.author, more, folder, self.bars, openings=openings, stage="prompts")
            prompts += opening_prompts(load_corpus(folder), missing, room)
        return prompts

    def _facts(self, corpus: Corpus, drafter: Drafter, trial: Trial, log: list[dict[str, Any]]) -> CardFacts:
        about = self.base.info()
        return CardFacts(
            name=self.request.out.resolve().name,
            base=about,
            dtype=self.author.engine,
            device=device_name(self.author),
            drafter=drafter.info(),
            weights_bytes=(self.request.out / "model.safetensors").stat().st_size,
            config=drafter.config,
            recipe=self.recipe,
            learning_rate=self.learning_rate,
            steps=self.plan.steps or 0,
            processes=self.processes.world,
            corpus=corpus,
            coverage=_coverage(corpus, drafter),
            own_corpus=self.request.corpus is None,
            openings=self.request.openings,
            spent=dict(self.plan.spent),
            log=log,
            trial=trial,
            command=self.request.command,
        )

    @contextmanager
    def _timed(self, stage: Stage) -> Iterator[Callable[[int], None]]:
        """Add a stage's time and amount to the plan, also when it is broken off."""
        began, amount = time.perf_counter(), 0

        def note(done: int) -> None:
            nonlocal amount
            amount = done

        try:
            yield note
        finally:
            if amount:
                self._spend(stage, time.perf_counter() - began, amount)

    def _spend(self, stage: Stage, seconds: float, amount: int) -> None:
        self.plan.spend(stage, seconds, amount)
        self._save()

    def _save(self) -> None:
        if self.processes.main:
            self.plan.elapsed = self.allowance.spent_seconds()
            self.plan.save()


def weights_fingerprint(base: BaseModel) -> str:
    """Tells apart models of the same config: a hash of the config and of some rows of the output head."""
    rows = base.embed(torch.arange(min(64, base.vocab_size), device=base.device)).float().cpu()
    return hashlib.sha256(base.info().config_hash.encode() + rows.numpy().tobytes()).hexdigest()[:16]


def _coverage(corpus: Corpus, drafter: Drafter) -> float:
    return 1.0 if drafter.full_ids is None else coverage(corpus, drafter.full_ids.cpu())


def _is_full(folder: Path, info: StatesInfo) -> bool:
    try:
        TeacherStates.open_part(folder, info)
    except (PlaygroundError, OSError, ValueError):
        return False
    return True
