"""Identity over generated cases: any tables, shapes, draft vocabularies, ends and windows."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from playground.config import BeamShape, Sampling
from tests.decode.lanes import MarkovBase, Scripted, drafting_run, plain_run


@given(
    data=st.data(),
    width=st.integers(1, 9),
    length=st.integers(1, 6),
    temperature=st.sampled_from([0.0, 0.7, 1.5]),
    seed=st.integers(0, 2**32 - 1),
)
@settings(max_examples=120, deadline=None)
def test_drafting_writes_the_plain_text(
    data: st.DataObject, width: int, length: int, temperature: float, seed: int
) -> None:
    """Any tables, shapes, ends and windows: the two lanes end with the same tokens for the same reason."""
    vocabulary = data.draw(st.integers(2, 12))
    generator = torch.Generator().manual_seed(seed)
    table = torch.randn(vocabulary, vocabulary, generator=generator) * 2
    guess = table + torch.randn(vocabulary, vocabulary, generator=generator) * data.draw(
        st.sampled_from([0.0, 1.0, 5.0])
    )
    eos = data.draw(st.lists(st.integers(0, vocabulary - 1), max_size=2))
    base = MarkovBase(table, eos, window=data.draw(st.integers(4, 60)))
    ids = data.draw(st.lists(st.integers(0, vocabulary - 1), min_size=1, max_size=vocabulary))
    drafter = Scripted(lambda text: guess[text[-1]], torch.tensor(ids))
    sampling = Sampling(temperature=temperature, top_p=data.draw(st.sampled_from([1.0, 0.8])), seed=seed)
    new = data.draw(st.integers(1, 30))
    prompt = [1, 0, 1]
    plain = plain_run(base, prompt, sampling, new)
    nodes = data.draw(st.one_of(st.none(), st.just("auto"), st.integers(2, 40)))
    shape = BeamShape(width, length, nodes, copy_tail=data.draw(st.booleans()))
    drafted = drafting_run(base, drafter, shape, prompt, sampling, new)
    assert drafted.lane.tokens == plain.tokens
    assert drafted.lane.finish_reason == plain.finish_reason
