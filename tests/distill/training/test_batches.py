"""Batches and the teacher's states: the same whenever asked, never from held-out rows, equal to a direct forward."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from pathlib import Path

import numpy as np
import psutil
import pytest
import torch

from playground.config import PlaygroundError
from playground.distill.author import Author
from playground.distill.corpus.corpus import Corpus
from playground.distill.teacher import states as states_module
from playground.distill.teacher.fill import Read, Reader, fill, idle
from playground.distill.teacher.states import TeacherStates
from playground.distill.training.batches import BatchSource, startable, teacher_rows
from playground.drafter.config import DrafterConfig
from playground.drafter.lookup import look_back
from tests.distill.small import TURNS, Training, info_of, teach


def source_of(tiny: Training, seed: int = 0) -> BatchSource:
    return BatchSource(tiny.corpus, tiny.states, tiny.recipe.config, unroll=5, size=32, seed=seed)


def test_batches_depend_on_seed_and_step_only(tiny: Training) -> None:
    one, other, third = source_of(tiny), source_of(tiny), source_of(tiny, seed=1)
    far = one.steps_per_epoch + 3
    later = one.batch(far)
    for step in (0, 7, far):
        assert torch.equal(one.batch(step).tokens, other.batch(step).tokens)
    assert torch.equal(later.hidden, one.batch(far).hidden)
    assert not torch.equal(one.batch(0).tokens, one.batch(1).tokens)
    assert not torch.equal(one.batch(0).tokens, third.batch(0).tokens)


def test_an_epoch_takes_every_place_once(tiny: Training) -> None:
    source = source_of(tiny)
    seen = torch.cat([source.batch(step).targets[:, 0] - 1 for step in range(source.steps_per_epoch)])
    assert len(seen.unique()) == len(seen) == source.steps_per_epoch * source.size


def test_held_out_rows_are_never_trained_on(tiny: Training) -> None:
    source = source_of(tiny)
    held_out = torch.from_numpy(tiny.corpus.held_out)
    assert held_out.any() and not held_out[source.places].any()
    touched = source.places[:, None] + torch.arange(source.unroll + 2)  # p, the K fed tokens, the last label
    assert not held_out[touched].any()


def test_a_place_and_what_follows_it(tiny: Training) -> None:
    source, ids = source_of(tiny), torch.from_numpy(tiny.corpus.ids.astype(np.int64))
    places = source.places[:40]
    batch = source.at(places)
    for row, place in enumerate(places.tolist()):
        assert batch.tokens[row].tolist() == ids[place + 1 : place + 6].tolist()
        assert batch.labels[row].tolist() == ids[place + 2 : place + 7].tolist()
        start = int(tiny.corpus.starts[tiny.corpus.row[place]])
        config, text = tiny.recipe.config, ids[start : place + 2]  # the row up to the root
        sizes = {"recent": config.context_tokens, "continuation": config.lookup_tokens, "longest": config.lookup_match}
        seen = look_back(text, torch.tensor([len(text) - 1]), **sizes)
        assert torch.equal(batch.seen.recent[row], seen.recent[0])
        assert torch.equal(batch.seen.continuation[row], seen.continuation[0])
        assert batch.seen.match[row] == seen.match[0]


def memory_of_lookbacks(rows: int, width: int, recent: int, ahead: int) -> float:
    """Bytes a token that a source takes beyond its corpus, in a process of its own."""
    torch.set_num_threads(1)
    tokens = rows * width
    ids, row = np.random.default_rng(0).integers(0, 300, tokens), np.repeat(np.arange(rows), width)
    ones = np.ones(tokens, bool)
    corpus = Corpus(ids.astype(np.int32), ones, ones, row.astype(np.int32), np.arange(rows + 1) * width, {}, "made up")
    corpus.looped()
    config = DrafterConfig(300, 8, 8, context_tokens=recent, lookup_tokens=ahead, lookup_match=4, context_dim=8)
    memory = psutil.Process()
    before = memory.memory_info().rss
    source = BatchSource(corpus, None, config, unroll=5, size=32, seed=0)  # type: ignore[arg-type]
    assert len(source.places) > tokens // 2
    return (memory.memory_info().rss - before) / tokens


def test_what_is_looked_back_at_takes_little_memory() -> None:
    recent, ahead = 4, 5
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        taken = pool.apply(memory_of_lookbacks, (500, 512, recent, ahead))
    needed = 4 * (recent + ahead + 1) + 8 + 8  # int32 arrays; the tokens and the places in int64
    assert taken < needed + 200, "rows kept one by one scatter over the heap, hundreds of bytes a token and more"


def test_places_stay_in_their_row_and_turn(tiny: Training) -> None:
    corpus = tiny.corpus
    for place in np.nonzero(startable(corpus, 5))[0]:
        assert corpus.row[place] == corpus.row[place + 6]
        assert corpus.assistant[place + 1] and corpus.assistant[place + 2]


def test_the_states_are_a_direct_forward(tiny: Training) -> None:
    corpus, states = tiny.corpus, tiny.states
    with tiny.base.stock() as model, torch.inference_mode():
        for row in (0, 3, corpus.rows - 1):
            start, stop = int(corpus.starts[row]), int(corpus.starts[row + 1])
            ids = torch.from_numpy(corpus.ids[start:stop].astype(np.int64))[None]
            out = model(input_ids=ids, output_hidden_states=True, use_cache=False)
            hidden = torch.cat((out.hidden_states[-1][0], out.hidden_states[1][0]), dim=-1)
            index = torch.arange(start, stop)
            torch.testing.assert_close(states.hidden_states(index).float(), hidden, rtol=0.01, atol=0.01)
            taught = index[torch.from_numpy(corpus.assistant[start:stop])][1:] - 1
            best, log_probabilities = states.best_next(taught)
            true = out.logits[0][taught - start].log_softmax(-1)
            torch.testing.assert_close(log_probabilities, true.gather(1, best), rtol=0.01, atol=0.01)
            assert torch.equal(best.sort(-1).values, true.topk(best.shape[1]).indices.sort(-1).values)


def test_a_resumed_fill_is_a_whole_fill(tiny: Training, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("playground.distill.teacher.readers.BATCH_TOKENS", {"cpu": 200})
    info = info_of(tiny.base, tiny.corpus)
    states, done = TeacherStates.create_or_open(tmp_path, info)
    assert done == 0

    def break_off(now: int, total: int) -> None:
        assert total == tiny.corpus.tokens
        if now > total // 2:
            raise KeyboardInterrupt

    with Author(tiny.base, TURNS, "t").reader(info.taps) as reader:
        with pytest.raises(KeyboardInterrupt):
            fill(reader, tiny.corpus, states, done, break_off)
        again, done = TeacherStates.create_or_open(tmp_path, info)
        assert tiny.corpus.tokens // 2 < done < tiny.corpus.tokens
        fill(reader, tiny.corpus, again, done)
    whole = teach(tiny.base, tiny.corpus, tmp_path / "whole")
    assert TeacherStates.create_or_open(tmp_path, info)[1] == tiny.corpus.tokens
    for name in ("hidden", "top_ids", "top_log_probabilities"):
        assert np.array_equal(getattr(again, name), getattr(whole, name))
    assert np.array_equal(again.taps[0], whole.taps[0])


def test_out_of_memory_reads_fewer_rows(tiny: Training, tmp_path: Path) -> None:
    info, said = info_of(tiny.base, tiny.corpus), list[str]()
    states, done = TeacherStates.create_or_open(tmp_path, info)

    class Small:
        """Has room for two rows at once."""

        batch_tokens = 48 * 8

        def __init__(self, reader: Reader) -> None:
            self.reader, self.best = reader, reader.best

        def read(self, ids: np.ndarray, tick: Callable[[], None] = idle) -> Read:
            if len(ids) > 2:
                raise RuntimeError("CUDA out of memory")
            return self.reader.read(ids, tick)

    with Author(tiny.base, TURNS, "t").reader(info.taps) as reader:
        fill(Small(reader), tiny.corpus, states, done, say=said.append)
    assert [line[: line.index(":")] for line in said] == [
        "Out of memory with 384 tokens together",
        "Out of memory with 192 tokens together",
    ]
    torch.testing.assert_close(
        states.hidden_states(torch.arange(tiny.corpus.tokens)).float(),
        tiny.states.hidden_states(torch.arange(tiny.corpus.tokens)).float(),
        rtol=2**-6,
        atol=1e-3,
    )


def test_into_memory_reads_the_same(tiny: Training) -> None:
    states = TeacherStates.open_part(tiny.states.folder, tiny.states.info)
    index = torch.tensor([[3, 5], [9, 2]])
    before = states.hidden_states(index)
    assert states.into_memory() and torch.equal(states.hidden_states(index), before)
    assert before.shape == (2, 2, 2 * tiny.base.hidden_size)


@pytest.mark.skipif(not Path("/proc/self/smaps").exists(), reason="only Linux tells how a mapping is read")
def test_where_memory_is_short_nothing_is_read_ahead(tiny: Training) -> None:
    index = torch.arange(0, tiny.corpus.tokens, 5)
    states = TeacherStates(tiny.states.folder, tiny.states.info, "r")
    before, hidden = states.hidden_states(index), str(tiny.states.folder / "hidden.npy")
    assert not states.into_memory(share=0.0) and torch.equal(states.hidden_states(index), before)
    flags, own = [], False
    for line in Path("/proc/self/smaps").read_text().splitlines():
        if "-" in line.split()[0]:
            own = line.endswith(hidden)
        elif own and line.startswith("VmFlags:"):
            flags.append(line.split()[1:])
    assert any("rr" in found for found in flags), "random reads were not announced"


def test_the_teacher_is_renormalised_over_the_draft_vocabulary(tiny: Training) -> None:
    vocabulary = torch.arange(0, tiny.base.vocab_size, 3)
    draft_of = torch.full((tiny.base.vocab_size,), -1)
    draft_of[vocabulary] = torch.arange(len(vocabulary))
    index = torch.from_numpy(np.nonzero(startable(tiny.corpus, 5))[0][:20]) + 1
    teacher = teacher_rows(tiny.states, index, draft_of)
    ids, log_probabilities = tiny.states.best_next(index)
    p = torch.where(ids % 3 == 0, log_probabilities.exp(), 0.0)
    torch.testing.assert_close(teacher.probabilities, p / p.sum(-1, keepdim=True))
    assert torch.equal(vocabulary[teacher.ids][p > 0], ids[p > 0])

    outside = torch.where(ids % 3 != 0, ids, -1).amax(-1)  # a token that can be drafted because it was looked up
    outside[::4] = -1
    with_copies = teacher_rows(tiny.states, index, draft_of, outside)
    p = torch.where((ids % 3 == 0) | (ids == outside[:, None]), log_probabilities.exp(), 0.0)
    torch.testing.assert_close(with_copies.probabilities, p / p.sum(-1, keepdim=True))
    assert bool((with_copies.ids[ids == outside[:, None]] == len(vocabulary)).all()) and bool((outside >= 0).any())


def test_no_room_for_states(tiny: Training, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(states_module, "bytes_needed", lambda info: 10**18)
    with pytest.raises(PlaygroundError, match=r"need 1000000000\.0 GB .* --max-tokens"):
        TeacherStates.create_or_open(tmp_path, info_of(tiny.base, tiny.corpus))


def test_states_of_another_corpus_are_made_anew(tiny: Training, tmp_path: Path) -> None:
    info = info_of(tiny.base, tiny.corpus)
    states, _ = TeacherStates.create_or_open(tmp_path, info)
    states.mark(info.tokens)
    part = tiny.corpus.first(200)
    assert TeacherStates.create_or_open(tmp_path, info_of(tiny.base, part))[1] == 0
    with pytest.raises(PlaygroundError, match="no full teacher states"):
        TeacherStates.open_part(tmp_path, info)
