"""The whole command: every stage once, taken up where it was left, refused where it does not fit, told in the card."""

from __future__ import annotations

import errno
import json
import os
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from playground.config import PlaygroundError
from playground.decode.engine import DraftingLane, PlainLane
from playground.distill import pace as pace_module
from playground.distill import pipeline as pipeline_module
from playground.distill.author import Author
from playground.distill.card import render
from playground.distill.corpus.corpus import Corpus
from playground.distill.disk import explain_full_disk
from playground.distill.pipeline import Made
from playground.distill.plan import Plan, Spent
from playground.distill.request import sizes_for
from playground.distill.training.copies import copy_chances
from playground.distill.training.recipe import taught_vocabulary
from playground.distill.trial import Trial, held_out_prompts
from playground.drafter.config import DEFAULT_COPY_CHANCES
from playground.drafter.file import CARD_FILE, load_drafter, read_card
from playground.progress import Stopped
from tests.distill.runs import TRIAL, request, run
from tests.distill.small import Training, tiny_base


@pytest.fixture(scope="module")
def made(author: Author, tmp_path_factory: pytest.TempPathFactory) -> Made:
    return run(author, request(tmp_path_factory.mktemp("run") / "mine"))


def test_a_drafter_a_trial_and_a_card(made: Made, author: Author) -> None:
    loaded = load_drafter(made.folder)
    assert loaded.config == made.drafter.config and loaded.hashes == made.drafter.hashes
    assert loaded.config.copy_chances == copy_chances(made.facts.corpus) != DEFAULT_COPY_CHANCES
    assert made.trial.prompts == TRIAL.prompts == 2 and [one.shape for one in made.trial.shapes] == list(TRIAL.shapes)
    assert all(1.0 <= one.acceptance.tokens_per_step <= one.shape.depth + 1 for one in made.trial.shapes)
    assert made.trial.best.speedup == max(one.speedup for one in made.trial.shapes) > 0
    corpus = json.loads((made.folder / "work" / "corpus" / "corpus.json").read_text())
    assert {name: corpus[name] for name in author.about} == author.about


def test_the_card_is_written_from_the_data(made: Made) -> None:
    card = (made.folder / CARD_FILE).read_text()
    assert card == render(made.facts)
    changed = replace(made.facts, steps=4321, command="another command", base=replace(made.facts.base, name="Other"))
    text = render(changed)
    assert "4,321 steps" in text and "another command" in text and "drafter for Other" in text
    best = made.trial.shapes[1]
    assert f"| {best.shape} | {best.acceptance.tokens_per_step:.2f} |" in card
    assert f"{made.facts.corpus.tokens:,} tokens in 20 rows" in card
    for stage in ("corpus", "teacher", "training"):
        assert f"- {stage}: {made.facts.spent[stage].amount:,} " in card


def test_running_again_repeats_nothing(made: Made, author: Author, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object, **__: object) -> None:
        raise AssertionError("work was repeated")

    for name in ("write_own_corpus", "fill", "try_drafter"):
        monkeypatch.setattr(pipeline_module, name, never)
    for name in ("seconds_per_step", "seconds_per_checkpoint"):
        monkeypatch.setattr(pace_module, name, never)
    monkeypatch.setattr("playground.distill.allowance.measure_rates", never)
    again = run(author, request(made.folder))
    assert again.trial == made.trial and again.drafter.hashes == made.drafter.hashes
    assert again.facts.spent == made.facts.spent


@pytest.mark.parametrize("stop_after", [1, 2, 4, 6])
def test_stopping_anywhere_and_going_on(made: Made, author: Author, tmp_path: Path, stop_after: int) -> None:
    asked = request(tmp_path / "mine")
    calls = 0

    def stop() -> bool:
        nonlocal calls
        calls += 1
        return calls == stop_after

    with pytest.raises(Stopped):
        run(author, asked, stop)
    again = run(author, asked)
    assert again.drafter.hashes == made.drafter.hashes  # the same weights, bit for bit
    assert again.facts.corpus.content_hash == made.facts.corpus.content_hash


