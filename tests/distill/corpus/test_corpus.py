"""Corpora: written as the model would speak, in its chat's turns, resumable, seeded, refused where they do not fit."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from playground.base_model.adapter import BaseModel
from playground.config import PlaygroundError
from playground.distill.author import Author
from playground.distill.corpus.corpus import HELD_OUT_EVERY, Corpus, load_corpus, require_corpus_of
from playground.distill.corpus.eager_writing import EagerWriter
from playground.distill.corpus.openings import Openings, Shares
from playground.distill.corpus.repetition import Repetition
from playground.distill.corpus.rows_cache import rows_cache
from playground.distill.corpus.turns import ChatTurns, chat_turns
from playground.distill.corpus.writing import Shards, write_corpus
from playground.figures.loops import looped
from playground.progress import Stopped
from playground.sources.tokenizer import Tokenizer
from tests.distill.small import END, KERNELS, OPTIONS, TURNS, tiny_base, write
from tests.families import build
from tests.tiny import write_base
from tests.toy_tokenizers import byte_level_tokenizer


@pytest.fixture(scope="module")
def base() -> BaseModel:
    return tiny_base()


@pytest.fixture(scope="module")
def written(base: BaseModel, tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    return write(base, tmp_path_factory.mktemp("corpus"))


def rows(corpus: Corpus) -> list[tuple[list[int], list[bool]]]:
    cuts = zip(corpus.starts[:-1], corpus.starts[1:], strict=True)
    return [(corpus.ids[a:b].tolist(), corpus.assistant[a:b].tolist()) for a, b in cuts]


def next_greedy(base: BaseModel, ids: list[int]) -> list[int]:
    """The base model's best next token after every prefix, by one direct forward."""
    with base.stock() as model, torch.inference_mode():
        return model(input_ids=torch.tensor([ids]), use_cache=False).logits[0].argmax(-1).tolist()


def test_rows_follow_the_chat(written: Corpus) -> None:
    turned = 0
    for ids, spoken in rows(written):
        assert ids[: len(TURNS.opening)] == list(TURNS.opening)
        assert not any(spoken[: len(TURNS.opening)])
        starts = [i for i in range(1, len(ids)) if spoken[i] and not spoken[i - 1]]
        for start in starts:
            assert ids[start - len(TURNS.to_assistant) : start] == list(TURNS.to_assistant)
        for i in range(len(ids) - len(TURNS.to_user)):
            if spoken[i] and ids[i] == END:  # the assistant's end of turn is its own word; what follows is not
                assert ids[i : i + len(TURNS.to_user)] == list(TURNS.to_user)
                assert not any(spoken[i + 1 : i + len(TURNS.to_user)])
                turned += 1
    assert turned or written.assistant.any()


def test_a_user_who_rambles_is_interrupted(written: Corpus) -> None:
    first = [spoken.index(True) for _, spoken in rows(written)]
    assert max(first) <= len(TURNS.opening) + OPTIONS.longest_user_turn + len(TURNS.to_assistant)


def test_greedy_rows_are_the_models_own_greedy_text(base: BaseModel, written: Corpus) -> None:
    compared = 0
    for number, (ids, spoken) in enumerate(rows(written)):
        agree = [ids[i] == best for i, best in enumerate(next_greedy(base, ids)[:-1], 1) if spoken[i]]
        if number % 2 == 0:
            assert all(agree)
            compared += len(agree)
        else:
            assert not all(agree)
    assert compared > 50
    assert written.greedy[written.row % 2 == 0].all() and not written.greedy[written.row % 2 == 1].any()


def test_plain_texts_where_there_is_no_chat(base: BaseModel, tmp_path: Path) -> None:
    corpus = write(base, tmp_path, turns=ChatTurns(plain=True))
    openings = set()
    for ids, spoken in rows(corpus):
        assert ids[0] == 1 and spoken.index(True) == 2 + OPTIONS.sampled_opening
        openings.add(tuple(ids[: OPTIONS.sampled_opening]))
    assert len(openings) == corpus.rows  # greedy rows too: their openings are sampled


def test_prompts_open_the_first_rows(base: BaseModel, tmp_path: Path) -> None:
    corpus = write(base, tmp_path, openings=Openings(((11, 12, 13), (14,) * 1000)))
    first, second, third = (ids for ids, _ in rows(corpus)[:3])
    assert first[:9] == [*TURNS.opening, 11, 12, 13, *TURNS.to_assistant]
    assert second.count(14) >= OPTIONS.row_tokens // 2 and second[3:27] == [14] * 24
    assert third[3:6] != [11, 12, 13]


