"""The captured lanes, run without capture: the eager lanes' text, token for token, on static buffers used again.

With Triton's interpreter in one case, so that the kernels meet the whole loop.
"""

from __future__ import annotations

import dataclasses
import weakref
from typing import Any

import pytest
import torch

from kernels import KernelSet, kernel_set
from playground.base_model.adapter import BaseModel
from playground.config import BeamShape, Sampling
from playground.decode.captured import CapturedDecoder, CapturedPlain, GraphStore
from playground.decode.captured.graphs import Replay, bucket_of, bucket_sizes
from playground.decode.captured.message import Message
from playground.decode.race import race
from playground.drafter.cell import Drafter
from playground.drafter.config import DrafterConfig
from playground.trace import ParityRecord, StepRecord
from tests.decode.lanes import (
    GREEDY,
    KERNELS,
    bytes_of,
    drafting_run,
    plain_run,
    tiny_base,
)

PROMPT = [5, 17, 2, 8, 13, 1, 9]
SAMPLINGS = {"greedy": GREEDY, "hot": Sampling(temperature=1.1, seed=4), "top-p": Sampling(1.2, 12, 0.9, seed=2)}


def drafter_for(base: BaseModel, **overrides: Any) -> Drafter:
    torch.manual_seed(0)
    config = DrafterConfig(20, 32, 64, **{"logit_cut": 0} | overrides)
    drafter = Drafter(config).to(base.dtype).eval().bind(base)
    base.set_taps(drafter.taps)
    return drafter


@pytest.fixture(scope="module")
def base() -> BaseModel:
    return tiny_base("llama", vocab_size=20)


def captured_run(
    base: Any, drafter: Any, shape: BeamShape, sampling: Sampling, new: int, **options: Any
) -> tuple[CapturedDecoder, list[StepRecord]]:
    options = {"kernels": KERNELS, "bytes_of": bytes_of} | options
    lane = CapturedDecoder(base, drafter, shape, sampling, new, **options)
    lane.start(PROMPT)
    steps = []
    while lane.finish_reason is None:
        steps.append(lane.step())
    return lane, steps


def same_but_for_time(got: StepRecord, want: StepRecord) -> None:
    for part in dataclasses.fields(StepRecord):
        mine, theirs = getattr(got, part.name), getattr(want, part.name)
        if part.name == "log_probability":
            assert mine == pytest.approx(theirs, abs=1e-9)
        elif part.name == "picks":
            assert [(pick.node, pick.token, pick.rank) for pick in mine] == [
                (pick.node, pick.token, pick.rank) for pick in theirs
            ]
        elif part.name == "beams":
            assert mine.tokens == theirs.tokens and mine.scores == pytest.approx(theirs.scores)
        elif part.name not in ("ms", "clock_ms"):
            assert mine == theirs, part.name


@pytest.mark.parametrize("sampling", SAMPLINGS.values(), ids=SAMPLINGS.keys())
@pytest.mark.parametrize("shape", [BeamShape(1, 3), BeamShape(8, 3), BeamShape(30, 2)], ids=str)
def test_same_text_and_same_steps_as_eager(base: BaseModel, shape: BeamShape, sampling: Sampling) -> None:
    drafter = drafter_for(base, context_layers=(1,), context_tokens=3, context_dim=8, lookup_tokens=2)
    want = drafting_run(base, drafter, shape, PROMPT, sampling, 40)
    lane, steps = captured_run(base, drafter, shape, sampling, 40)
    assert lane.tokens == want.lane.tokens and lane.finish_reason == want.lane.finish_reason
    if shape.width > 1:
        assert any(step.accepted for step in steps)
    whole = [step for step in want.steps if step.beams.length == shape.length]  # eager shortens the last drafts
    for got, eager in zip(steps, whole, strict=False):
        same_but_for_time(got, eager)


@pytest.mark.parametrize("new", [1, 2, 3, 7])
def test_never_a_token_too_many(base: BaseModel, new: int) -> None:
    lane, steps = captured_run(base, drafter_for(base), BeamShape(6, 4), GREEDY, new)
    assert lane.tokens == plain_run(base, PROMPT, GREEDY, new).tokens and len(lane.tokens) == new
    assert sum(len(step.emitted) for step in steps) == new - 1
    assert lane.finish_reason == "length"


def test_the_window_is_kept(base: BaseModel) -> None:
    short = tiny_base("gpt2", vocab_size=20, n_positions=24, max_position_embeddings=24)
    lane, _ = captured_run(short, drafter_for(short), BeamShape(6, 4), GREEDY, 100)
    assert lane.finish_reason == "window" and len(PROMPT) + len(lane.tokens) == 24
    assert lane.tokens == plain_run(short, PROMPT, GREEDY, 100).tokens


def test_end_of_sequence_ends_both_alike() -> None:
    ending = tiny_base("llama", vocab_size=20, eos=[11, 3])
    for sampling in (Sampling(temperature=1.5, seed=seed) for seed in range(6)):
        want = plain_run(ending, PROMPT, sampling, 60)
        lane, _ = captured_run(ending, drafter_for(ending), BeamShape(16, 3), sampling, 60)
        assert lane.tokens == want.tokens and lane.finish_reason == want.finish_reason


def test_buffers_are_used_again(base: BaseModel) -> None:
    store, drafter = GraphStore(), drafter_for(base)
    texts = [captured_run(base, drafter, BeamShape(4, 3), GREEDY, new, store=store)[0] for new in (30, 12, 30)]
    assert texts[0].tokens == texts[2].tokens and texts[1].tokens == texts[0].tokens[:12]
    assert texts[0].cache is texts[2].cache