@pytest.mark.parametrize("finished", [1, 2, 4])
def test_a_trial_that_was_stopped_goes_on_where_it_was(
    made: Made, author: Author, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, finished: int
) -> None:
    """Of 2 prompts decoded plainly and in 2 shapes; every decoding that was finished is kept, none is made twice."""
    begun = []
    for lane in (PlainLane, DraftingLane):

        class Counted(lane):  # type: ignore[misc, valid-type]
            def start(self, *arguments: Any) -> Any:
                begun.append(self)
                return super().start(*arguments)

        monkeypatch.setattr(f"playground.distill.trial.{lane.__name__}", Counted)
    asked = request(tmp_path / "mine")
    with pytest.raises(Stopped):
        run(author, asked, lambda: len(begun) > finished)
    assert len(begun) == finished + 1
    kept = json.loads((tmp_path / "mine" / "work" / "plan.json").read_text())["tried"]["decodings"]
    assert len(kept) == finished and [one["steps"] is None for one in kept] == [True, False, False, True][:finished]
    again = run(author, asked)
    assert len(begun) == 1 + 2 * 3, "what was finished was decoded again"
    assert json.loads((tmp_path / "mine" / "work" / "plan.json").read_text())["tried"] is None
    assert again.trial.prompts == made.trial.prompts == 2
    for mine, whole in zip(again.trial.shapes, made.trial.shapes, strict=True):
        timeless = {"draft_over_verify": 0.0, "ms_per_token": 0.0}
        assert replace(mine.acceptance, **timeless) == replace(whole.acceptance, **timeless)
        assert mine.speedup > 0 and mine.acceptance.ms_per_token > 0


def test_more_steps_go_on(author: Author, tmp_path: Path) -> None:
    run(author, request(tmp_path))
    more = run(author, request(tmp_path, steps=20))
    assert more.log[-1]["step"] == 20 and more.facts.steps == 20


def test_hours_are_planned_once(author: Author, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pace_module, "seconds_per_step", lambda *_: 0.05)
    monkeypatch.setattr("playground.distill.pace._FEWEST_STEPS", 7)
    asked = request(tmp_path, rows=None, steps=None, hours=8 / 3600)
    first = run(author, asked)
    plan = json.loads((tmp_path / "work" / "plan.json").read_text())
    assert plan["steps"] == first.facts.steps >= 7
    assert plan["spent"]["corpus"]["seconds"] < 8
    monkeypatch.setattr(pace_module, "seconds_per_step", lambda *_: 1e-9)
    again = run(author, asked)
    assert again.facts.steps == first.facts.steps and again.facts.corpus.tokens == first.facts.corpus.tokens


