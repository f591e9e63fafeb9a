"""The search under a budget, against a priority queue in plain Python; the copy tail; the budget itself."""

from __future__ import annotations

import heapq
import itertools
import math
from collections.abc import Sequence
from typing import Any

import pytest
import torch

from playground.config import BeamShape, CostCurve, PlaygroundError, Sampling
from playground.decode.best_first import kept, search
from playground.decode.budget import Budget, choose_budget
from playground.decode.copy_tail import copy_tail
from playground.decode.records import Origin, Place, Proposal, Rules, Search
from playground.decode.tree import best_tree
from playground.drafter.config import DEFAULT_COPY_CHANCES
from playground.sampling import rule_of
from tests.decode.lanes import GREEDY, KERNELS, MarkovBase, Scripted, Texts, drafting_run

CPU = torch.device("cpu")
CHANCES = torch.tensor(DEFAULT_COPY_CHANCES)
Path = tuple[int, ...]


def guessing(vocabulary: int, sharp: float = 2.0) -> Scripted:
    """A drafter with an opinion of its own on every text."""

    def opinion(text: Path) -> torch.Tensor:
        return torch.randn(vocabulary, generator=torch.Generator().manual_seed(hash(text) % 2**31)) * sharp

    return Scripted(opinion)


def rules(sampling: Sampling = GREEDY, eos: Sequence[int] = ()) -> Rules:
    return Rules(rule_of(sampling), torch.tensor(eos, dtype=torch.int64), KERNELS)


def searched(
    drafter: Any,
    history: Sequence[int],
    shape: BeamShape,
    *,
    eos: Sequence[int] = (),
    sampling: Sampling = GREEDY,
    wanted: int = 99,
    limit: int | None = None,
) -> Search:
    place = Place(torch.zeros(1, 4), torch.tensor(history), torch.tensor(len(history) - 1))
    cut = None if limit is None else torch.tensor(limit)
    return search(drafter, place, rules(sampling, eos), shape, CHANCES, wanted=min(wanted, shape.depth), limit=cut)


def treed(found: Search, shape: BeamShape, root: int, costs: CostCurve | None = None) -> Proposal:
    budget = Budget(shape, costs, (), CPU)
    return best_tree(found, torch.tensor(root), KERNELS, budget, rows=shape.max_nodes, levels=shape.depth)


def paths(proposal: Proposal) -> list[Path]:
    """Of every node but the root, in order."""
    tree, count = proposal.tree, int(proposal.count)
    found: list[Path] = [()]
    for node in range(1, count):
        found.append((*found[int(tree.parent[node])], int(tree.token[node])))
    return found[1:]


def queued(drafter: Scripted, history: Sequence[int], length: int, nodes: int, eos: Sequence[int] = ()) -> list[Path]:
    """The best paths by an exact priority queue: always expand the best one that waits."""
    start = tuple(history)
    number = itertools.count()
    waiting: list[tuple[float, int, Path]] = []

    def expand(path: Path, score: float) -> None:
        text = start + path
        row = drafter.advance(Texts((text[:-1],)), torch.tensor([text[-1]]))[1][0].double().log_softmax(-1)
        for token in row.argsort(descending=True, stable=True).tolist():
            heapq.heappush(waiting, (-score - float(row[token]), next(number), (*path, token)))

    expand((), 0.0)
    taken: list[Path] = []
    while waiting and len(taken) < nodes - 1:
        cost, _, path = heapq.heappop(waiting)
        taken.append(path)
        if len(path) < length and path[-1] not in eos:
            expand(path, -cost)
    return taken


def expected_tokens(drafter: Scripted, history: Sequence[int], tree: Sequence[Path]) -> float:
    """1 and the probability of each path, if the drafter is right about everything."""
    total = 1.0
    for path in tree:
        text, chance = tuple(history), 1.0
        for token in path:
            row = drafter.advance(Texts((text[:-1],)), torch.tensor([text[-1]]))[1][0].double()
            chance *= float(row.softmax(-1)[token])
            text = (*text, token)
        total += chance
    return total


@pytest.mark.parametrize("eos", [(), (2, 5)], ids=["endless", "ends"])
@pytest.mark.parametrize("nodes", [2, 6, 16])
@pytest.mark.parametrize("length", [1, 3, 5])
def test_wide_beams_find_what_a_priority_queue_finds(length: int, nodes: int, eos: tuple[int, ...]) -> None:
    for seed in range(6):
        drafter, history = guessing(12), [3, 1, seed]
        shape = BeamShape(16, length, nodes, copy_tail=False)
        proposal = treed(searched(drafter, history, shape, eos=eos), shape, history[-1])
        assert paths(proposal) == queued(drafter, history, length, nodes, eos)
        assert set(proposal.origin[1 : int(proposal.count)].tolist()) == {Origin.BEAM}