def spelled(text: str) -> list[int]:
    """Six ids that hang on the text and end no turn."""
    digits = hashlib.sha256(text.encode()).digest()
    return [10 + digit % 80 for digit in digits[:6]]


def test_composed_requests_open_the_rows(base: BaseModel, tmp_path: Path) -> None:
    openings = Openings(((11, 12, 13),), spelled)
    written = [ids for ids, _ in rows(write(base, tmp_path, openings=openings))]
    said = openings.of(range(OPTIONS.rows), OPTIONS.seed, OPTIONS.longest_prompt)
    assert written[0][3:6] == [11, 12, 13] and not all(said) and sum(map(bool, said)) > OPTIONS.rows // 2
    for ids, asked in zip(written, said, strict=True):
        if asked:
            opening = [*TURNS.opening, *asked[0], *TURNS.to_assistant]
            assert ids[: len(opening)] == opening
    with pytest.raises(PlaygroundError, match="requests = "):
        write(base, tmp_path, openings=Openings(((11, 12, 13),)))


def test_composed_follow_ups_come_next(base: BaseModel, tmp_path: Path) -> None:
    """After each answer's end the next composed turn is said; when they are used up, the model's own."""
    turns = replace(TURNS, ends=frozenset({END, *range(10, 97)}))  # nearly every token ends a turn
    openings = Openings(encode=spelled, shares=Shares(own=0, follow_ups=1))
    options = replace(OPTIONS, row_tokens=96)
    corpus = write(base, tmp_path, options, openings=openings, turns=turns)
    said = openings.of(range(options.rows), options.seed, options.longest_prompt)
    followed = 0
    for (ids, spoken), asked in zip(rows(corpus), said, strict=True):
        heard = [ids[a:b] for a, b in user_turns(spoken)]
        for turn, words in zip(heard, asked, strict=False):
            if len(turn) >= len(words) + 3:  # not cut off by the row's end
                assert list(words) == turn[-len(words) - 3 : -3] and turn[-3:] == list(TURNS.to_assistant)
                followed += words is not asked[0]
    assert followed > options.rows


@pytest.mark.parametrize("most", [4, 20])
def test_an_assistant_in_circles_is_interrupted(tmp_path: Path, most: int) -> None:
    """A model without attention hears the last token only, so that greedy answers must go round."""
    model = build("llama")
    for layer in model.model.layers:
        torch.nn.init.zeros_(layer.self_attn.o_proj.weight)
    base = BaseModel.from_model(model, kernels=KERNELS)
    options = replace(OPTIONS, row_tokens=96, longest_repetition=most)
    turns = replace(TURNS, ends=frozenset({3}))  # which greedy answers do not meet
    interrupted = 0
    for number, (ids, spoken) in enumerate(rows(write(base, tmp_path, options, turns=turns))):
        for start, stop in user_turns([not flag for flag in spoken]):
            repetition = Repetition()
            lengths = [repetition.add(token) for token in ids[start:stop]]
            assert max(lengths) <= most + 1
            if lengths[-1] == most + 1 and stop + len(TURNS.to_user) <= len(ids):
                assert ids[stop : stop + len(TURNS.to_user)] == list(TURNS.to_user)
                interrupted += number % 2 == 0
    assert interrupted > 3
    with pytest.raises(PlaygroundError, match="longest_repetition = "):
        write(base, tmp_path, replace(options, longest_repetition=most + 1))


def test_repetition_is_what_loops_are() -> None:
    ids = [*np.random.default_rng(3).integers(0, 3, 60).tolist(), *[1, 2, 3, 4, 5] * 6, 9, *[1, 2, 3, 4, 5] * 2]
    repetition = Repetition(4)
    lengths = np.array([repetition.add(token) for token in ids])
    flags = looped(ids, window=4)
    assert (lengths > 0).tolist() == flags.tolist() and lengths.max() > 20
    assert all(lengths[i] == (lengths[i - 1] + 1 if flags[i] else 0) for i in range(1, len(ids)))


def user_turns(spoken: list[bool]) -> list[tuple[int, int]]:
    """From where to where the assistant is silent."""
    starts = [i for i, flag in enumerate(spoken) if not flag and (i == 0 or spoken[i - 1])]
    stops = [i for i, flag in enumerate(spoken) if flag and i and not spoken[i - 1]]
    return list(zip(starts, [*stops, len(spoken)], strict=False))


