"""The drafter's cell and head against the paper's formula, its draft vocabulary, lookup and fit to a base model."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from playground.config import PlaygroundError
from playground.drafter.cell import Drafter
from playground.drafter.config import DrafterConfig

H, V = 8, 30
WANTED: dict[str, Any] = {"vocab_size": V, "hidden_size": H, "exit_dim": 2 * H}
FULL: dict[str, Any] = WANTED | {
    "exit_dim": 12,
    "draft_vocab_size": 11,
    "tied_head": True,
    "context_layers": (1,),
    "context_tokens": 3,
    "context_dim": 10,
    "lookup_tokens": 4,
    "logit_cut": 0,
}


class ToyBase:
    """An embedding and output rows."""

    name, hidden_size, vocab_size = "toy", H, V

    def __init__(self) -> None:
        make = torch.Generator().manual_seed(3)
        self.embedding = torch.randn(V, H, generator=make)
        self.rows = torch.randn(V, H, generator=make)

    def embed(self, tokens: Tensor) -> Tensor:
        return self.embedding[tokens]

    def output_rows(self, ids: Tensor) -> Callable[[Tensor], Tensor]:
        return lambda hidden: hidden @ self.rows[ids].T

    def token_logits(self, hidden: Tensor, ids: Tensor) -> Tensor:
        return (hidden * self.rows[ids]).sum(-1)


def made(**keys: Any) -> Drafter:
    torch.manual_seed(0)
    drafter = Drafter(DrafterConfig(**keys)).requires_grad_(False).bind(ToyBase())
    if drafter.full_ids is not None:
        drafter.full_ids.copy_(torch.tensor([1, 2, 3, 5, 8, 9, 13, 17, 21, 25, 29]))
        drafter.bind(ToyBase())
    return drafter


def logits_of(drafter: Drafter, hidden: Tensor, tokens: list[int], text: list[int]) -> list[Tensor]:
    """Logits after each of `tokens`, the first being the root at the end of `text`."""
    state = drafter.start(hidden, torch.tensor(text), torch.tensor(len(text) - 1))
    found = []
    for token in tokens:
        state, logits = drafter.advance(state, torch.tensor([token]))
        found.append(logits[0])
    return found


@pytest.mark.parametrize("exit_dim", [2 * H, 12], ids=["", "input projection"])
def test_the_papers_cell_and_head(exit_dim: int) -> None:
    drafter, base = made(**WANTED | {"exit_dim": exit_dim}), ToyBase()
    h = torch.randn(1, H)
    found = logits_of(drafter, h, [4, 7, 7], [1, 4])
    s = torch.zeros(1, H)
    weights = dict(drafter.named_parameters())
    for token, logits in zip([4, 7, 7], found, strict=True):
        s = F.silu(
            base.embedding[[token]] @ weights["rnn_w.weight"].T + s @ weights["rnn_u.weight"].T + weights["rnn_u.bias"]
        )
        x = torch.cat((h, s), dim=-1)
        if exit_dim != 2 * H:
            x = x @ weights["input_proj.weight"].T + weights["input_proj.bias"]
        for block in range(2):
            x = x + F.silu(x @ weights[f"blocks.{block}.linear.weight"].T + weights[f"blocks.{block}.linear.bias"])
        torch.testing.assert_close(logits, (x @ weights["output.weight"].T)[0])


def test_without_rnn_the_state_is_the_sum_of_embeddings() -> None:
    drafter, base = made(**WANTED | {"rnn": False}), ToyBase()
    state = drafter.start(torch.randn(1, H), torch.tensor([1, 4]), torch.tensor(1))
    for token in (4, 7, 9):
        state, _ = drafter.advance(state, torch.tensor([token]))
    torch.testing.assert_close(state.state[0], base.embedding[[4, 7, 9]].sum(0))


def test_beams_do_not_disturb_each_other() -> None:
    drafter = made(**FULL)
    hidden, text = torch.randn(1, 2 * H), [4, 5, 6, 4]
    alone = [logits_of(drafter, hidden, [4, *beam], text) for beam in ([5, 6], [5, 2], [9, 9])]
    state = drafter.start(hidden, torch.tensor(text), torch.tensor(3))
    state, first = drafter.advance(state, torch.tensor([4]))
    state = state.select(torch.zeros(3, dtype=torch.int64))
    state, second = drafter.advance(state, torch.tensor([5, 5, 9]))
    state = state.select(torch.tensor([2, 0, 1]))
    _, third = drafter.advance(state, torch.tensor([9, 6, 2]))
    for beam, expected in enumerate(alone):
        torch.testing.assert_close(first[0], expected[0])
        torch.testing.assert_close(second[beam], expected[1])
        torch.testing.assert_close(third[[1, 2, 0]][beam], expected[2])


def test_the_looked_up_token_counts_only_while_a_beam_follows() -> None:
    drafter = made(**FULL)
    with torch.no_grad():
        drafter.lookup_w.weight.zero_()
        drafter.lookup_bonus.weight.zero_()
        drafter.lookup_bonus.bias.fill_(100.0)
    text = [4, 5, 13, 6, 4]  # after 4 came 5, 13, 6
    hidden = torch.randn(1, 2 * H)
    ids = drafter.full_ids
    assert ids is not None
    follows = logits_of(drafter, hidden, [4, 5, 13], text)
    assert [int(ids[logits.argmax()]) for logits in follows[:2]] == [5, 13]
    assert len(follows[2]) == len(ids) + 1 and int(follows[2].argmax()) == len(ids)  # 6 is not in the draft vocabulary
    assert follows[2][:-1].max() < 50 and all(logits[len(ids) :].isneginf().all() for logits in follows[:2])
    leaves = logits_of(drafter, hidden, [4, 9, 13], text)
    assert int(ids[leaves[0].argmax()]) == 5 and leaves[1].max() < 50 and leaves[2].max() < 50


def test_a_looked_up_token_beyond_the_vocabulary_has_its_own_logit() -> None:
    """As if the vocabulary held it: the same logit, bonus and all, and it stands behind all others."""
    drafter, text, hidden = made(**FULL), [4, 5, 13, 6, 4], torch.randn(1, 2 * H)
    base, ids = ToyBase(), drafter.full_ids
    assert ids is not None and 6 not in ids
    state = drafter.start(hidden, torch.tensor(text), torch.tensor(4))
    for token in (4, 5, 13):
        state, head = drafter.feed(state, torch.tensor([token]))
    logits = drafter.logits(head)
    assert head.bonus is not None
    want = drafter.output(head.features) @ base.rows[6] + head.bonus
    torch.testing.assert_close(logits[0, -1], want[0])
    every = torch.arange(-1, len(ids) + 1)[None]
    assert drafter.full_tokens(state, every).tolist() == [[-1, *ids.tolist(), 6]]
    with_it = made(**FULL | {"lookup_beyond": False})
    assert logits_of(with_it, hidden, [4, 5, 13], text)[2].shape == ids.shape
    torch.testing.assert_close(logits_of(with_it, hidden, [4, 5, 13], text)[2], logits[0, :-1])


def test_what_stands_behind_the_root_is_not_looked_at() -> None:
    drafter, hidden = made(**FULL), torch.randn(1, 2 * H)
    short, long = [4, 5, 6, 4], [4, 5, 6, 4, 5, 6, 1, 1]
    states = [drafter.start(hidden, torch.tensor(text), torch.tensor(3)) for text in (short, long)]
    torch.testing.assert_close(states[0].hidden, states[1].hidden)
    assert torch.equal(states[0].copies.continuation, states[1].copies.continuation)


def test_draft_ids_and_full_ids() -> None:
    drafter = made(**FULL)
    ids = drafter.full_ids
    assert ids is not None
    index, found = drafter.draft_index(torch.tensor([1, 4, 29, -1]))
    assert index.tolist() == [0, 0, 10, 0] and found.tolist() == [True, False, True, False]
    full = made(**WANTED)
    assert full.full_ids is None and full.draft_index(torch.tensor([7, -1]))[1].tolist() == [True, False]


@pytest.mark.parametrize(("key", "what"), [("hidden_size", "hidden size 9"), ("vocab_size", "vocabulary size 31")])
def test_a_base_model_it_was_not_made_for(key: str, what: str) -> None:
    drafter = Drafter(DrafterConfig(**WANTED | {key: WANTED[key] + 1, "exit_dim": 18}))
    with pytest.raises(PlaygroundError, match=f"of {what}, but toy has"):
        drafter.bind(ToyBase())


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"hidden_size": 0}, "hidden_size = 0"),
        ({"exit_dim": "wide"}, "exit_dim = 'wide'"),
        ({"draft_vocab_size": 31}, "holds 31 tokens, more than the model's 30"),
        ({"context_tokens": 2}, "context_dim is 0"),
    ],
)
def test_configs_that_cannot_be(keys: dict[str, Any], message: str) -> None:
    with pytest.raises(PlaygroundError, match=message):
        DrafterConfig(**WANTED | keys)


def test_unbound_drafters_say_so() -> None:
    with pytest.raises(RuntimeError, match="Bind the drafter"):
        Drafter(DrafterConfig(**WANTED)).embed(torch.tensor([1]))
