"""What the training tests share: a tiny base model, a corpus it wrote, its teacher's states, a drafter in training."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from kernels import kernel_set
from playground.base_model.adapter import BaseModel
from playground.distill.author import Author
from playground.distill.corpus.conversation import CorpusOptions
from playground.distill.corpus.corpus import Corpus, load_corpus
from playground.distill.corpus.turns import ChatTurns
from playground.distill.corpus.writing import write_corpus
from playground.distill.teacher.fill import fill
from playground.distill.teacher.states import StatesInfo, TeacherStates
from playground.distill.training.batches import BatchSource
from playground.distill.training.objective import Objective
from playground.distill.training.recipe import Recipe, assemble, choose_config
from playground.drafter.cell import Drafter
from tests.families import build

KERNELS = kernel_set("reference", torch.device("cpu"))
END = 2
TURNS = ChatTurns(opening=(5, 6, 7), to_assistant=(END, 8, 9), to_user=(END, 8, 5), ends=frozenset({END}))
PLAIN = ChatTurns(ends=frozenset({END}), plain=True)
OPTIONS = CorpusOptions(rows=12, row_tokens=48, shard_rows=6, longest_user_turn=6, sampled_opening=5)


def tiny_base(**overrides: Any) -> BaseModel:
    """A tiny random Llama whose text ends at END only."""
    model = build("llama", **overrides)
    model.config.eos_token_id = model.generation_config.eos_token_id = END
    return BaseModel.from_model(model, kernels=KERNELS)


def write(base: BaseModel, folder: Path, options: CorpusOptions = OPTIONS, **more: Any) -> Corpus:
    turns = more.pop("turns", TURNS)
    with Author(base, turns, "t").writer(more.pop("together", options.shard_rows)) as writer:
        write_corpus(writer, turns, options, folder, about=more.pop("about", {}), **more)
    return load_corpus(folder)


def info_of(base: BaseModel, corpus: Corpus, taps: tuple[int, ...] = (1,)) -> StatesInfo:
    return StatesInfo(base.info().config_hash, corpus.content_hash, corpus.tokens, base.hidden_size, taps)


def teach(base: BaseModel, corpus: Corpus, folder: Path) -> TeacherStates:
    states, done = TeacherStates.create_or_open(folder, info_of(base, corpus))
    with Author(base, TURNS, "t").reader(states.info.taps) as reader:
        fill(reader, corpus, states, done)
    return states


@dataclass(frozen=True)
class Training:
    """A drafter ready to be trained, always from the same weights."""

    base: BaseModel
    corpus: Corpus
    states: TeacherStates
    recipe: Recipe

    def assemble(self) -> tuple[Drafter, BatchSource, Objective]:
        return assemble(self.recipe, self.corpus, self.states, self.base, "tiny")


def training(folder: Path, rows: int = 36) -> Training:
    """Mostly plain text of one tiny model, so that nearly every token teaches."""
    base = tiny_base()
    corpus = write(base, folder / "corpus", replace(OPTIONS, rows=rows, shard_rows=rows), turns=PLAIN)
    config = replace(choose_config(base.info()), draft_vocab_size=64)
    return Training(base, corpus, teach(base, corpus, folder / "teacher"), Recipe(config, batch=64))