@pytest.mark.parametrize("family", ["llama", "gpt2", "gemma3-mixed", "mistral-sliding", "deepseek-v3"])
def test_rows_see_what_was_written_and_no_more(family: str) -> None:
    """Token by token over the rows' cache, as one forward over the whole rows; windows included."""
    model = build(family)
    ids = torch.randint(3, model.config.get_text_config().vocab_size, (3, 40))
    cache = rows_cache(model.config, ids.shape[1])
    with torch.inference_mode():
        whole = model(input_ids=ids, use_cache=False).logits
        for place in range(ids.shape[1]):
            position = torch.tensor([[place]])
            out = model(input_ids=ids[:, place : place + 1], position_ids=position, past_key_values=cache)
            torch.testing.assert_close(out.logits[:, 0], whole[:, place], rtol=1e-4, atol=1e-4)


def test_seeded_and_resumable(base: BaseModel, written: Corpus, tmp_path: Path) -> None:
    shards: list[int] = []

    def only_first(number: int) -> bool:
        shards.append(number)
        return number == 0

    part = write(base, tmp_path, shards=Shards(may_start=only_first))
    assert part.rows == OPTIONS.shard_rows and shards == [0, 1]
    before = (tmp_path / "rows-00000.npz").stat().st_mtime_ns
    whole = write(base, tmp_path)
    assert whole.content_hash == written.content_hash
    assert (tmp_path / "rows-00000.npz").stat().st_mtime_ns == before
    other = write(base, tmp_path / "other", replace(OPTIONS, seed=1))
    assert other.content_hash != written.content_hash


def test_a_stop_keeps_whole_shards(base: BaseModel, written: Corpus, tmp_path: Path) -> None:
    def stop_in_second(done: int) -> None:
        if done > OPTIONS.shard_rows * OPTIONS.row_tokens:
            raise Stopped

    with pytest.raises(Stopped):
        write(base, tmp_path, report=stop_in_second)
    assert [file.name for file in tmp_path.glob("rows*")] == ["rows-00000.npz"]
    assert write(base, tmp_path).content_hash == written.content_hash