def test_narrow_beams_lose_less_than_a_hundredth() -> None:
    """Of the tokens expected, up to 16 nodes, with opinions about as sharp as a real drafter's."""
    ours = best = 0.0
    for seed in range(12):
        drafter, history = guessing(200, 3.0), [3, 1, seed]
        shape = BeamShape(4, 5, 16, copy_tail=False)
        ours += expected_tokens(drafter, history, paths(treed(searched(drafter, history, shape), shape, seed)))
        best += expected_tokens(drafter, history, queued(drafter, history, 5, 16))
    assert 0.99 * best <= ours <= best + 1e-3


@pytest.mark.parametrize("sampling", [GREEDY, Sampling(1.0, seed=3)], ids=["greedy", "sampled"])
def test_parents_come_first_and_a_smaller_budget_is_a_prefix(sampling: Sampling) -> None:
    drafter, history = guessing(20, 1.0), [3, 1, 4, 1, 5, 3, 1, 4]
    large = BeamShape(4, 5, 60)
    found = searched(drafter, history, large, sampling=sampling)
    whole = treed(found, large, 4)
    scores = found.score.nan_to_num(neginf=-1e9)
    parents = found.candidates.parent
    below = parents >= 0
    valid = found.score > -1e9
    assert bool((scores[below & valid] <= scores[parents.clamp_min(0)][below & valid]).all())
    assert Origin.COPY in whole.origin.tolist()
    for nodes in (2, 7, 16, 59):
        budget = Budget(BeamShape(4, 5, nodes), None, (), CPU)
        small = best_tree(found, torch.tensor(4), KERNELS, budget, rows=60, levels=large.depth)
        assert paths(small) == paths(whole)[: nodes - 1]
        assert int(small.budget) == nodes


def test_what_was_scored_but_not_sent() -> None:
    drafter, history = guessing(12), [3, 1, 4]
    shape = BeamShape(8, 3, 6, copy_tail=False)
    found = searched(drafter, history, shape)
    proposal = treed(found, shape, 4)
    sent, unsent = paths(proposal), proposal.unsent
    order = queued(drafter, history, 3, 6 + 2)
    assert sent == order[:5]
    nodes = {path: node + 1 for node, path in enumerate(sent)} | {(): 0}
    for place, path in enumerate(order[5:]):
        assert int(unsent.token[place]) == path[-1] and int(unsent.depth[place]) == len(path)
        assert int(unsent.parent[place]) == nodes.get(path[:-1], -1)
    assert int(unsent.total) == int(found.score.isfinite().sum()) > 40
    assert unsent.score.tolist() == sorted(unsent.score.tolist(), reverse=True)


@pytest.mark.parametrize("limit", [-1, 0, 1, 2, 4, 9])
@pytest.mark.parametrize("sampling", [GREEDY, Sampling(1.0, seed=3)], ids=["greedy", "sampled"])
def test_a_search_cut_on_the_device_is_a_shorter_search(limit: int, sampling: Sampling) -> None:
    drafter, history = guessing(12), [3, 1, 4, 7, 5, 3, 1, 4]
    shape = BeamShape(3, 4, 20)
    cut = treed(searched(drafter, history, shape, eos=[5], sampling=sampling, limit=limit), shape, 4)
    if limit <= 0:
        assert int(cut.count) == 1
        return
    short = searched(drafter, history, shape, eos=[5], sampling=sampling, wanted=limit)
    proposal = treed(short, shape, 4)
    assert paths(cut) == paths(proposal)
    assert torch.equal(cut.log_probability, proposal.log_probability)
    assert torch.equal(cut.beams.scores, proposal.beams.scores)
    assert torch.equal(cut.beams.tokens[:, :limit], proposal.beams.tokens)
    assert bool((cut.node_of[:, limit:] == -1).all())


def test_surviving_beams_are_the_record_of_the_search() -> None:
    drafter, history = guessing(12), [3, 1, 4]
    shape = BeamShape(6, 3, 10, copy_tail=False)
    proposal = treed(searched(drafter, history, shape), shape, 4)
    nodes, tree = proposal.node_of.tolist(), paths(proposal)
    for beam, row in zip(proposal.beams.tokens.tolist(), nodes, strict=True):
        for depth, node in enumerate(row):
            path = tuple(beam[: depth + 1])
            assert node == (tree.index(path) + 1 if path in tree else -1)
    assert any(-1 in row for row in nodes) and any(row[0] > 0 for row in nodes)
    log_probabilities = proposal.beams.log_probabilities.sum(-1).tolist()
    assert log_probabilities == pytest.approx(proposal.beams.scores.tolist(), abs=1e-5)