def test_few_steps_take_smaller_batches(author: Author, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where few steps of 256 places would fit, what the hours hold is spent on smaller ones."""
    monkeypatch.setattr(pace_module, "seconds_per_step", lambda _d, source, *_: source.size / 6400)
    monkeypatch.setattr("playground.distill.pace._FEWEST_STEPS", 7)
    asked = request(tmp_path, rows=20, steps=None, places=None, hours=6 / 3600)
    first = run(author, asked)
    plan = json.loads((tmp_path / "work" / "plan.json").read_text())
    assert plan["places"] == 64 == first.facts.recipe.batch and f"{plan['steps']:,} steps of 64 places" in _card(first)
    assert run(author, asked).drafter.hashes == first.drafter.hashes


def _card(made: Made) -> str:
    return (made.folder / CARD_FILE).read_text()


def test_the_draft_vocabulary_is_one_the_corpus_can_teach(made: Made) -> None:
    corpus = made.facts.corpus
    assert taught_vocabulary(corpus, 32_768) == 4096 and taught_vocabulary(corpus, 60) == 60
    row = np.arange(6000, dtype=np.int32) // 48
    flags, starts = np.ones(6000, bool), np.arange(0, 6001, 48)
    varied = Corpus(np.arange(6000, dtype=np.int32), flags, flags, row, starts, {}, "varied")
    assert taught_vocabulary(varied, 32_768) == 8192 and taught_vocabulary(varied, 4096) == 4096


def test_a_given_corpus(author: Author, tiny: Training, tmp_path: Path) -> None:
    folder = tiny.states.folder.parent / "corpus"
    found = run(author, request(tmp_path, corpus=folder, rows=None, max_tokens=600))
    assert not (tmp_path / "work" / "corpus").exists()
    assert found.facts.corpus.tokens == 576 and not found.facts.own_corpus
    assert "wrote both sides" not in read_card(tmp_path)


def test_a_corpus_of_another_model(author: Author, made: Made, tmp_path: Path) -> None:
    other = replace(author, tokenizer_hash="u" * 64)
    with pytest.raises(PlaygroundError, match="tokenizer hash tttttttttttttttt, but"):
        run(other, request(tmp_path, corpus=made.folder / "work" / "corpus", rows=None))


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"seed": 1}, r"recipe\.seed = 0, but this one has 1"),
        ({"rows": 30}, "rows = 20, but this one has 30"),
        ({"apple_format": True}, r"recipe\.config\.\w+ = .*, but this one has"),
    ],
)
def test_a_folder_with_another_run(made: Made, author: Author, more: dict[str, Any], message: str) -> None:
    with pytest.raises(PlaygroundError, match=message):
        run(author, request(made.folder, **more))


def test_training_goes_on_from_an_earlier_drafter(made: Made, author: Author, tmp_path: Path) -> None:
    """One step at a vanishing rate leaves the weights it started from, on a corpus and a vocabulary of its own."""
    more = {"start": made.folder, "steps": 1, "learning_rate": 1e-9, "seed": 3}
    again = run(author, request(tmp_path / "again", **more))
    before, after = load_drafter(made.folder).state_dict(), load_drafter(again.folder).state_dict()
    weights = [name for name in before if name != "draft_vocabulary"]
    assert weights and all(torch.equal(before[name], after[name]) for name in weights)
    assert "began with the weights of the drafter mine" in read_card(again.folder)
    with pytest.raises(PlaygroundError, match=r"recipe\.start = "):
        run(author, request(tmp_path / "again", **more | {"start": None}))


def test_a_start_that_does_not_fit(made: Made, author: Author, tmp_path: Path) -> None:
    with pytest.raises(PlaygroundError, match="Leave out one of the two"):
        request(tmp_path, start=made.folder, apple_format=True)
    with pytest.raises(PlaygroundError, match=r"cannot be read.*Choose a folder"):
        run(author, request(tmp_path, start=tmp_path / "nowhere"))
    other = replace(author, base=tiny_base(hidden_size=48))
    with pytest.raises(PlaygroundError, match="hidden size 32, but"):
        run(other, request(tmp_path, start=made.folder))
    assert not (tmp_path / "work").exists()


def test_a_corpus_too_small_for_a_batch(author: Author, tmp_path: Path) -> None:
    with pytest.raises(PlaygroundError, match=r"places to learn from, but a batch takes 5000.*smaller --batch"):
        run(author, request(tmp_path, places=5000))


@pytest.mark.parametrize(
    "more", [{"steps": 0}, {"rows": 0}, {"hours": 0.0}, {"learning_rate": 2.0}, {"places": -1}], ids=str
)
def test_settings_out_of_range(tmp_path: Path, more: dict[str, Any]) -> None:
    with pytest.raises(PlaygroundError, match="but must"):
        request(tmp_path, **more)


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)),
        RuntimeError("I/O error: No space left on device (os error 28)"),
    ],
    ids=["OSError", "safetensors"],
)
def test_a_full_disk_in_a_sentence(tmp_path: Path, error: Exception) -> None:
    with (
        pytest.raises(PlaygroundError, match=r"is full.*run the same command again"),
        explain_full_disk(tmp_path / "a"),
    ):
        raise error
    with pytest.raises(ValueError, match="something else"), explain_full_disk(tmp_path):
        raise ValueError("something else")


def test_the_plan_is_kept(tmp_path: Path) -> None:
    plan = Plan.open(tmp_path / "plan.json", {"a": 1})
    plan.spend("corpus", 2.0, 100)
    plan.spend("corpus", 3.0, 200)
    plan.steps, plan.cooling, plan.elapsed = 12, (8, 0.5), 7.5
    plan.save()
    again = Plan.open(tmp_path / "plan.json", {"a": 1})
    assert again == plan and again.spent["corpus"] == Spent(5.0, 300) and again.spent["corpus"].rate == 60


def test_cuda_takes_less_than_ten_minutes() -> None:
    size = 135_000_000
    assert sizes_for(torch.device("cuda"), size).hours < 1 / 6 < sizes_for(torch.device("cpu"), size).hours


def test_a_trial_that_takes_too_long_ends_unless_its_prompts_were_asked_for(
    author: Author, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("playground.distill.allowance._PATIENCE", 0.0)
    trial = replace(TRIAL, prompts=None)
    assert run(author, request(tmp_path / "by time", trial=trial)).trial.prompts == 2
    assert run(author, request(tmp_path / "asked", trial=replace(TRIAL, prompts=3))).trial.prompts == 3


def test_prompts_are_held_out_rows_up_to_the_assistant(tiny: Training) -> None:
    (prompt,) = held_out_prompts(tiny.corpus, 5, 100)
    spoken = int(tiny.corpus.assistant.argmax())
    assert prompt == tiny.corpus.ids[:spoken].tolist()
    assert held_out_prompts(tiny.corpus, 5, spoken - 1) == []


def test_a_trial_survives_the_plan(made: Made) -> None:
    assert Trial.from_json(json.loads(json.dumps(asdict(made.trial)))) == made.trial