def test_out_of_memory_halves_the_batch(
    base: BaseModel, written: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, said = EagerWriter._logits, list[str]()

    def logits(self: EagerWriter, fed: torch.Tensor, place: int, cache: object) -> torch.Tensor:
        if len(fed) > 2 and place > 10:
            raise torch.OutOfMemoryError("no room")
        return real(self, fed, place, cache)

    monkeypatch.setattr(EagerWriter, "_logits", logits)
    with Author(base, TURNS, "t").writer(8, said.append) as writer:
        write_corpus(writer, TURNS, OPTIONS, tmp_path, about={})
    assert said == [f"Out of memory with {n} rows together: writing {n // 2} together from now on." for n in (8, 4)]
    same = (load_corpus(tmp_path).ids == written.ids).reshape(OPTIONS.rows, -1).all(1)
    assert same.sum() >= OPTIONS.rows - 2  # rounding hangs on the batch
    monkeypatch.setattr("playground.distill.corpus.eager_writing._MEMORY_SHARE", 1e-12)
    with Author(base, TURNS, "t").writer() as writer:
        assert isinstance(writer, EagerWriter) and writer.rows_that_fit(OPTIONS.row_tokens, 8) == 1


def test_rows_together_are_as_many_as_are_done_in_time(base: BaseModel, monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = {8: 0.4, 16: 0.5, 32: 0.9, 64: 1.75}
    monkeypatch.setattr(EagerWriter, "_step_seconds", lambda _self, rows, _tokens, _tick: seconds[rows])
    with Author(base, TURNS, "t").writer() as writer:
        assert isinstance(writer, EagerWriter)
        assert [writer.rows_that_fit(tokens, 8) for tokens in (10, 40, 100)] == [32, 32, 8]
        assert writer.row_seconds == 40


def test_processes_share_the_shards(base: BaseModel, written: Corpus, tmp_path: Path) -> None:
    write(base, tmp_path, shards=Shards(mine=lambda number: number % 2 == 1))
    assert [file.name for file in tmp_path.glob("rows*")] == ["rows-00001.npz"]
    both = write(base, tmp_path, shards=Shards(mine=lambda number: number % 2 == 0))
    assert both.content_hash == written.content_hash


def test_other_settings_are_refused(base: BaseModel, tmp_path: Path) -> None:
    write(base, tmp_path)
    with pytest.raises(PlaygroundError, match="seed = 0, but this one has 3"):
        write(base, tmp_path, replace(OPTIONS, seed=3))


EXPECTED = {"base": "mine", "tokenizer": "t", "hidden_size": 32, "vocab_size": 97}


@pytest.mark.parametrize(
    ("about", "message"),
    [
        ({"base": "theirs", "tokenizer": "u"}, "written by theirs with tokenizer hash u"),
        ({"tokenizer": "t", "hidden_size": 64}, "hidden size 64, but mine has 32"),
        ({"vocab_size": 50}, "vocabulary 50, but mine has 97"),
    ],
)
def test_a_corpus_of_another_model(written: Corpus, about: dict[str, object], message: str, tmp_path: Path) -> None:
    with pytest.raises(PlaygroundError, match=message):
        require_corpus_of(about, written.ids, EXPECTED, tmp_path)


def test_a_corpus_without_description(written: Corpus, tmp_path: Path) -> None:
    require_corpus_of({}, written.ids, EXPECTED, tmp_path)
    with pytest.raises(PlaygroundError, match="holds token 97, but mine knows 97 tokens"):
        require_corpus_of({}, np.array([4, 97]), EXPECTED, tmp_path)


def test_broken_shards_are_named(tmp_path: Path) -> None:
    with pytest.raises(PlaygroundError, match="No corpus at"):
        load_corpus(tmp_path)
    (tmp_path / "rows-00000.npz").write_bytes(b"PK\x03\x04 cut short")
    with pytest.raises(PlaygroundError, match=r"rows-00000\.npz is not a corpus shard"):
        load_corpus(tmp_path)


def test_held_out_rows_and_first_tokens(written: Corpus) -> None:
    assert set(written.row[written.held_out]) == {row for row in range(written.rows) if row % HELD_OUT_EVERY == 0}
    part = written.first(5 * OPTIONS.row_tokens + 7)
    assert part.rows == 5 and part.tokens == 5 * OPTIONS.row_tokens
    assert part.content_hash != written.content_hash and written.first(10**9) is written
    assert written.first(1).rows == 1


def test_looped_tokens_against_their_definition() -> None:
    generator = np.random.default_rng(0)
    ids = np.concatenate([generator.integers(0, 3, 40), np.arange(12) % 4, np.arange(30) % 4])
    flags = looped(ids, window=4)
    for place in range(len(ids)):
        before = ids[place - 4 : place].tolist() if place >= 4 else None
        earlier = [ids[start : start + 4].tolist() for start in range(max(0, place - 4))]
        assert flags[place] == (before is not None and before in earlier)
    assert flags.any() and not flags.all()


def test_turns_read_off_the_chat_template() -> None:
    tokenizer = Tokenizer(byte_level_tokenizer())
    turns = chat_turns(tokenizer, frozenset({0}))
    start, end = tokenizer.encode_words("<|start|>"), tokenizer.encode_words("<|end|>")
    assert tokenizer.decode(turns.opening) == "<|start|>user\n"
    assert tokenizer.decode(turns.to_assistant) == "<|end|>\n<|start|>assistant\n"
    assert tokenizer.decode(turns.to_user) == "<|end|>\n<|start|>user\n"
    assert turns.ends == frozenset(end) and turns.opening[0] == start[0]
    assert chat_turns(tokenizer, frozenset({7}), plain=True) == ChatTurns(ends=frozenset({7}), plain=True)


def test_a_template_that_hides_its_turns() -> None:
    toy = byte_level_tokenizer()
    toy.chat_template = "{{ messages | length }}"
    with pytest.raises(PlaygroundError, match="does not show the turns"):
        chat_turns(Tokenizer(toy), frozenset({0}))


def test_no_template_means_plain_text(tmp_path: Path) -> None:
    tokenizer = Tokenizer.load(write_base(tmp_path, chat=False))
    assert chat_turns(tokenizer, frozenset({9})).plain


def test_description_that_is_no_json(base: BaseModel, tmp_path: Path) -> None:
    write(base, tmp_path, about={"base": "me"})
    assert json.loads((tmp_path / "corpus.json").read_text())["base"] == "me"
    (tmp_path / "corpus.json").write_text("{")
    with pytest.raises(PlaygroundError, match=r"corpus\.json cannot be read"):
        load_corpus(tmp_path)