# The copy tail


def test_a_chain_of_measured_chances() -> None:
    chances = torch.tensor([0.0, 0.1, 0.5, 0.8])
    tail = copy_tail(torch.tensor([4, 5, 6, 7]), torch.tensor(2), chances, torch.tensor([6]))
    assert tail.score.tolist() == pytest.approx([math.log(0.5), math.log(0.4), math.log(0.32), -math.inf])
    assert tail.log_probability.tolist() == pytest.approx([math.log(0.5), math.log(0.8), math.log(0.8), 0.0])
    for nothing in (
        copy_tail(torch.tensor([4, 5]), torch.tensor(1), chances, torch.tensor([6])),
        copy_tail(torch.tensor([-1, -1]), torch.tensor(3), chances, torch.tensor([6])),
        copy_tail(torch.tensor([4, 5]), torch.tensor(3), chances, torch.tensor([6]), torch.tensor(0)),
        copy_tail(torch.tensor([4, 5]), torch.tensor(3), torch.zeros(4), torch.tensor([6])),
    ):
        assert nothing.score.tolist() == [-math.inf, -math.inf]


def test_a_chain_hangs_below_what_the_drafter_drafted() -> None:
    """After 3 1 4 came 7 5 9: the drafter drafts 7 itself, and is cut at depth 1."""
    history = [2, 3, 1, 4, 7, 5, 9, 2, 3, 1, 4]
    drafter = Scripted(lambda text: torch.full((12,), -9.0).index_fill(0, torch.tensor([7, 8]), 0.0))
    shape = BeamShape(4, 1, 9)
    proposal = treed(searched(drafter, history, shape), shape, 4)
    tree, count = proposal.tree, int(proposal.count)
    by_path = {path: node + 1 for node, path in enumerate(paths(proposal))}
    assert len(by_path) == count - 1 == 8  # nothing stands twice
    chain = [by_path[path] for path in ((7,), (7, 5), (7, 5, 9), (7, 5, 9, 2))]
    assert [int(proposal.copied[node]) for node in chain] == [1, 2, 3, 4]
    assert [int(proposal.origin[node]) for node in chain] == [Origin.BEAM, *[Origin.COPY] * 3]
    assert float(proposal.log_probability[chain[0]]) == pytest.approx(math.log(0.5), abs=1e-3)  # the drafter's own
    own = [math.log(DEFAULT_COPY_CHANCES[agree]) for agree in (5, 6, 7)]
    assert proposal.log_probability[chain[1:]].tolist() == pytest.approx(own)
    assert tree.depth[chain].tolist() == [1, 2, 3, 4]
    without = BeamShape(4, 1, 9, copy_tail=False)
    assert Origin.COPY not in treed(searched(drafter, history, without), without, 4).origin[:9].tolist()


def test_a_drafted_copy_takes_the_larger_score() -> None:
    """Unsure of 7, the drafter alone would not send it first; the match of eight tokens is surer."""
    history = [*range(1, 9), 7, *range(1, 9)]
    row = torch.zeros(12).index_fill(0, torch.tensor([10]), 1.0)
    shape = BeamShape(4, 2, 20)
    proposal = treed(searched(Scripted(lambda text: row), history, shape), shape, 8)
    assert paths(proposal)[0] == (7,) and int(proposal.origin[1]) == Origin.BEAM and int(proposal.copied[1]) == 1
    assert float(proposal.log_probability[1]) == pytest.approx(float(row.log_softmax(-1)[7]), abs=1e-5)
    no_tail = BeamShape(4, 2, 20, copy_tail=False)
    assert paths(treed(searched(Scripted(lambda text: row), history, no_tail), no_tail, 8))[0] == (10,)


def test_copies_bring_tokens_that_the_drafter_would_not() -> None:
    """A base model that repeats its prompt, and a drafter of one wrong mind."""
    table = torch.full((30, 30), -5.0)
    table[torch.arange(30), (torch.arange(30) + 1) % 30] = 5.0
    prompt = [*range(30), 0, 1, 2]
    wrong = Scripted(lambda text: torch.zeros(30).index_fill(0, torch.tensor([(text[-1] + 7) % 30]), 9.0))
    steps = {
        tail: drafting_run(MarkovBase(table), wrong, BeamShape(2, 2, 12, copy_tail=tail), prompt, GREEDY, 60).steps
        for tail in (True, False)
    }
    assert len(steps[False]) > 40 and len(steps[True]) < 10
    deepest = max(steps[True], key=lambda step: step.accepted)
    assert deepest.accepted > 2 and "copy" in {deepest.tree.origin[node] for node in deepest.path}


