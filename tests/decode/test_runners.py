"""One loop over two runners: the same records, whether stages are called as they stand or replayed on static buffers.

Without a GPU the replayed stages run uncaptured. With Triton's interpreter in one case, so that the kernels meet the
whole loop.
"""

from __future__ import annotations

import dataclasses
import weakref
from typing import Any

import pytest
import torch

from kernels import KernelSet, kernel_set
from playground.base_model.adapter import BaseModel
from playground.config import BeamShape, NodeBudget, PlaygroundError, Sampling
from playground.decode.decoding import Decoding, Drafting
from playground.decode.direct import DirectRunner
from playground.decode.engine import DraftingLane, PlainLane
from playground.decode.host_copy import HostCopy
from playground.decode.race import race
from playground.decode.records import Beams
from playground.decode.replay import Programs, ReplayedRunner
from playground.decode.replay.graphs import Replay
from playground.decode.replay.program import InPlace, bucket_of, bucket_sizes
from playground.drafter.cell import Drafter
from playground.drafter.config import DrafterConfig
from playground.trace import ParityRecord, StageMs, StepRecord
from tests.decode.lanes import (
    GREEDY,
    MarkovBase,
    Scripted,
    drafting_run,
    mixed,
    opinion_of,
    plain_run,
    right,
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


def replayed_run(
    base: Any, drafter: Any, shape: BeamShape, sampling: Sampling, new: int, programs: Programs | None = None
) -> tuple[DraftingLane, list[StepRecord]]:
    run = drafting_run(base, drafter, shape, PROMPT, sampling, new, lambda what: ReplayedRunner(what, programs))
    return run.lane, run.steps


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
@pytest.mark.parametrize(
    "shape",
    [BeamShape(1, 3, None), BeamShape(8, 3, None), BeamShape(30, 2, None), BeamShape(4, 3), BeamShape(8, 3, 40)],
    ids=str,
)
def test_same_text_and_same_steps_with_a_real_drafter(base: BaseModel, shape: BeamShape, sampling: Sampling) -> None:
    drafter = drafter_for(base, context_layers=(1,), context_tokens=3, context_dim=8, lookup_tokens=2)
    want = drafting_run(base, drafter, shape, PROMPT, sampling, 40)
    if shape.nodes is not None and sampling == GREEDY:  # a greedy text repeats itself soon
        assert any("copy" in step.tree.origin for step in want.steps)
    lane, steps = replayed_run(base, drafter, shape, sampling, 40)
    assert lane.tokens == want.lane.tokens and lane.finish_reason == want.lane.finish_reason
    if shape.width > 1:
        assert any(step.accepted for step in steps)
    for got, direct in zip(steps, want.steps, strict=True):  # the last ones draft less, and alike
        same_but_for_time(got, direct)


@pytest.mark.parametrize("sampling", SAMPLINGS.values(), ids=SAMPLINGS.keys())
@pytest.mark.parametrize("nodes", [None, 24], ids=["beams", "best-first"])
def test_copies_beyond_the_draft_vocabulary(base: BaseModel, nodes: NodeBudget, sampling: Sampling) -> None:
    """Looked-up tokens that the drafter's head lacks are drafted by beams, whatever the tail does."""
    tied = {"draft_vocab_size": 6, "tied_head": True, "lookup_tokens": 4, "context_tokens": 3, "context_dim": 8}
    drafter, shape = drafter_for(base, **tied), BeamShape(4, 3, nodes, copy_tail=False)
    known = set(range(0, 18, 3))
    drafter.draft_vocabulary.copy_(torch.tensor(sorted(known)))
    drafter.bind(base)
    want = drafting_run(base, drafter, shape, PROMPT, sampling, 40)
    lane, steps = replayed_run(base, drafter, shape, sampling, 40)
    assert lane.tokens == want.lane.tokens == plain_run(base, PROMPT, sampling, 40).tokens
    for got, direct in zip(steps, want.steps, strict=True):
        same_but_for_time(got, direct)
    outside = [
        (step, node) for step in steps for node in range(1, step.tree.nodes) if step.tree.token[node] not in known
    ]
    assert len(outside) > 3
    for step, node in outside:
        assert step.tree.origin[node] == "beam" and (nodes is None or step.tree.copied[node] == step.tree.depth[node])


@pytest.mark.parametrize("sampling", SAMPLINGS.values(), ids=SAMPLINGS.keys())
@pytest.mark.parametrize("new", [1, 2, 3, 9, 40])
def test_equal_records_on_scripted_drafters(sampling: Sampling, new: int) -> None:
    """Exactly equal, but for the times: float by float, with an end of sequence that beams run into."""
    base = MarkovBase(torch.randn(24, 24, generator=torch.Generator().manual_seed(3)), eos=(23,))
    truth = [*PROMPT, *plain_run(base, PROMPT, sampling, 40).tokens]
    accepted, ended = 0, 0
    for prefer in (right, mixed, lambda at, token: {**mixed(at, token), 23: 30.0}):
        for shape in (BeamShape(1, 4, None), BeamShape(5, 3, None), BeamShape(30, 2, 24), BeamShape(5, 3, 11)):
            drafter = Scripted(opinion_of(truth, lambda at, token, prefer=prefer: fitted(prefer(at, token)), 24))
            runs = [
                drafting_run(base, drafter, shape, PROMPT, sampling, new, runner)
                for runner in (DirectRunner, ReplayedRunner)
            ]
            direct, replayed = ([timeless(step) for step in run.steps] for run in runs)
            assert direct == replayed
            assert runs[0].lane.tokens == runs[1].lane.tokens == truth[len(PROMPT) :][:new]
            accepted += sum(step.accepted for step in runs[0].steps)
            ended += sum(23 in beam[:-1] for step in runs[0].steps for beam in step.beams.tokens)
    assert (accepted and ended) or new < 9


def fitted(bonus: dict[int, float]) -> dict[int, float]:
    """For a vocabulary of 24."""
    return {token % 24: value for token, value in bonus.items()}


def timeless(step: StepRecord) -> StepRecord:
    return dataclasses.replace(step, ms=StageMs(0.0, 0.0, 0.0, 0.0, 0.0), clock_ms=0.0)


@pytest.mark.parametrize("new", [1, 2, 3, 7])
def test_never_a_token_too_many(base: BaseModel, new: int) -> None:
    lane, steps = replayed_run(base, drafter_for(base), BeamShape(6, 4), GREEDY, new)
    assert lane.tokens == plain_run(base, PROMPT, GREEDY, new).tokens and len(lane.tokens) == new
    assert sum(len(step.emitted) for step in steps) == new - 1
    assert lane.finish_reason == "length"


def test_the_window_is_kept(base: BaseModel) -> None:
    short = tiny_base("gpt2", vocab_size=20, n_positions=24, max_position_embeddings=24)
    lane, _ = replayed_run(short, drafter_for(short), BeamShape(6, 4), GREEDY, 100)
    assert lane.finish_reason == "window" and len(PROMPT) + len(lane.tokens) == 24
    assert lane.tokens == plain_run(short, PROMPT, GREEDY, 100).tokens


def test_end_of_sequence_ends_both_alike() -> None:
    ending = tiny_base("llama", vocab_size=20, eos=[11, 3])
    for sampling in (Sampling(temperature=1.5, seed=seed) for seed in range(6)):
        want = plain_run(ending, PROMPT, sampling, 60)
        lane, _ = replayed_run(ending, drafter_for(ending), BeamShape(16, 3), sampling, 60)
        assert lane.tokens == want.tokens and lane.finish_reason == want.finish_reason


def test_buffers_are_used_again(base: BaseModel) -> None:
    programs, drafter = Programs(), drafter_for(base)
    texts = [replayed_run(base, drafter, BeamShape(4, 3), GREEDY, new, programs)[0] for new in (30, 12, 30)]
    assert texts[0].tokens == texts[2].tokens and texts[1].tokens == texts[0].tokens[:12]
    assert cache_of(texts[0]) is cache_of(texts[2])


def cache_of(lane: Any) -> Any:
    return lane.runner.stages.cache


@pytest.mark.parametrize("hot", [Sampling(temperature=1.1), Sampling(1.2, 12, 0.9)], ids=["hot", "top-p"])
def test_another_seed_replays_the_same_program(base: BaseModel, hot: Sampling) -> None:
    programs, drafter, caches = Programs(), drafter_for(base), set()
    for seed in (4, 2**32 - 1, 4):
        sampling = dataclasses.replace(hot, seed=seed)
        want = plain_run(base, PROMPT, sampling, 20).tokens
        lane, _ = replayed_run(base, drafter, BeamShape(8, 3), sampling, 20, programs)
        plain = plain_run(base, PROMPT, sampling, 20, lambda what: ReplayedRunner(what, programs))
        assert lane.tokens == plain.tokens == want
        caches |= {id(cache_of(lane)), id(cache_of(plain))}
    assert len(caches) == 2


@pytest.mark.parametrize("runner", [DirectRunner, ReplayedRunner])
def test_without_a_record_only_the_judgement_is_missing(base: BaseModel, runner: Any) -> None:
    def bare(what: Decoding) -> Any:
        return runner(dataclasses.replace(what, judged=False))

    drafter, shape = drafter_for(base), BeamShape(4, 3)
    judged, unjudged = (drafting_run(base, drafter, shape, PROMPT, GREEDY, 20, made).steps for made in (runner, bare))
    nothing: Any = {"rank": (), "log_probability": (), "picks": ()}
    assert [timeless(step) for step in unjudged] == [dataclasses.replace(timeless(step), **nothing) for step in judged]
    assert judged[0].rank != () and judged[0].picks != ()
    with pytest.raises(PlaygroundError, match="Leave judged on"):
        Decoding(base, GREEDY, judged=False)


@pytest.mark.parametrize("sampling", SAMPLINGS.values(), ids=SAMPLINGS.keys())
def test_replayed_plain_is_plain(base: BaseModel, sampling: Sampling) -> None:
    lanes = [PlainLane(runner(Decoding(base, sampling)), 25) for runner in (DirectRunner, ReplayedRunner)]
    records = []
    for lane in lanes:
        lane.start(PROMPT)
        found = [lane.first()]
        while lane.finish_reason is None:
            found.append(lane.step())
        records.append([(record.index, record.token, record.log_probability) for record in found])
        assert [token for _, token, _ in records[-1]] == lane.tokens
    assert records[0] == records[1]
    assert len(lanes[0].gaps) == 25 and lanes[0].gaps == lanes[1].gaps


def test_a_race_of_replayed_lanes(base: BaseModel) -> None:
    drafting = DraftingLane(ReplayedRunner(Decoding(base, GREEDY, Drafting(drafter_for(base), BeamShape(8, 3)))), 30)
    plain = PlainLane(ReplayedRunner(Decoding(base, GREEDY)), 30)
    *_, last = race(drafting, plain, PROMPT, lambda: False)
    assert isinstance(last, ParityRecord) and last.identical


@pytest.fixture
def triton(monkeypatch: pytest.MonkeyPatch) -> KernelSet:
    if torch.cuda.is_available():
        pytest.skip("on a GPU the kernels run for real: tests/gpu")
    monkeypatch.setenv("TRITON_INTERPRET", "1")
    return kernel_set("triton", torch.device("cpu"))


@pytest.mark.parametrize("nodes", [None, 6], ids=["beams", "best-first"])
def test_the_whole_loop_on_triton_kernels(triton: KernelSet, nodes: int | None) -> None:
    """Each kernel is called, and the text is the reference's."""
    called: set[str] = set()

    def counted(name: str) -> Any:
        operation = getattr(triton, name)

        def call(*args: Any, **kwargs: Any) -> Any:
            called.add(name)
            return operation(*args, **kwargs)

        return call

    tree = "prefix_tree" if nodes is None else "candidate_tree"
    names = ("tree_attention", tree, "children", "best", "pick", "kv_commit", "walk")
    watched = dataclasses.replace(triton, **{name: counted(name) for name in names})
    model = tiny_base("llama", vocab_size=20)
    want = plain_run(model, PROMPT, GREEDY, 4).tokens
    single = BaseModel.from_model(model._model.float(), kernels=watched)
    lane, _ = replayed_run(single, drafter_for(single), BeamShape(3, 2, nodes), GREEDY, 4)
    assert lane.tokens == want
    assert called == set(names)


def test_buckets() -> None:
    assert bucket_sizes(1) == (1,) and bucket_sizes(5) == (1, 5)
    sizes = bucket_sizes(1025)
    assert sizes[-1] == 1025 and list(sizes) == sorted(set(sizes)) and len(sizes) < 30
    for nodes in range(1, 1026):
        bucket = bucket_of(nodes, sizes)
        assert nodes <= bucket <= max(nodes + 7, nodes * 1.34)


def test_a_host_copy_keeps_its_parts_apart() -> None:
    copy = HostCopy()
    for seven in (6, 7):
        copy.send(
            {
                "a": torch.arange(4).view(2, 2).T,
                "b": torch.tensor(0.1),
                "c": torch.tensor(seven),
                "d": torch.empty(0),
                "e": torch.tensor([0.1], dtype=torch.float64),
            }
        )
    parts = copy.read()
    assert parts["a"].tolist() == [[0, 2], [1, 3]] and int(parts["c"]) == 7 and parts["d"].shape == (0,)
    assert torch.equal(parts["b"], torch.tensor(0.1)) and parts["e"].tolist() == [0.1]


def test_results_kept_in_place_stay_where_they_are() -> None:
    keep = InPlace()

    def beams(value: int) -> Beams:
        return Beams(torch.full((2, 3), value), torch.full((2, 3), float(value)), torch.full((2,), float(value)))

    first = keep("beams", beams(1))
    before = first.tokens.data_ptr()
    again, other = keep("beams", beams(2)), keep("others", beams(3))
    assert again is first and first.tokens.data_ptr() == before and bool((first.tokens == 2).all())
    assert other is not first and bool((other.scores == 3).all()) and bool((first.scores == 2).all())


@pytest.mark.parametrize(
    ("plain", "nodes"), [(False, None), (False, "auto"), (True, None)], ids=["beams", "best-first", "plain"]
)
def test_what_a_graph_bakes_in_stays_where_it_is(base: BaseModel, plain: bool, nodes: NodeBudget) -> None:
    """A graph reads and writes addresses: no stage may leave its result in other tensors than the time before."""
    decoding = Decoding(base, SAMPLINGS["hot"], None if plain else Drafting(drafter_for(base), BeamShape(8, 3, nodes)))
    runner = ReplayedRunner(decoding, Programs())
    lane: Any = PlainLane(runner, 40) if plain else DraftingLane(runner, 40)
    lane.start(PROMPT)  # has proposed once: everything there is has been made

    def addresses() -> dict[str, int]:
        stages = runner.stages
        state = {name: getattr(stages, name) for name in ("hidden", "root", "history", "last_position", "gap")}
        state |= stages.told() | {"committed": stages.cache.committed_tensor, "seed": stages.rules.pick.seed}
        state |= {f"tree {name}": getattr(stages.proposal.tree, name) for name in ("token", "depth", "ancestors")}
        return {name: tensor.data_ptr() for name, tensor in state.items()}

    before = addresses()
    assert len(before) >= (14 if plain else 20)
    while lane.finish_reason is None:
        lane.step()
        assert addresses() == before
    lane.start(PROMPT)
    assert addresses() == before


def test_the_oldest_program_goes() -> None:
    programs, built = Programs(places=2), []
    for key in "abacb":
        programs.get(key, lambda key=key: built.append(key) or key)
    assert built == ["a", "b", "c", "b"]


def test_a_program_that_goes_is_freed() -> None:
    """Programs and their stages refer to each other: without a collection a GPU would hold two where one fits."""

    class Program:
        def __init__(self) -> None:
            self.itself = self

    programs = Programs(places=1)
    first = weakref.ref(programs.get("a", Program))
    programs.get("b", Program)
    assert first() is None


def test_a_stage_without_a_gpu_is_the_function() -> None:
    calls: list[int] = []
    stage = Replay(lambda: calls.append(1), torch.device("cpu"))
    stage.prepare()
    assert calls == []
    stage()
    assert calls == [1]
