"""Each stage by itself, against something simpler."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import pytest
import torch

from playground.config import BeamShape, Sampling
from playground.decode.accept import accept
from playground.decode.draft import draft
from playground.decode.judge import judge, rank_one_by_one, rank_together
from playground.decode.records import Beams, Origin, Place, Rules, Verdict
from playground.decode.tree import build_tree
from playground.sampling import rule_of
from tests.decode.lanes import GREEDY, KERNELS, MarkovBase, Scripted, Texts, drafting_run, opinion_of, right


def rules(sampling: Sampling = GREEDY, eos: Sequence[int] = ()) -> Rules:
    return Rules(rule_of(sampling), torch.tensor(eos, dtype=torch.int64), KERNELS)


def searched(
    drafter: Scripted,
    history: Sequence[int],
    width: int,
    length: int,
    eos: Sequence[int] = (),
    sampling: Sampling = GREEDY,
    limit: int | None = None,
) -> Beams:
    place = Place(torch.zeros(1, 4), torch.tensor(history), torch.tensor(len(history) - 1))
    wanted = None if limit is None else torch.tensor(limit)
    return draft(drafter, place, rules(sampling, eos), width=width, length=length, limit=wanted)


def expected_beams(drafter: Scripted, history: Sequence[int], width: int, length: int) -> list[tuple[list[int], float]]:
    """Beam search in plain Python, scores in double."""
    beams: list[tuple[list[int], float]] = [([], 0.0)]
    for _ in range(length):
        candidates = []
        for tokens, score in beams:
            row = drafter.advance(Texts((tuple([*history[:-1]]),)), torch.tensor([history[-1]]))[1][0]
            for index, token in enumerate(tokens):
                text = (*history, *tokens[:index])
                row = drafter.advance(Texts((text,)), torch.tensor([token]))[1][0]
            ids = range(len(row)) if drafter.full_ids is None else drafter.full_ids.tolist()
            kept = row if drafter.cut is None else row[row.argsort(descending=True)[: drafter.cut]]
            total = kept.double().logsumexp(-1)
            for place, token in enumerate(ids):
                if row[place] >= kept.min():
                    candidates.append(([*tokens, token], score + float(row[place].double() - total)))
        beams = sorted(candidates, key=lambda beam: -beam[1])[:width]
    return beams


@pytest.mark.parametrize("cut", [None, 3])
@pytest.mark.parametrize("full_ids", [None, torch.tensor([1, 4, 5, 9, 10])], ids=["full", "draft-vocabulary"])
@pytest.mark.parametrize(("width", "length"), [(1, 1), (1, 4), (4, 3), (8, 2)])
def test_draft_is_beam_search(width: int, length: int, full_ids: torch.Tensor | None, cut: int | None) -> None:
    drafter = Scripted(opinion_of([], right, vocabulary=12), full_ids)
    drafter.opinion = lambda text: torch.randn(12, generator=torch.Generator().manual_seed(hash(text) % 2**31))
    drafter.cut = cut
    history = [3, 1, 4]
    beams = searched(drafter, history, width, length)
    expected = expected_beams(drafter, history, width, length)
    assert [row for row in beams.tokens.tolist() if row[0] >= 0] == [tokens for tokens, _ in expected]
    for got, (_, score) in zip(beams.scores.tolist(), expected, strict=False):
        assert got == pytest.approx(score, abs=1e-4)
    assert beams.log_probabilities.sum(-1)[: len(expected)].tolist() == pytest.approx(
        beams.scores[: len(expected)].tolist(), abs=1e-4
    )
    assert beams.scores.dtype == torch.float32


def test_beams_beyond_the_choices_stand_for_nothing() -> None:
    drafter = Scripted(opinion_of([], right, vocabulary=12), torch.tensor([7, 8]))
    beams = searched(drafter, [3, 1], 16, 3)
    good = beams.tokens[:8].tolist()
    assert sorted(map(tuple, good)) == sorted(itertools.product((7, 8), repeat=3))
    assert (beams.tokens[8:] == -1).all()
    assert beams.scores[8:].isneginf().all()
    assert (beams.log_probabilities[8:] == 0).all()
    proposal = build_tree(beams, torch.tensor(1), KERNELS)
    assert int(proposal.count) == 1 + 2 + 4 + 8
    assert (proposal.tree.token[1:15] >= 7).all()


def test_a_draft_of_no_length_is_the_root_alone() -> None:
    beams = searched(Scripted(opinion_of([], right, vocabulary=12)), [3, 1], 4, 0)
    proposal = build_tree(beams, torch.tensor(1), KERNELS)
    tree = proposal.tree
    assert beams.tokens.shape == (4, 0)
    assert (tree.token.tolist(), tree.parent.tolist(), tree.depth.tolist()) == ([1], [-1], [0])
    assert tree.ancestors.tolist() == [[True]]
    assert int(proposal.count) == 1


@pytest.mark.parametrize("limit", [-2, 0, 1, 2, 4, 9])
@pytest.mark.parametrize("sampling", [GREEDY, Sampling(temperature=1.0, seed=3)], ids=["greedy", "sampled"])
def test_beams_cut_on_the_device_are_those_of_a_shorter_search(limit: int, sampling: Sampling) -> None:
    """Not what a longer search begins with: that has lost other beams on the way."""
    drafter = Scripted(lambda text: torch.randn(12, generator=torch.Generator().manual_seed(hash(text) % 2**31)))
    for width in (1, 3, 16):
        wanted = max(0, min(limit, 4))
        short = searched(drafter, [3, 1, 4], width, wanted, eos=[5], sampling=sampling)
        cut = searched(drafter, [3, 1, 4], width, 4, eos=[5], sampling=sampling, limit=limit)
        assert cut.tokens.shape == (width, 4) and bool((cut.tokens[:, wanted:] == -1).all())
        assert torch.equal(cut.tokens[:, :wanted], short.tokens)
        assert torch.equal(cut.log_probabilities[:, :wanted], short.log_probabilities)
        assert torch.equal(cut.scores, short.scores) and bool((cut.log_probabilities[:, wanted:] == 0).all())
    whole = searched(drafter, [3, 1, 4], 3, 4, eos=[5], sampling=sampling)
    assert limit >= 4 or not torch.equal(cut.tokens, whole.tokens)


def test_a_proposal_knows_what_the_drafter_thought_of_each_node() -> None:
    beams = Beams(
        tokens=torch.tensor([[5, 6], [5, 7], [8, -1]]),
        log_probabilities=torch.tensor([[-1.0, -0.5], [-1.0, -2.0], [-3.0, 0.0]]),
        scores=torch.tensor([-1.5, -3.0, -3.0]),
    )
    proposal = build_tree(beams, torch.tensor(9), KERNELS)
    assert int(proposal.count) == 5 and proposal.tree.token[:5].tolist() == [9, 5, 6, 7, 8]
    assert proposal.log_probability.tolist() == [0.0, -1.0, -0.5, -2.0, -3.0, 0.0, 0.0]
    assert proposal.origin[:5].tolist() == [Origin.ROOT] + [Origin.BEAM] * 4
    assert proposal.node_of.tolist() == [[1, 2], [1, 3], [4, -1]] and proposal.beams is beams


def verdict_of(rows: Sequence[Sequence[int]], picks: dict[int, int], eos: Sequence[int] = ()) -> Verdict:
    """Accept over the tree of beams `rows` under root 9, the base model picking `picks[node]`."""
    tokens = torch.tensor(rows)
    beams = Beams(tokens, torch.zeros(tokens.shape), torch.zeros(len(rows)))
    proposal = build_tree(beams, torch.tensor(9), KERNELS)
    nodes = int(proposal.count)
    logits = torch.zeros(nodes, 12)
    for node, token in picks.items():
        logits[node, token] = 1.0
    return accept(logits, proposal.tree.first(nodes), torch.tensor(5), tokens.shape[1], rules(eos=eos))


BEAMS = [[5, 6], [5, 7], [8, -1]]  # nodes: 1 = 5, 2 = 6 under it, 3 = 7 under 1, 4 = 8


@pytest.mark.parametrize(
    ("picks", "path", "picked"),
    [
        ({0: 3}, [0], [3]),
        ({0: 5, 1: 7, 3: 11}, [0, 1, 3], [5, 7, 11]),
        ({0: 5, 1: 8}, [0, 1], [5, 8]),  # 8 is a child, but not of node 1
        ({0: 8, 4: 6}, [0, 4], [8, 6]),
        ({0: 9}, [0], [9]),  # the root's own token is no child of the root
    ],
)
def test_accept_follows_the_picks(picks: dict[int, int], path: list[int], picked: list[int]) -> None:
    verdict = verdict_of(BEAMS, picks)
    assert verdict.path.tolist() == path + [-1] * (3 - len(path))
    assert verdict.picks.tolist() == picked + [-1] * (3 - len(picked))
    assert int(verdict.length) == len(path)
    assert int(verdict.next_root) == picked[-1]


def test_accept_stops_at_an_accepted_end_of_sequence() -> None:
    verdict = verdict_of([[5, 6, 7]], {0: 5, 1: 6, 2: 7}, eos=[6])
    assert verdict.path.tolist() == [0, 1, 2, -1]
    assert verdict.picks.tolist() == [5, 6, -1, -1]
    assert int(verdict.next_root) == -1


def test_accept_takes_ties_to_the_lowest_id_in_bf16() -> None:
    beams = searched(Scripted(opinion_of([], right, 12)), [3, 1], 2, 1)
    tree = build_tree(beams, torch.tensor(1), KERNELS).tree.first(2)
    logits = torch.zeros(2, 12, dtype=torch.bfloat16)
    logits[0, [4, 7]] = 3.0
    verdict = accept(logits, tree, torch.tensor(1), 1, rules())
    assert int(verdict.picks[0]) == 4


def test_judgement_against_a_sort() -> None:
    logits = torch.randn(6, 40, generator=torch.Generator().manual_seed(1)).bfloat16()  # ties included
    nodes, tokens = [0, 0, 3, -1, 5, 3, 2], [4, 39, 0, 7, 17, 22, -1]
    judged = judge(logits, torch.tensor(nodes), torch.tensor(tokens))
    assert (judged.rank[[3, 6]] == 0).all() and (judged.log_probability[[3, 6]] == 0).all()
    for node, token, log_probability, rank in zip(
        nodes, tokens, judged.log_probability.tolist(), judged.rank.tolist(), strict=True
    ):
        if node < 0 or token < 0:
            continue
        row = logits[node].double()
        order = sorted(range(40), key=lambda entry: (-float(row[entry]), entry))
        assert rank == 1 + order.index(token)
        assert log_probability == pytest.approx(math.log(float(row.softmax(-1)[token])), abs=1e-5)


def test_ranks_taken_together_are_those_taken_one_by_one() -> None:
    rows = torch.randn(4, 300, generator=torch.Generator().manual_seed(4)).bfloat16()
    row, token = torch.arange(60) % 4, torch.arange(60) * 5 % 300
    assert torch.equal(rank_together(rows, row, token), rank_one_by_one(rows, row, token))


def test_the_steps_record_says_what_the_base_model_thought() -> None:
    table = torch.randn(16, 16, generator=torch.Generator().manual_seed(2))
    base = MarkovBase(table)
    run = drafting_run(base, Scripted(opinion_of([], right, 16)), BeamShape(5, 3), [1, 2], GREEDY, 12)
    expected = table.log_softmax(-1)
    for step in run.steps:
        tree = step.tree
        for node in range(1, tree.nodes):
            above = tree.token[tree.parent[node]]
            assert step.log_probability[node] == pytest.approx(float(expected[above, tree.token[node]]), abs=1e-5)
        assert (step.log_probability[0], step.rank[0]) == (0.0, 0)
        for pick in step.picks:
            assert pick.rank == 1
            assert pick.log_probability == pytest.approx(float(expected[tree.token[pick.node]].max()), abs=1e-5)


def test_a_drafter_that_thinks_like_the_base_foresees_every_sampled_token() -> None:
    """With the base's own logits for an opinion and the same noise, the best beam is what will be picked."""
    logits_of = opinion_of([], right, vocabulary=12)
    flat = Scripted(lambda text: logits_of(text) * 0.1)  # near uniform: guessing would be right one time in twelve
    for sampling in (
        Sampling(temperature=1.0, seed=5),
        Sampling(temperature=0.7, seed=5),
        Sampling(temperature=1.5, top_k=4, seed=6),
        Sampling(temperature=1.5, top_p=0.6, seed=7),
    ):
        history = [3, 1, 4]
        expected = list(history)
        for _ in range(5):
            logits = flat.opinion(tuple(expected))
            expected.append(int(KERNELS.pick(logits, rule_of(sampling), len(expected))))
        beams = searched(flat, history, 1, 5, sampling=sampling)
        assert beams.tokens[0].tolist() == expected[3:], sampling
        row = beams.log_probabilities[0]
        own = [
            float(flat.opinion(tuple(expected[:place])).log_softmax(-1)[expected[place]])
            for place in range(3, len(expected))
        ]
        assert row.tolist() == pytest.approx(own, abs=1e-4)  # the drafter's own, without the noise


def test_sampled_beams_keep_an_ended_beam_and_its_score() -> None:
    eos = 7
    drafter = Scripted(lambda text: torch.full((12,), -100.0).index_fill(0, torch.tensor([eos, 8]), 0.0))
    sampling = Sampling(temperature=1.0, seed=3)
    beams = searched(drafter, [3, 1], 4, 3, eos=[eos], sampling=sampling)
    ended = [index for index, row in enumerate(beams.tokens.tolist()) if row == [eos, -1, -1]]
    assert len(ended) == 1
    assert beams.log_probabilities[ended[0]].tolist() == pytest.approx([math.log(0.5), 0.0, 0.0], abs=1e-5)