@pytest.mark.parametrize("hot", [Sampling(temperature=1.1), Sampling(1.2, 12, 0.9)], ids=["hot", "top-p"])
def test_another_seed_replays_the_same_program(base: BaseModel, hot: Sampling) -> None:
    store, drafter, programs = GraphStore(), drafter_for(base), set()
    for seed in (4, 2**32 - 1, 4):
        sampling = dataclasses.replace(hot, seed=seed)
        want = plain_run(base, PROMPT, sampling, 20).tokens
        lane, _ = captured_run(base, drafter, BeamShape(8, 3), sampling, 20, store=store)
        plain = CapturedPlain(base, sampling, 20, KERNELS, bytes_of, store=store)
        plain.start(PROMPT)
        while plain.finish_reason is None:
            plain.step()
        assert lane.tokens == plain.tokens == want
        programs |= {id(lane.cache), id(plain.cache)}
    assert len(programs) == 2


def test_without_a_record_only_the_judgement_is_missing(base: BaseModel) -> None:
    _, judged = captured_run(base, drafter_for(base), BeamShape(4, 3), GREEDY, 20)
    _, bare = captured_run(base, drafter_for(base), BeamShape(4, 3), GREEDY, 20, record=False)
    assert [step.emitted for step in judged] == [step.emitted for step in bare]
    assert bare[0].rank == () and judged[0].rank != ()


@pytest.mark.parametrize("sampling", SAMPLINGS.values(), ids=SAMPLINGS.keys())
def test_captured_plain_is_plain(base: BaseModel, sampling: Sampling) -> None:
    want = plain_run(base, PROMPT, sampling, 25)
    lane = CapturedPlain(base, sampling, 25, KERNELS, bytes_of)
    lane.start(PROMPT)
    records = [lane.first()]
    while lane.finish_reason is None:
        records.append(lane.step())
    assert lane.tokens == want.tokens == [record.token for record in records]
    assert lane.gaps == pytest.approx(want.gaps)


def test_a_race_of_captured_lanes(base: BaseModel) -> None:
    drafting = CapturedDecoder(base, drafter_for(base), BeamShape(8, 3), GREEDY, 30, KERNELS, bytes_of)
    plain = CapturedPlain(base, GREEDY, 30, KERNELS, bytes_of)
    *_, last = race(drafting, plain, PROMPT, lambda: False)
    assert isinstance(last, ParityRecord) and last.identical


@pytest.fixture
def triton(monkeypatch: pytest.MonkeyPatch) -> KernelSet:
    if torch.cuda.is_available():
        pytest.skip("on a GPU the kernels run for real: tests/gpu")
    monkeypatch.setenv("TRITON_INTERPRET", "1")
    return kernel_set("triton", torch.device("cpu"))


def test_the_whole_loop_on_triton_kernels(triton: KernelSet) -> None:
    """Each kernel is called, and the text is the reference's."""
    called: set[str] = set()

    def counted(name: str) -> Any:
        operation = getattr(triton, name)

        def call(*args: Any, **kwargs: Any) -> Any:
            called.add(name)
            return operation(*args, **kwargs)

        return call

    names = ("tree_attention", "prefix_tree", "beam_topk", "pick", "kv_commit", "walk")
    watched = dataclasses.replace(triton, **{name: counted(name) for name in names})
    model = tiny_base("llama", vocab_size=20)
    want = plain_run(model, PROMPT, GREEDY, 4).tokens
    single = BaseModel.from_model(model._model.float(), kernels=watched)
    lane, _ = captured_run(single, drafter_for(single), BeamShape(3, 2), GREEDY, 4, kernels=watched)
    assert lane.tokens == want
    assert called == set(names)


def test_buckets() -> None:
    assert bucket_sizes(1) == (1,) and bucket_sizes(5) == (1, 5)
    sizes = bucket_sizes(1025)
    assert sizes[-1] == 1025 and list(sizes) == sorted(set(sizes)) and len(sizes) < 30
    for nodes in range(1, 1026):
        bucket = bucket_of(nodes, sizes)
        assert nodes <= bucket <= max(nodes + 7, nodes * 1.34)


def test_message_keeps_its_parts_apart() -> None:
    message = Message({"a": (2, 2), "b": (), "c": (0,)}, torch.int64, torch.device("cpu"))
    message.send({"b": torch.tensor(7), "a": torch.arange(4).view(2, 2).T, "c": torch.empty(0)})
    assert message.parts["a"].tolist() == [[0, 2], [1, 3]] and int(message.parts["b"]) == 7


def test_the_store_lets_the_oldest_go() -> None:
    store, built = GraphStore(places=2), []
    for key in "abacb":
        store.get(key, lambda key=key: built.append(key) or key)
    assert built == ["a", "b", "c", "b"]


def test_what_the_store_lets_go_is_freed() -> None:
    """Programs and their stages refer to each other: without a collection a GPU would hold two where one fits."""

    class Program:
        def __init__(self) -> None:
            self.itself = self

    store = GraphStore(places=1)
    first = weakref.ref(store.get("a", Program))
    store.get("b", Program)
    assert first() is None


def test_a_stage_without_a_gpu_is_the_function() -> None:
    calls: list[int] = []
    stage = Replay(lambda: calls.append(1), torch.device("cpu"))
    stage.prepare()
    assert calls == []
    stage()
    assert calls == [1]
