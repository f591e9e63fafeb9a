"""What was asked for is done, as far as memory and the hours go, and where they do not a line says so."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from playground.distill.allowance import Allowance
from playground.distill.author import Author
from playground.distill.corpus.conversation import Row
from playground.distill.corpus.eager_writing import EagerWriter
from playground.distill.pipeline import Pipeline
from playground.distill.training.batches import Batch
from playground.distill.training.objective import Objective
from playground.drafter.file import CARD_FILE
from playground.progress import Bars
from tests.distill.runs import TRIAL, request, run


def test_a_batch_too_large_for_memory_is_told_kept_and_carded(
    author: Author, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = Objective.__call__

    def short(self: Objective, batch: Batch) -> Any:
        if len(batch.tokens) > 16:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return whole(self, batch)

    monkeypatch.setattr(Objective, "__call__", short)
    asked = request(tmp_path)
    first = Pipeline(author, asked, Bars()).run()
    assert "Out of memory with 32 places together: training on 16 at once from now on." in capsys.readouterr().err
    assert first.facts.recipe.batch == 16 and "12 steps of 16 places" in (first.folder / CARD_FILE).read_text()
    assert json.loads((tmp_path / "work" / "plan.json").read_text())["places"] == 16
    assert run(author, asked).facts.recipe.batch == 16


@pytest.mark.parametrize("shard_rows", [1, 3, 50])
def test_rows_and_shards_are_as_asked(author: Author, tmp_path: Path, shard_rows: int) -> None:
    found = run(author, request(tmp_path, rows=10, shard_rows=shard_rows, places=16))
    files = sorted((tmp_path / "work" / "corpus").glob("rows-*.npz"))
    sizes = [len(np.load(file)["ids"]) for file in files]
    assert found.facts.corpus.rows == sum(sizes) == 10 and found.facts.corpus.tokens == 10 * 48
    assert sizes == [min(shard_rows, 10 - first) for first in range(0, 10, shard_rows)]


def test_rows_of_a_shard_are_written_together_and_no_more(
    author: Author, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    together: list[int] = []
    whole = EagerWriter._batch

    def batch(self: EagerWriter, rows: list[Row], *rest: Any) -> None:
        together.append(len(rows))
        whole(self, rows, *rest)

    monkeypatch.setattr(EagerWriter, "_batch", batch)
    run(author, request(tmp_path, rows=10, shard_rows=3, places=16))
    assert together[:4] == [3, 3, 3, 1]


def test_the_corpus_is_written_fewer_rows_together_where_memory_is_short(
    author: Author, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = EagerWriter._batch

    def batch(self: EagerWriter, rows: list[Row], *rest: Any) -> None:
        if len(rows) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        whole(self, rows, *rest)

    asked = request(tmp_path / "short", rows=10, shard_rows=6, places=16)
    monkeypatch.setattr(EagerWriter, "_batch", batch)
    short = Pipeline(author, asked, Bars()).run()
    assert "Out of memory with 6 rows together: writing 3 together from now on." in capsys.readouterr().err
    monkeypatch.undo()
    assert short.facts.corpus.rows == 10
    plenty = run(author, replace(asked, out=tmp_path / "plenty"))
    assert plenty.facts.corpus.content_hash == short.facts.corpus.content_hash


@pytest.mark.parametrize("prompts", [1, 4])
def test_prompts_are_tried_as_many_as_asked(author: Author, tmp_path: Path, prompts: int) -> None:
    assert run(author, request(tmp_path, trial=replace(TRIAL, prompts=prompts))).trial.prompts == prompts


def test_reading_that_takes_too_long_ends_and_training_goes_on_with_what_was_read(
    author: Author, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The corpus is as long as what was read, now and when the run is taken up again."""
    monkeypatch.setattr(Allowance, "reading_ends", lambda self: lambda done: done >= 480)
    monkeypatch.setattr("playground.distill.teacher.readers.BATCH_TOKENS", {"cpu": 96})
    asked = request(tmp_path)
    first = Pipeline(author, asked, Bars()).run()
    assert "Reading takes longer than planned: 480 of 960 tokens have to do" in capsys.readouterr().err
    assert first.facts.corpus.tokens == 480
    monkeypatch.undo()
    again = run(author, asked)
    assert again.facts.corpus.content_hash == first.facts.corpus.content_hash
    assert again.drafter.hashes == first.drafter.hashes
