"""The native drafter and its search against the PyTorch drafter in float32, and every instruction set against plain C.

Scores agree to rounding; where two candidates stand closer than that their order may differ, so the drafters here are
spread wide enough that it does not.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from kernels import KernelSet
from kernels.native import Draft, NativeDrafter, NativeModel, Rule, Search, SearchSettings
from kernels.native.from_transformers import read_spec, read_weights
from kernels.native.library import NativeLibrary
from playground.config import BeamShape, CostCurve, Sampling
from playground.decode.best_first import search
from playground.decode.budget import Budget
from playground.decode.draft import draft
from playground.decode.native_runner import rule_in_c, search_settings
from playground.decode.records import Place, Proposal, Rules
from playground.decode.tree import best_tree, build_tree
from playground.drafter.cell import Drafter
from playground.drafter.config import DrafterConfig
from playground.drafter.native import native_drafter
from playground.sampling import rule_of
from tests.families import random_model

HIDDEN, VOCABULARY = 64, 97
CONFIGS: dict[str, dict[str, Any]] = {
    "apple": {"exit_dim": 128, "logit_cut": 50},
    "apple without recurrence": {"exit_dim": 128, "rnn": False, "logit_cut": 20},
    "projected": {"exit_dim": 40, "num_draft_layers": 1, "logit_cut": 0},
    "headless blocks": {"exit_dim": 128, "num_draft_layers": 0, "logit_cut": 0},
    "draft vocabulary": {"exit_dim": 128, "draft_vocab_size": 37, "logit_cut": 0},
    "tied": {"exit_dim": 72, "draft_vocab_size": 48, "tied_head": True, "logit_cut": 0},
    "tied whole": {"exit_dim": 128, "tied_head": True, "logit_cut": 0},
    "all": {
        "exit_dim": 128, "draft_vocab_size": 41, "tied_head": True, "context_layers": (1, 2), "context_tokens": 3,
        "context_dim": 50, "lookup_tokens": 4, "lookup_match": 3, "logit_cut": 0,
    },
}  # fmt: skip
TEXT = [5, 9, 11, 40, 41, 42, 43, 8, 5, 9, 11, 40, 41, 17, 60, 5, 9, 11]  # matches 5 9 11 twice, then goes on 40 41
EOS = (2,)


@pytest.fixture(scope="module")
def stock() -> Any:
    return random_model("Llama", hidden_size=HIDDEN, intermediate_size=96, head_dim=16, tie_word_embeddings=False)


class StockRows:
    """The embedding and head of a transformers model, as a drafter asks for them."""

    name, hidden_size, vocab_size = "stock", HIDDEN, VOCABULARY

    def __init__(self, model: Any) -> None:
        self._embedding, self._head = model.get_input_embeddings(), model.get_output_embeddings()

    def embed(self, tokens: torch.Tensor) -> torch.Tensor:
        return self._embedding(tokens)

    def output_rows(self, ids: torch.Tensor) -> Any:
        return lambda hidden: hidden @ self._head.weight[ids].T

    def token_logits(self, hidden: torch.Tensor, ids: torch.Tensor) -> torch.Tensor:
        return (hidden * self._head.weight[ids]).sum(-1)


def torch_drafter(stock: Any, name: str) -> Drafter:
    torch.manual_seed(3)
    config = DrafterConfig(vocab_size=VOCABULARY, hidden_size=HIDDEN, **CONFIGS[name])
    drafter = Drafter(config).requires_grad_(False)
    for parameter in drafter.parameters():
        parameter.normal_(0.0, 1.0 / parameter.shape[-1] ** 0.5 if parameter.dim() > 1 else 0.3)
    if config.draft_vocab_size:
        ids = torch.randperm(VOCABULARY)[: config.draft_vocab_size].sort().values
        drafter.draft_vocabulary.copy_(ids)
    return drafter.eval().bind(StockRows(stock))


def arrays_of(drafter: Drafter) -> dict[str, Any]:
    return {name: tensor.numpy() for name, tensor in drafter.state_dict().items()}


def native_pair(library: NativeLibrary, stock: Any, drafter: Drafter, format: Any = "float32") -> NativeDrafter:
    spec = read_spec(stock, format)
    base = NativeModel.of(library, spec, read_weights(stock, spec))
    return native_drafter(drafter.config, arrays_of(drafter), base, format)


def state_of(drafter: Drafter) -> Any:
    taps = 1 + len(drafter.config.context_layers)
    return np.random.default_rng(5).standard_normal(HIDDEN * taps).astype(np.float32) * 2


def drafted(native: NativeDrafter, settings: SearchSettings, state: Any, text: list[int], wanted: int = 99) -> Draft:
    found = Draft(settings)
    history, eos = np.array(text, np.int32), np.array(EOS, np.int32)
    native.draft(Search(settings), state, history, len(text), eos, wanted, found)
    return found


@torch.no_grad()
def reference(drafter: Drafter, sampling: Sampling, state: Any, kernels: KernelSet, width: int, length: int) -> Any:
    rules = Rules(rule_of(sampling), torch.tensor(EOS), kernels)
    place = Place(torch.from_numpy(state)[None], torch.tensor(TEXT), torch.tensor(len(TEXT) - 1))
    beams = draft(drafter, place, rules, width=width, length=length)
    return build_tree(beams, torch.tensor(TEXT[-1]), kernels)


SAMPLINGS = {
    "greedy": Sampling(),
    "warm": Sampling(temperature=0.8, seed=11),
    "filtered": Sampling(temperature=1.2, top_k=9, top_p=0.8, seed=12),
}


def settings_of(
    drafter: Drafter, shape: BeamShape, sampling: Sampling, costs: CostCurve | None = None
) -> SearchSettings:
    return search_settings(shape, sampling, drafter.config, costs)


@pytest.mark.parametrize("sampling", SAMPLINGS)
@pytest.mark.parametrize(("width", "length"), [(1, 3), (4, 4), (8, 5), (23, 2)])
@pytest.mark.parametrize("name", CONFIGS)
def test_surviving_beams_are_the_references(
    library: NativeLibrary, stock: Any, kernels: KernelSet, name: str, width: int, length: int, sampling: str
) -> None:
    drafter = torch_drafter(stock, name)
    state = state_of(drafter)
    expected = reference(drafter, SAMPLINGS[sampling], state, kernels, width, length)
    settings = settings_of(drafter, BeamShape(width, length, None), SAMPLINGS[sampling])
    found = drafted(native_pair(library, stock, drafter), settings, state, TEXT)
    beams = expected.beams
    assert found.beam_token.tolist() == beams.tokens.tolist()
    assert np.allclose(found.beam_log_probability, beams.log_probabilities, atol=2e-5)
    assert np.allclose(found.beam_score, beams.scores, atol=5e-5)
    nodes = int(expected.count)
    assert found.nodes == nodes and found.beam_node.tolist() == expected.node_of.tolist()
    for array, tensor in ((found.token, expected.tree.token), (found.parent, expected.tree.parent)):
        assert array[:nodes].tolist() == tensor[:nodes].tolist()
    assert found.depth[:nodes].tolist() == expected.tree.depth[:nodes].tolist()
    assert found.origin[:nodes].tolist() == expected.origin[:nodes].tolist()


@torch.no_grad()
def best_first(
    drafter: Drafter, sampling: Sampling, state: Any, kernels: KernelSet, shape: BeamShape, costs: CostCurve | None
) -> Proposal:
    rules = Rules(rule_of(sampling), torch.tensor(EOS), kernels)
    place = Place(torch.from_numpy(state)[None], torch.tensor(TEXT), torch.tensor(len(TEXT) - 1))
    found = search(drafter, place, rules, shape, torch.tensor(drafter.copy_chances), wanted=shape.depth)
    budget = Budget(shape, costs, drafter.calibration, torch.device("cpu"))
    return best_tree(found, torch.tensor(TEXT[-1]), kernels, budget, rows=shape.max_nodes, levels=shape.depth)


COSTS = CostCurve((1, 4, 8, 64), (4.0, 4.2, 6.0, 50.0), level_ms=0.0, fixed_ms=0.4)


@pytest.mark.parametrize("sampling", SAMPLINGS)
@pytest.mark.parametrize("shape", ["1x3@3", "4x4@9", "4x4@40", "8x5@16", "3x2@12", "4x5@auto"])
@pytest.mark.parametrize("name", CONFIGS)
def test_the_best_candidates_are_the_references(
    library: NativeLibrary, stock: Any, kernels: KernelSet, name: str, shape: str, sampling: str
) -> None:
    drafter, asked = torch_drafter(stock, name), BeamShape.parse(shape)
    state, costs = state_of(drafter), COSTS if asked.nodes == "auto" else None
    expected = best_first(drafter, SAMPLINGS[sampling], state, kernels, asked, costs)
    settings = settings_of(drafter, asked, SAMPLINGS[sampling], costs)
    found = drafted(native_pair(library, stock, drafter), settings, state, TEXT, asked.depth)
    nodes, unsent = int(expected.count), expected.unsent
    assert (found.nodes, found.budget) == (nodes, int(expected.budget))
    for array, tensor in (
        (found.token, expected.tree.token),
        (found.parent, expected.tree.parent),
        (found.depth, expected.tree.depth),
        (found.origin, expected.origin),
        (found.copy, expected.copied),
    ):
        assert array[:nodes].tolist() == tensor[:nodes].tolist()
    assert np.allclose(found.log_probability[:nodes], expected.log_probability[:nodes], atol=2e-5)
    levels = min(asked.length, asked.depth)
    assert found.beam_token[:, :levels].tolist() == expected.beams.tokens.tolist()
    assert found.beam_node[:, :levels].tolist() == expected.node_of.tolist()
    rest = found.others
    assert rest == int((unsent.token >= 0).sum()) and found.scored == int(unsent.total)
    assert found.other_token[:rest].tolist() == unsent.token[:rest].tolist()
    assert found.other_parent[:rest].tolist() == unsent.parent[:rest].tolist()
    assert found.other_depth[:rest].tolist() == unsent.depth[:rest].tolist()
    assert np.allclose(found.other_score[:rest], unsent.score[:rest], atol=5e-5)


def test_a_level_that_cannot_pay_is_not_drafted(library: NativeLibrary, stock: Any) -> None:
    """The dearer a level, the fewer there are; the text does not depend on it, so no reference is needed."""
    drafter = torch_drafter(stock, "all")
    native, state = native_pair(library, stock, drafter), state_of(drafter)
    levels = []
    for level_ms in (0.0, 0.5, 50.0):
        costs = replace(COSTS, level_ms=level_ms)
        found = drafted(native, settings_of(drafter, BeamShape(4, 6), Sampling(), costs), state, TEXT)
        levels.append(found.levels)
    assert levels[0] == 6 > levels[-1] and levels == sorted(levels, reverse=True)


@pytest.mark.parametrize("wanted", [0, 1, 3])
def test_no_deeper_than_wanted(library: NativeLibrary, stock: Any, wanted: int) -> None:
    drafter = torch_drafter(stock, "all")
    native = native_pair(library, stock, drafter)
    for nodes in (None, 16):
        settings = SearchSettings(4, 5, nodes, copied=16 if nodes else 0, chances=(0.9,))
        found = drafted(native, settings, state_of(drafter), TEXT, wanted)
        assert found.depth[: found.nodes].max() == wanted and found.levels == wanted
        assert (found.beam_token[:, wanted:] == -1).all()


@pytest.mark.parametrize("sampling", SAMPLINGS)
@pytest.mark.parametrize("format", ["int8", "float32", "bfloat16"])
@pytest.mark.parametrize("name", ["all", "apple"])
def test_every_set_gives_the_same_bits(every_set: Any, stock: Any, name: str, format: Any, sampling: str) -> None:
    """Also any number of threads."""
    c, sets = every_set
    drafter = torch_drafter(stock, name)
    settings = SearchSettings(5, 5, 20, rule_in_c(SAMPLINGS[sampling]), copied=16, past_vocabulary=True, chances=(0.7,))
    first: list[bytes] | None = None
    for one in sets.values():
        for threads in (1, 2):
            library = NativeLibrary(c, None, one, threads, c.native_isa_kernels(one.index), c.native_pool_new(threads))  # type: ignore[arg-type]
            native = native_pair(library, stock, drafter, format)
            found = drafted(native, settings, state_of(drafter), TEXT)
            told = [array.tobytes() for array in vars(found).values() if isinstance(array, np.ndarray)]
            assert first is None or told == first, f"{one.name}, {threads} threads"
            first = told
    assert first


def test_wrong_arguments_are_refused(library: NativeLibrary, stock: Any) -> None:
    drafter = torch_drafter(stock, "all")
    native = native_pair(library, stock, drafter)
    state = state_of(drafter)
    for settings in (SearchSettings(65, 2), SearchSettings(2, 17), SearchSettings(2, 2, 1), SearchSettings(0, 2),
                     SearchSettings(2, 2, match=33), SearchSettings(2, 2, rule=Rule(temperature=-1.0))):  # fmt: skip
        with pytest.raises(ValueError, match="out of range"):
            drafted(native, settings, state, TEXT)
    with pytest.raises(ValueError, match="outside the model's vocabulary"):
        drafted(native, SearchSettings(2, 2), state, [1, VOCABULARY])
    arrays = arrays_of(drafter)
    for wrong in ({"output.weight": np.zeros((64, 300), np.float32)}, {"draft_vocabulary": np.arange(41)[::-1]}):
        with pytest.raises(ValueError):
            native_drafter(drafter.config, arrays | wrong, native.base, "float32")