# The budget


def test_the_budget_that_pays_best() -> None:
    """By trying every number; the fewest of equal ones."""
    make = torch.Generator().manual_seed(2)
    for _ in range(20):
        score = torch.rand(15, generator=make).log().sort(descending=True).values
        depth = torch.randint(1, 4, (15,), generator=make)
        costs = (torch.rand(16, generator=make) + torch.arange(16) * 0.05 + 0.5).cummax(0).values
        calibration = torch.tensor([1.0, 1.1, 0.9])
        rates = []
        for nodes in range(1, 17):
            chances = [
                min(1.0, math.exp(score[i]) * float(calibration[min(int(depth[i]), 2)])) for i in range(nodes - 1)
            ]
            rates.append((1 + sum(chances)) / float(costs[nodes - 1]))
        chosen = int(choose_budget(score, depth, costs, calibration))
        assert rates[chosen - 1] == pytest.approx(max(rates))
    nothing = torch.full((3,), -torch.inf)
    assert int(choose_budget(nothing, torch.zeros(3, dtype=torch.int64), torch.ones(4), torch.ones(2))) == 1


def test_dear_nodes_make_small_trees() -> None:
    drafter, history, shape = guessing(12), [3, 1, 4], BeamShape(4, 4)
    found = searched(drafter, history, shape)
    flat, steep = CostCurve((1, 64), (10.0, 10.01)), CostCurve((1, 64), (1.0, 64.0))
    sizes = [int(treed(found, shape, 4, costs).count) for costs in (flat, CostCurve((1, 64), (5.0, 15.0)), steep)]
    assert sizes[0] == 64 > sizes[1] > sizes[2] >= 1
    assert int(treed(found, shape, 4).budget) == 16  # nobody knows the costs
    drafting = CostCurve((1, 64), (1.0, 64.0), level_ms=5.0)  # drafting paid already: more nodes pay
    assert int(treed(found, shape, 4, drafting).count) > sizes[2]


def test_only_sizes_that_are_verified_are_chosen() -> None:
    found = searched(guessing(12), [3, 1, 4], BeamShape(4, 4))
    for verify in (2.0, 8.0, 60.0):
        budget = Budget(BeamShape(4, 4), CostCurve((1, 64), (1.0, verify)), (), CPU, sizes=(1, 8, 16, 64))
        proposal = best_tree(found, torch.tensor(4), KERNELS, budget, rows=64, levels=16)
        assert int(proposal.budget) in (1, 8, 16, 64)


def test_a_cost_curve_is_straight_between_its_points() -> None:
    curve = CostCurve((1, 4, 8), (10.0, 16.0, 12.0), level_ms=1.0, fixed_ms=0.5)
    assert [curve.verify(nodes) for nodes in (1, 2, 4, 8, 12)] == pytest.approx([10.0, 12.0, 16.0, 16.0, 16.0])
    assert curve.step(2, 5) == pytest.approx(17.5)
    rising = CostCurve((1, 8), (10.0, 17.0))
    assert rising.verify(15) == pytest.approx(24.0)
    for nodes, ms in (((), ()), ((4, 2), (1.0, 2.0)), ((1,), (1.0, 2.0)), ((1,), (0.0,)), ((1,), (math.inf,))):
        with pytest.raises(PlaygroundError):
            CostCurve(nodes, ms)


@pytest.mark.parametrize(
    ("text", "shape"), [("8x5", BeamShape(8, 5)), ("4X4@16", BeamShape(4, 4, 16)), ("1x3@beams", BeamShape(1, 3, None))]
)
def test_shapes_in_words(text: str, shape: BeamShape) -> None:
    assert BeamShape.parse(text) == shape == BeamShape.parse(str(shape))


@pytest.mark.parametrize("text", ["8", "8x", "x5", "8x5@", "8x5@many", "8x5@1", "8x5@257", "0x5"])
def test_shapes_that_are_none(text: str) -> None:
    with pytest.raises(PlaygroundError):
        BeamShape.parse(text)


def test_children_kept() -> None:
    assert [kept(BeamShape(8, 5, nodes), level) for nodes in (6, 16, 64, 200) for level in (0, 1)] == [
        5,
        8,
        15,
        15,
        63,
        16,
        64,
        16,
    ]
