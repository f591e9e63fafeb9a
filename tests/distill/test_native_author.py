"""The native engine as the author: rows are the model's own text whatever stands beside them, states are eager's."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from kernels import kernel_set
from kernels.native import NativeLibrary, NativeModel
from kernels.native.from_transformers import read_spec, read_weights
from playground.base_model.adapter import BaseModel
from playground.base_model.description import model_info
from playground.base_model.native import NativeBase, NativeFacts
from playground.config import BeamShape
from playground.decode.engine import PlainLane
from playground.distill.author import Author
from playground.distill.corpus import native_writing
from playground.distill.corpus.conversation import CorpusOptions
from playground.distill.corpus.corpus import Corpus, load_corpus
from playground.distill.corpus.openings import Openings
from playground.distill.corpus.turns import ChatTurns
from playground.distill.corpus.writing import Shards, write_corpus
from playground.distill.pipeline import Pipeline
from playground.distill.request import TrainRequest
from playground.distill.teacher.fill import fill
from playground.distill.teacher.states import StatesInfo, TeacherStates
from playground.distill.trial import TrialOptions
from playground.progress import Bars, Stopped
from tests.kernels.native.families import build

END = 2
TURNS = ChatTurns(opening=(5, 6, 7), to_assistant=(END, 8, 9), to_user=(END, 8, 5), ends=frozenset({END}))
OPTIONS = CorpusOptions(rows=10, row_tokens=48, shard_rows=4, longest_user_turn=6, sampled_opening=5)
OPENINGS = Openings(((11, 12, 13), (14,) * 20))
FAMILIES = ("llama", "qwen3", "gemma3-mixed", "mistral-sliding", "phi3")


def author_of(library: NativeLibrary, family: str = "llama", format: Any = "int8", turns: ChatTurns = TURNS) -> Author:
    model = build(family)
    model.config.eos_token_id = model.generation_config.eos_token_id = END
    spec = read_spec(model, format)
    info = model_info(model, "tiny", spec.vocabulary)
    packed = NativeModel.of(library, spec, read_weights(model, spec))
    native = NativeBase(packed, NativeFacts(spec, info, (END,), None))
    base = BaseModel.from_model(copy.deepcopy(model), kernels=kernel_set("reference", torch.device("cpu")))
    return Author(base, turns, "t" * 64, native)


def write(
    author: Author, folder: Path, options: CorpusOptions = OPTIONS, together: int | None = None, **more: Any
) -> Corpus:
    with author.writer(together) as writer:
        write_corpus(writer, author.turns, options, folder, about={}, openings=OPENINGS, **more)
    return load_corpus(folder)


def rows(corpus: Corpus) -> list[tuple[list[int], list[bool]]]:
    cuts = zip(corpus.starts[:-1], corpus.starts[1:], strict=True)
    return [(corpus.ids[a:b].tolist(), corpus.assistant[a:b].tolist()) for a, b in cuts]


@pytest.fixture(scope="module")
def author(library: NativeLibrary) -> Author:
    return author_of(library)


@pytest.fixture(scope="module")
def written(author: Author, tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    return write(author, tmp_path_factory.mktemp("native"))


@pytest.mark.parametrize("format", ["int8", "float32"])
@pytest.mark.parametrize("family", FAMILIES)
def test_a_greedy_row_is_plain_decoding(library: NativeLibrary, family: str, format: str, tmp_path: Path) -> None:
    """Bit for bit the same model: the answer up to its end is what the plain lane writes after the same prompt."""
    author, compared = author_of(library, family, format), 0
    corpus = write(author, tmp_path)
    assert corpus.rows == OPTIONS.rows and corpus.greedy[corpus.row % 2 == 0].all()
    for number, (ids, spoken) in enumerate(rows(corpus)):
        begin = spoken.index(True)
        end = next((i for i in range(begin, len(ids)) if not spoken[i]), len(ids))
        lane = PlainLane(author.plain_runner(), end - begin)
        lane.start(ids[:begin])
        while lane.finish_reason is None:
            lane.step()
        if number % 2 == 0:
            assert ids[begin:end] == lane.tokens
            compared += end - begin
    assert compared > 40


def test_sampled_rows_are_not_greedy_and_openings_differ(written: Corpus) -> None:
    found = rows(written)
    assert found[0][0][:9] == [5, 6, 7, 11, 12, 13, END, 8, 9] and found[1][0].count(14) >= 20
    assert len({tuple(ids[3:9]) for ids, _ in found}) == len(found)


def test_rows_do_not_hang_on_what_is_written_beside_them(
    author: Author, written: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for slots, tokens in ((1, 128), (3, 7), (8, 2)):
        monkeypatch.setattr(native_writing, "_MOST_SLOTS", slots)
        monkeypatch.setattr(native_writing, "_MOST_TOKENS", tokens)
        assert write(author, tmp_path / f"{slots}").content_hash == written.content_hash
    other = write(author, tmp_path / "seed", replace(OPTIONS, seed=1))
    assert other.content_hash != written.content_hash


def test_the_eager_writer_writes_the_same(library: NativeLibrary, tmp_path: Path) -> None:
    """In float32 both engines round too little to matter in so small a model: noise and turns are the same."""
    author = author_of(library, format="float32")
    native, eager = write(author, tmp_path / "native"), write(replace(author, native=None), tmp_path / "eager")
    same = native.ids.reshape(OPTIONS.rows, -1) == eager.ids.reshape(OPTIONS.rows, -1)
    assert same.all(1).sum() >= OPTIONS.rows - 1


def test_a_stop_keeps_whole_shards_and_the_rest_is_written_later(
    author: Author, written: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(native_writing, "_MOST_SLOTS", 4)

    def stop_in_second(done: int) -> None:
        if done > 4 * 48 and len(list(tmp_path.glob("rows*"))):
            raise Stopped

    with pytest.raises(Stopped):
        write(author, tmp_path, report=stop_in_second)
    kept = {file.name: file.stat().st_mtime_ns for file in tmp_path.glob("rows*")}
    assert 0 < len(kept) < 3 and load_corpus(tmp_path).rows <= len(kept) * OPTIONS.shard_rows
    told: list[int] = []
    assert write(author, tmp_path, report=told.append).content_hash == written.content_hash
    assert not list(tmp_path.glob("unfinished*"))
    assert all((tmp_path / name).stat().st_mtime_ns == when for name, when in kept.items())


@pytest.mark.parametrize("engine", ["native", "eager"])
def test_unfinished_rows_go_on_where_they_were(author: Author, tmp_path: Path, engine: str) -> None:
    """Broken off again and again, each time after a few forwards: the same rows, and nothing is written twice."""
    one = author if engine == "native" else replace(author, native=None)
    together = OPTIONS.shard_rows  # said, so that no stop falls into measuring how many fit
    whole, calls = write(one, tmp_path / "whole", together=together), 0

    def stop_soon(_done: int) -> None:
        nonlocal calls
        calls += 1
        if calls % 5 == 0:
            raise Stopped

    unfinished, again = [], None
    while again is None:
        try:
            again = write(one, tmp_path / "parts", together=together, report=stop_soon)
        except Stopped:
            unfinished.append((tmp_path / "parts" / "unfinished-0.npz").exists())
    assert sum(unfinished) >= 2 and not (tmp_path / "parts" / "unfinished-0.npz").exists()
    same = (again.ids == whole.ids).reshape(OPTIONS.rows, -1).all(1)
    assert same.all() if engine == "native" else same.sum() >= OPTIONS.rows - 2  # eager rounds by batch


def test_no_row_is_begun_when_time_is_over(author: Author, tmp_path: Path) -> None:
    corpus = write(author, tmp_path, shards=Shards(may_start=lambda shard: shard < 1))
    assert corpus.rows == OPTIONS.shard_rows


def test_progress_is_told_before_a_row_is_full(author: Author, tmp_path: Path) -> None:
    told: list[int] = []
    write(author, tmp_path, report=told.append)
    assert 0 < told[0] < OPTIONS.rows * OPTIONS.row_tokens / 4 and told[-1] == OPTIONS.rows * OPTIONS.row_tokens
    assert told == sorted(told)


@pytest.mark.parametrize("family", FAMILIES)
def test_states_are_the_eager_engines(library: NativeLibrary, family: str, tmp_path: Path) -> None:
    author = author_of(library, family, "float32")
    corpus = write(author, tmp_path / "corpus")
    info = StatesInfo("b", corpus.content_hash, corpus.tokens, author.base.hidden_size, (1, 2), top_tokens=8)
    found = []
    for one in (author, replace(author, native=None)):
        states, done = TeacherStates.create_or_open(tmp_path / one.engine, info)
        with one.reader(info.taps) as reader:
            fill(reader, corpus, states, done)
        found.append(states)
    ours, theirs = found
    every = torch.arange(corpus.tokens)
    bfloat16_step = 2.0**-7
    torch.testing.assert_close(
        ours.hidden_states(every).float(), theirs.hidden_states(every).float(), rtol=bfloat16_step, atol=1e-3
    )
    spoken = np.nonzero(corpus.assistant[1:])[0]
    (ids, logp), (their_ids, their_logp) = (one.best_next(torch.from_numpy(spoken)) for one in found)
    assert (ids.sort(-1).values == their_ids.sort(-1).values).float().mean() > 0.99
    torch.testing.assert_close(logp.sort(-1).values, their_logp.sort(-1).values, rtol=2e-3, atol=2e-3)


def test_the_whole_run_on_the_native_engine(author: Author, tmp_path: Path) -> None:
    trial = TrialOptions(prompts=3, new_tokens=8, shapes=(BeamShape(1, 2), BeamShape(2, 3)))
    asked = TrainRequest(out=tmp_path / "mine", rows=20, row_tokens=48, steps=12, places=32, trial=trial)
    plain = replace(author, turns=ChatTurns(plain=True, ends=frozenset({END})))
    calls = 0

    def stop() -> bool:
        nonlocal calls
        calls += 1
        return calls == 9

    with pytest.raises(Stopped):
        Pipeline(plain, asked, Bars(silent=True, stop=stop)).run()
    made = Pipeline(plain, asked, Bars(silent=True)).run()
    assert made.trial.prompts == 3 and made.facts.dtype == "native int8" and "native int8" in _card(made.folder)
    assert all(1.0 <= one.acceptance.tokens_per_step <= one.shape.length + 1 for one in made.trial.shapes)


def _card(folder: Path) -> str:
    return (folder / "README.md").read_text()
