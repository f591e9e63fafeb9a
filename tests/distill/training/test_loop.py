"""Training: the loss falls, resuming equals not stopping, what it trains is what decodes, a bad loss stops it."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from playground.base_model.pairing import pair_drafter
from playground.config import BeamShape, PlaygroundError, Sampling
from playground.distill.training import simulate as simulate_module
from playground.distill.training.loop import STATE_FILE, train, trained_steps
from playground.distill.training.objective import StepLoss, unroll
from playground.distill.training.options import TrainOptions
from playground.distill.training.recipe import apple_config, choose_config, count_vocabulary
from playground.distill.training.simulate import accepted_at, held_out_places, shape_name
from playground.drafter.cell import Drafter
from playground.drafter.file import load_drafter, save_drafter
from playground.progress import Stopped
from playground.trace import ModelInfo
from tests.decode.lanes import drafting_run
from tests.distill.small import Training

OPTIONS = TrainOptions(steps=12, learning_rate=3e-3, warmup_steps=2, checkpoint_every=6, shapes=(BeamShape(2, 2),))


def run(tiny: Training, out: Path, options: TrainOptions = OPTIONS, **more: Any) -> Drafter:
    drafter, source, objective = tiny.assemble()
    train(drafter, source, tiny.corpus, objective, options, out, **more)
    return drafter


def same(one: Drafter, other: Drafter) -> bool:
    pairs = zip(one.state_dict().values(), other.state_dict().values(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


@pytest.fixture(scope="module")
def unbroken(tiny: Training, tmp_path_factory: pytest.TempPathFactory) -> Drafter:
    return run(tiny, tmp_path_factory.mktemp("unbroken"))


def test_the_loss_falls(tiny: Training, tmp_path: Path) -> None:
    drafter, source, objective = tiny.assemble()
    seen: list[dict[str, Any]] = []
    options = replace(OPTIONS, steps=120, checkpoint_every=20)
    log = train(drafter, source, tiny.corpus, objective, options, tmp_path, checkpointed=seen.append)
    assert [entry["step"] for entry in log] == [20, 40, 60, 80, 100, 120] and seen == log
    losses = [entry["loss"] for entry in log]
    assert losses[-1] < losses[0] - 0.3 and losses[-1] == min(losses)
    assert (tmp_path / "training.jsonl").read_text().splitlines() == [json.dumps(entry) for entry in log]


def test_resuming_equals_not_stopping(tiny: Training, unbroken: Drafter, tmp_path: Path) -> None:
    def cut_off(_entry: dict[str, Any]) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(tiny, tmp_path, replace(OPTIONS, checkpoint_every=5), checkpointed=cut_off)
    assert trained_steps(tmp_path) == 5
    assert same(run(tiny, tmp_path), unbroken)
    assert same(run(tiny, tmp_path), unbroken)  # nothing is left to do


def test_stopping_on_request_equals_not_stopping(tiny: Training, unbroken: Drafter, tmp_path: Path) -> None:
    with pytest.raises(Stopped):
        run(tiny, tmp_path, stop=lambda: True)
    assert trained_steps(tmp_path) == 1
    assert same(run(tiny, tmp_path), unbroken)


def test_other_seeds_give_other_weights(tiny: Training, unbroken: Drafter, tmp_path: Path) -> None:
    assert not same(run(replace(tiny, recipe=replace(tiny.recipe, seed=5)), tmp_path), unbroken)


def test_a_loss_that_is_no_number_keeps_the_last_checkpoint(tiny: Training, tmp_path: Path) -> None:
    drafter, source, objective = tiny.assemble()
    calls = itertools.count()

    def breaking(batch: Any) -> StepLoss:
        found = objective(batch)
        return found if next(calls) < 8 else StepLoss(found.total * float("nan"), float("nan"))

    with pytest.raises(PlaygroundError, match=r"became nan at step 8.*--learning-rate than 0\.003"):
        train(drafter, source, tiny.corpus, breaking, OPTIONS, tmp_path)  # type: ignore[arg-type]
    assert trained_steps(tmp_path) == 6


def test_weights_that_are_no_numbers_are_not_saved(tiny: Training, tmp_path: Path) -> None:
    drafter, source, objective = tiny.assemble()
    calls = itertools.count()

    def breaking(batch: Any) -> StepLoss:  # the step before a checkpoint: its loss is still finite
        found = objective(batch)
        return found if next(calls) != 11 else StepLoss(found.total * float("inf"), found.value)

    with pytest.raises(PlaygroundError, match="A weight became NaN or infinite at step 12"):
        train(drafter, source, tiny.corpus, breaking, OPTIONS, tmp_path)  # type: ignore[arg-type]
    state = torch.load(tmp_path / STATE_FILE, weights_only=True)
    assert state["step"] == 6 and all(weight.isfinite().all() for weight in state["drafter"].values())


def test_the_trained_cell_is_the_decoding_cell(tiny: Training) -> None:
    drafter, source, _ = tiny.assemble()
    with torch.no_grad():
        for weight in drafter.parameters():  # nothing may hide behind a zero
            weight.add_(0.05 * torch.randn(weight.shape, generator=torch.Generator().manual_seed(weight.numel())))
    places = source.places[:25]
    batch = source.at(places)
    batch = replace(batch, hidden=batch.hidden.float())
    trained = torch.stack([drafter.logits(head) for head in unroll(drafter, batch)])  # [K, B, V']
    ids = source.tokens(torch.arange(tiny.corpus.tokens))
    matched = 0
    for row, place in enumerate(places.tolist()):
        text = ids[int(tiny.corpus.starts[tiny.corpus.row[place]]) : place + 2]  # committed tokens and the root
        state = drafter.start(batch.hidden[row : row + 1], text, torch.tensor(len(text) - 1))
        matched += int(state.on_track)
        for k in range(batch.tokens.shape[1]):
            state, logits = drafter.advance(state, batch.tokens[row, k : k + 1])
            torch.testing.assert_close(logits[0], trained[k, row], rtol=1e-5, atol=1e-5)
    assert matched > 3  # the lookup had something to say


SIMULATED = [
    BeamShape(1, 3, None), BeamShape(4, 2, None), BeamShape(3, 5, None),
    BeamShape(4, 3), BeamShape(3, 2, 40), BeamShape(8, 4, 6), BeamShape(2, 5, 12, copy_tail=False),
]  # fmt: skip


@pytest.mark.parametrize("shape", SIMULATED, ids=shape_name)
def test_simulation_is_what_the_decoder_does(tiny: Training, tmp_path: Path, shape: BeamShape) -> None:
    trained = run(tiny, tmp_path, replace(OPTIONS, steps=60, checkpoint_every=60))
    save_drafter(trained, tmp_path / "drafter", torch.float32)
    drafter = pair_drafter(load_drafter(tmp_path / "drafter"), tiny.base)
    corpus, source = tiny.corpus, tiny.assemble()[1]
    places = held_out_places(corpus, shape.depth, 10_000)
    first = int(places[0])
    stop = int(corpus.starts[corpus.row[first] + 1])
    row = corpus.ids[int(corpus.starts[corpus.row[first]]) : stop].tolist()
    prompt = row[: len(row) - (stop - first) + 1]
    # bfloat16 teacher states would break ties elsewhere: give the simulation what the decoder sees
    with tiny.base.stock() as model, torch.inference_mode():
        out = model(input_ids=torch.tensor([row]), output_hidden_states=True, use_cache=False)
        exact = torch.cat((out.hidden_states[-1][0], out.hidden_states[1][0]), dim=-1)
    source.states = _ExactStates(exact, stop - len(row))  # type: ignore[assignment]
    mine = places[(places >= first) & (places < stop)]
    accepted = dict(zip(mine.tolist(), accepted_at(drafter, source, mine, shape, corpus).tolist(), strict=True))
    lane = drafting_run(tiny.base, drafter, shape, prompt, Sampling(), len(row) - len(prompt))
    assert lane.lane.tokens == row[len(prompt) :]
    place, compared = first, 0
    for step in lane.steps:
        if place not in accepted:
            break
        assert step.accepted == accepted[place]
        place, compared = place + step.accepted + 1, compared + 1
    assert compared >= 5


class _ExactStates:
    """States of one row, unrounded."""

    def __init__(self, states: torch.Tensor, start: int) -> None:
        self.states, self.start = states, start

    def hidden_states(self, index: torch.Tensor) -> torch.Tensor:
        return self.states[index - self.start]


def test_places_outside_loops_weigh_by_their_share() -> None:
    places, looped = torch.arange(6), torch.zeros(12, dtype=torch.bool)
    looped[4:] = True  # the walk: place 0 gains tokens 2 3 4, place 3 gains 5, place 4 gains 6 7
    every, clean, steps = simulate_module._walk(places, torch.tensor([2, 9, 9, 0, 1, 9]), looped)
    assert (every, steps) == (6 / 3, 3)
    assert clean == pytest.approx(2 / (2 / 3))


def test_sizes_follow_the_base_model() -> None:
    def info(h: int, layers: int, parameters: int, vocabulary: int) -> ModelInfo:
        return ModelInfo("m", "llama", parameters, layers, h, vocabulary, 2048, "x")

    small = choose_config(info(576, 30, 134_515_008, 49_152))
    assert (small.draft_vocab_size, small.exit_dim, small.context_layers) == (8192, 1152, (10, 20))
    large = choose_config(info(4096, 32, 8_000_000_000, 128_256))
    assert large.draft_vocab_size == 32_768
    assert choose_config(info(32, 2, 10_000, 97)).draft_vocab_size == 0
    assert apple_config(info(576, 30, 134_515_008, 49_152)).apple_compatible


def test_the_draft_vocabulary_is_what_the_assistant_used_most(tiny: Training) -> None:
    corpus = tiny.corpus
    kept = corpus.ids[corpus.assistant & ~corpus.held_out].tolist()
    chosen = count_vocabulary(corpus, 10, tiny.base.vocab_size).tolist()
    assert chosen == sorted(chosen)
    worst = min(kept.count(token) for token in chosen)
    assert all(kept.count(token) <= worst for token in set(kept) - set(chosen))


def test_apples_shape_can_be_trained(tiny: Training, tmp_path: Path) -> None:
    recipe = replace(tiny.recipe, config=apple_config(tiny.base.info()))
    drafter, source, objective = replace(tiny, recipe=recipe).assemble()
    log = train(drafter, source, tiny.corpus, objective, replace(OPTIONS, steps=60, checkpoint_every=20), tmp_path)
    assert log[-1]["loss"] < log[0]["loss"] - 0.2
    save_drafter(drafter, tmp_path / "apple")
    assert load_drafter(tmp_path / "apple").cut == 50


def test_the_schedule_warms_up_holds_and_decays() -> None:
    options = TrainOptions(steps=100, learning_rate=1.0, warmup_steps=10, decay_share=0.2)
    rates = [options.rate(step) for step in range(100)]
    assert rates[:10] == pytest.approx([(step + 1) / 10 for step in range(10)])
    assert set(rates[10:80]) == {1.0} and rates[90] == pytest.approx(0.5) and rates[99] == pytest.approx(0.05)


def test_batches_are_halved_where_memory_is_short(tiny: Training, tmp_path: Path) -> None:
    """Steps go on with smaller batches, no step is lost, and it is told once a halving."""
    drafter, source, objective = tiny.assemble()
    sizes: list[int] = []

    def short(batch: Any) -> StepLoss:
        if len(batch.tokens) > 20:
            raise torch.OutOfMemoryError("CUDA out of memory")
        sizes.append(len(batch.tokens))
        return objective(batch)

    told: list[int] = []
    log = train(drafter, source, tiny.corpus, short, OPTIONS, tmp_path, halved=told.append)  # type: ignore[arg-type]
    assert told == [32, 16] and sizes == [16] * OPTIONS.steps and log[-1]["step"] == OPTIONS.steps


def test_memory_for_no_batch_at_all_is_said(tiny: Training, tmp_path: Path) -> None:
    drafter, source, _ = tiny.assemble()

    def none(_batch: Any) -> StepLoss:
        raise torch.OutOfMemoryError("CUDA out of memory")

    with pytest.raises(PlaygroundError, match=r"no room in memory to train on 1 places.*smaller --batch"):
        train(drafter, source, tiny.corpus, none, OPTIONS, tmp_path)  # type: ignore[arg-type]


def test_a_checkpoint_that_a_stop_cut_off_is_measured_on_resuming(
    tiny: Training, unbroken: Drafter, tmp_path: Path
) -> None:
    asked = itertools.count()
    with pytest.raises(Stopped):  # at the end of step 6, while its checkpoint is measured
        run(tiny, tmp_path, stop=lambda: next(asked) == 6)
    assert trained_steps(tmp_path) == 6 and not (tmp_path / "training.jsonl").read_text()
    assert same(run(tiny, tmp_path), unbroken)
    entries = [json.loads(line) for line in (tmp_path / "training.jsonl").read_text().splitlines()]
    assert [entry["step"] for entry in entries] == [6, 12] and all(entry["loss"] > 0 for entry in entries)
