"""One step as the screen tells it, on a hand-made step whose every status is known."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from playground.figures.format import ordinal, percent
from playground.figures.nodes import node_statuses
from playground.trace import NodeOrigin, Pick, StepRecord, UnsentRecord
from playground.views.picture import step_picture
from playground.views.step import mask_rows, saving_words, step_info, verdict_words
from tests.views.synthetic import WORDS, make_step

THE, SKY, IS, BLUE, BECAUSE, LIGHT = range(6)


@pytest.fixture
def step() -> StepRecord:
    """Root ` the`; beams sky-is-blue, sky-is-because, light-of-air; the base model writes sky is light."""
    assert WORDS[LIGHT] == b" light"
    beams = [(SKY, IS, BLUE), (SKY, IS, BECAUSE), (LIGHT, SKY, IS)]
    return make_step(0, 10, beams, [SKY, IS, LIGHT, 0], root=THE)


def test_statuses(step: StepRecord) -> None:
    assert step.tree.token == (THE, SKY, IS, BLUE, BECAUSE, LIGHT, SKY, IS)
    expected = ("root", "accepted", "accepted", "rejected", "rejected", "rejected", "unreached", "unreached")
    assert node_statuses(step) == expected


def test_beams_know_their_path_and_how_far_they_were_right(step: StepRecord) -> None:
    info = step_info(step)
    assert [beam.nodes for beam in info.beams] == [(1, 2, 3), (1, 2, 4), (5, 6, 7)]
    assert [beam.accepted for beam in info.beams] == [2, 2, 0]
    assert info.nodes[1].beams == (0, 1) and info.nodes[0].beams == (0, 1, 2)


def test_invalid_beams_and_suffixes_are_left_out(step: StepRecord) -> None:
    tree = replace(step.tree, node_of=((1, 2, 3), (1, 2, 4), (5, 6, 7), (-1, -1, -1)))
    beams = replace(
        step.beams,
        tokens=(*step.beams.tokens, (-1, -1, -1)),
        log_probabilities=(*step.beams.log_probabilities, (0.0, 0.0, 0.0)),
        scores=(*step.beams.scores, -1e30),
    )
    assert len(step_info(replace(step, tree=tree, beams=beams)).beams) == 3


def test_a_beams_probability_leaves_the_noise_of_its_score_out(step: StepRecord) -> None:
    sampled = replace(step, beams=replace(step.beams, scores=tuple(score + 9.0 for score in step.beams.scores)))
    for beam, row in zip(step_info(sampled, sampled=True).beams, step.beams.log_probabilities, strict=True):
        assert beam.score > 0 > beam.log_probability == pytest.approx(sum(row))


def test_reasons_name_the_pick_the_rank_and_the_shares(step: StepRecord) -> None:
    nodes = step_info(step).nodes
    assert nodes[1].reason == "Accepted: the base model picked ' sky' (61%) here, and a beam had it."
    rank = ordinal(step.rank[3])
    assert nodes[3].reason.startswith("Rejected: the base model picked ' light' (")
    assert f"' blue' was its {rank} choice" in nodes[3].reason
    assert nodes[6].reason.startswith("Never reached: ' light' before it was rejected")


def test_reasons_mention_the_noise_when_sampling(step: StepRecord) -> None:
    unlikely = replace(step, picks=(Pick(0, SKY, -2.0, 3), *step.picks[1:]))
    reason = step_info(unlikely, sampled=True).nodes[1].reason
    assert "drew ' sky' with seeded noise (3rd choice, 14%) here" in reason
    assert "with seeded noise" in verdict_words(unlikely, sampled=True)


def test_the_pick_is_the_next_root(step: StepRecord) -> None:
    pick = step_info(step).pick
    assert pick is not None and (pick.node, pick.token, pick.label) == (2, LIGHT, "·light")
    assert "no beam had it here" in pick.reason


def test_a_step_that_ends_the_text_has_no_pick(step: StepRecord) -> None:
    ended = replace(step, picks=step.picks[:-1], next_root=None, emitted=step.emitted[:-1])
    info = step_info(ended)
    assert (
        info.pick is None
        and "the last of them the end of the text. One forward over 8 nodes wrote 2 tokens." in info.verdict
    )
    assert info.nodes[3].status == "unreached" and "text ended before it" in info.nodes[3].reason


def test_saving_in_words(step: StepRecord) -> None:
    assert saving_words(step) == "3 beams × 3 = 9 slots → 7 nodes, 22% fewer to verify"
    single = make_step(0, 1, [(SKY,)], [IS, IS])
    assert saving_words(single) == "1 beam × 1 = 1 slot → 1 node, nothing to merge"


@pytest.fixture
def best_first(step: StepRecord) -> StepRecord:
    """The same tree under a budget: ` sky is` was copied, and so was `light sky`; ` light` was scored and not sent."""
    origin: tuple[NodeOrigin, ...] = ("root", "beam", "copy", "beam", "beam", "beam", "copy", "beam")
    log_probability = (0.0, *[-0.25] * 7)
    tree = replace(step.tree, origin=origin, log_probability=log_probability, copied=(0, 1, 2, 0, 0, 0, 1, 0))
    unsent = UnsentRecord(token=(LIGHT, SKY), parent=(2, -1), depth=(3, 4), score=(-3.0, -4.0), total=212)
    return replace(step, tree=tree, budget=8, unsent=unsent)


def test_a_budget_in_words(best_first: StepRecord) -> None:
    words = "Budget 8: the root and the best 7 of 212 scored tokens, 2 of them copied from earlier in the text"
    assert saving_words(best_first) == words
    plain = replace(best_first, tree=replace(best_first.tree, origin=()), unsent=None)
    assert saving_words(plain) == "Budget 8: the root and the best 7 of the scored tokens"


def test_copied_nodes_say_so(best_first: StepRecord, step: StepRecord) -> None:
    nodes = step_info(best_first).nodes
    assert [node.origin for node in nodes] == list(best_first.tree.origin)
    assert nodes[2].reason.endswith("here, and it was copied from earlier in the text.")
    assert nodes[1].reason.endswith("and a beam had it.")
    assert nodes[6].reason.startswith("Copied from earlier in the text. Never reached: ' light' before it")
    assert nodes[6].draft_probability == pytest.approx(math.exp(-0.25)) and nodes[0].draft_probability is None
    assert {node.origin for node in step_info(step).nodes[1:]} == {"beam"}  # a trace before 1.1
    columns = step_picture(best_first, sampled=False)["nodes"]
    assert columns["origin"] == "rbcbbbcb"


def test_a_pick_that_was_scored_but_not_sent(best_first: StepRecord) -> None:
    pick = step_info(best_first).pick
    assert pick is not None and "it was scored here but not verified: others were likelier" in pick.reason


def test_verdict_counts_tokens_and_nodes(step: StepRecord) -> None:
    assert verdict_words(step).startswith("2 drafted tokens accepted, then the base model's own ' light' (")
    assert verdict_words(step).endswith("One forward over 8 nodes wrote 3 tokens.")


def test_mask_rows_are_ancestors_and_self(step: StepRecord) -> None:
    rows = mask_rows(step.tree.parent)
    assert rows[0] == (0,) and rows[3] == (0, 1, 2, 3) and rows[7] == (0, 5, 6, 7)


@pytest.mark.parametrize(
    ("share", "words"),
    [(0.414, "41%"), (0.0249, "2.5%"), (0.0004, "<0.1%"), (0.0, "0%"), (1.0, "100%"), (math.nan, "–")],
)
def test_percent(share: float, words: str) -> None:
    assert percent(share) == words


@pytest.mark.parametrize(
    ("rank", "words"), [(1, "1st"), (2, "2nd"), (3, "3rd"), (11, "11th"), (112, "112th"), (1021, "1,021st")]
)
def test_ordinal(rank: int, words: str) -> None:
    assert ordinal(rank) == words
