"""Everything around the forward: head rows, taps, prefill, cache limits, windows, precision."""

from __future__ import annotations

import copy
import gc
from pathlib import Path

import pytest
import torch

from kernels import KernelSet
from playground.base_model import adapter as base_module
from playground.base_model.adapter import BaseModel
from playground.config import PlaygroundError
from playground.memory import explain_out_of_memory
from tests.families import FAMILIES, SLIDING, VOCABULARY, Sequential, build

CPU = torch.device("cpu")
ROOT_DEPTH = torch.zeros(1, dtype=torch.int64)
ALONE = torch.ones(1, 1, dtype=torch.bool)


def text(length: int, seed: int = 3) -> torch.Tensor:
    return torch.randint(3, VOCABULARY, (length,), generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("family", FAMILIES)
def test_output_rows_are_the_stock_logits(family: str, kernels: KernelSet) -> None:
    model = build(family)
    stock = Sequential(model)
    base = BaseModel.from_model(model, kernels=kernels)
    output = base.prefill(text(12), base.new_cache(16))
    ids = torch.tensor([5, 90, 5, 0])
    expected = stock(text(12))
    torch.testing.assert_close(base.output_rows(ids)(output.hidden)[0], expected[ids], atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(base.output_rows()(output.hidden)[0], expected, atol=1e-4, rtol=1e-4)
    each = base.token_logits(output.hidden.expand(4, -1), ids)
    torch.testing.assert_close(each, expected[ids], atol=1e-4, rtol=1e-4)


def test_a_head_that_is_read_wrongly_is_not_lent(kernels: KernelSet) -> None:
    model = build("granite")
    model.config.unknown_factor, original = 3.0, model.forward

    def scaled(*arguments: object, **named: object) -> object:
        output = original(*arguments, **named)
        output.logits = output.logits * model.config.unknown_factor
        return output

    model.forward = scaled
    base = BaseModel.from_model(model, kernels=kernels)
    with pytest.raises(PlaygroundError, match="scales its logits in a way that is not known"):
        base.output_rows(torch.tensor([1]))


@pytest.mark.parametrize("family", ["llama", "gemma2-mixed", "gpt2", "gpt-neox", "granite", "opt"])
def test_taps_are_the_residual_stream(family: str, kernels: KernelSet) -> None:
    model = build(family, num_hidden_layers=3, layer_types=None, **({"n_layer": 3} if family == "gpt2" else {}))
    stock = Sequential(model)
    base = BaseModel.from_model(model, kernels=kernels)
    base.set_taps((1, 2))
    assert base.context_size == 3 * 32
    prompt = text(9)
    states = stock.all_hidden(prompt)
    cache = base.new_cache(16)
    output = base.prefill(prompt[:-2], cache)
    expected = torch.cat([states[1], states[2]], dim=-1)
    torch.testing.assert_close(output.hidden[:, 32:], expected[6:7], atol=1e-4, rtol=1e-4)
    depth, ancestors = torch.arange(2), torch.ones(2, 2, dtype=torch.bool).tril()
    output = base.forward(prompt[-2:], depth, ancestors, cache)
    torch.testing.assert_close(output.hidden[:, 32:], expected[7:], atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(output.hidden[:, :32], states[-1][7:], atol=1e-4, rtol=1e-4)
    base.set_taps(())
    assert base.forward(prompt[-2:], depth, ancestors, cache).hidden.shape == (2, 32)


def test_a_tap_beyond_the_last_layer_is_refused(kernels: KernelSet) -> None:
    base = BaseModel.from_model(build("llama"), kernels=kernels)
    with pytest.raises(PlaygroundError, match=r"after layer 3.*has 2 layers"):
        base.set_taps((3,))


def test_the_embedding_is_the_models_own_and_frozen(kernels: KernelSet) -> None:
    model = build("llama")
    base = BaseModel.from_model(model, kernels=kernels)
    ids = torch.tensor([[4, 7], [9, 1]])
    assert torch.equal(base.embed(ids), model.get_input_embeddings().weight[ids])
    assert not base.embed(ids).requires_grad and not base.output_rows(ids[0]).weight.requires_grad


def test_prefill_in_chunks_gives_what_one_gives(kernels: KernelSet, monkeypatch: pytest.MonkeyPatch) -> None:
    base = BaseModel.from_model(build("mistral-sliding"), kernels=kernels)
    whole = base.prefill(text(50), base.new_cache(50))
    monkeypatch.setattr(base_module, "PREFILL_CHUNK", 7)
    cache = base.new_cache(50)
    parts = base.prefill(text(50), cache)
    assert cache.committed == int(cache.committed_tensor) == 50
    assert parts.logits.shape == (1, VOCABULARY)
    torch.testing.assert_close(parts.logits, whole.logits, atol=1e-5, rtol=1e-5)


def test_one_token_at_a_time_past_the_sliding_window(kernels: KernelSet) -> None:
    model = build("mistral-sliding")
    stock, base = Sequential(model), BaseModel.from_model(model, kernels=kernels)
    prompt, cache = text(SLIDING + 9), base.new_cache(64)
    base.prefill(prompt[:4], cache)
    for end in range(5, len(prompt) + 1):
        output = base.forward(prompt[end - 1 : end], ROOT_DEPTH, ALONE, cache)
        cache.commit(ROOT_DEPTH)
        torch.testing.assert_close(output.logits[0], stock(prompt[:end]), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("windows", [None, SLIDING + 1, SLIDING - 1], ids=["none", "one-more", "one-less"])
@pytest.mark.parametrize("family", [name for name, (_, settings) in FAMILIES.items() if "sliding_window" in settings])
def test_a_wrong_window_shows(family: str, windows: int | None, kernels: KernelSet) -> None:
    model = build(family)
    stock, base = Sequential(model), BaseModel.from_model(model, kernels=kernels)
    found = base._attention.windows
    if family == "mistral-full":
        assert found == (None, None)
        return
    assert SLIDING in found
    base._attention.windows = tuple(windows if window == SLIDING else None for window in found)
    output = base.prefill(text(40), base.new_cache(40))
    assert float((output.logits[0] - stock(text(40))).abs().max()) > 1e-3


@pytest.mark.parametrize(("family", "name"), [("gemma2-mixed", "softcap"), ("gpt-oss-sinks", "sinks")])
def test_soft_cap_and_sinks_reach_the_kernel(family: str, name: str, kernels: KernelSet) -> None:
    from dataclasses import replace

    seen: list[object] = []

    def spy(*arguments: object, **named: object) -> torch.Tensor:
        seen.append(named[name])
        return kernels.tree_attention(*arguments, **named)

    base = BaseModel.from_model(build(family), kernels=replace(kernels, tree_attention=spy))
    base.prefill(text(5), base.new_cache(8))
    assert seen and all(value is not None for value in seen)


def test_two_caches_of_one_model_do_not_meet(kernels: KernelSet) -> None:
    base = BaseModel.from_model(build("llama"), kernels=kernels)
    one, other = base.new_cache(32), base.new_cache(32)
    expected = base.prefill(text(10), one).logits
    base.prefill(text(10, seed=8), other)
    again = base.new_cache(32)
    base.prefill(text(9), again)
    last = text(10)[9:]
    torch.testing.assert_close(base.forward(last, ROOT_DEPTH, ALONE, again).logits, expected)
    one.reset()
    assert one.committed == int(one.committed_tensor) == 0
    torch.testing.assert_close(base.prefill(text(10), one).logits, expected)


def test_two_models_of_one_family_do_not_meet(kernels: KernelSet) -> None:
    first = build("llama")
    second = copy.deepcopy(first)
    one, other = BaseModel.from_model(first, kernels=kernels), BaseModel.from_model(second, kernels=kernels)
    caches = one.new_cache(16), other.new_cache(16)
    assert torch.equal(one.prefill(text(6), caches[0]).logits, other.prefill(text(6), caches[1]).logits)


def test_a_closed_model_is_forgotten(kernels: KernelSet) -> None:
    from transformers import AttentionInterface

    base = BaseModel.from_model(build("llama"), kernels=kernels)
    name = base._attention.name
    assert name in AttentionInterface._global_mapping
    del base
    gc.collect()
    assert name not in AttentionInterface._global_mapping
    assert not [key for key in AttentionInterface._global_mapping if key.startswith("redrafter_probe")]


def test_a_full_cache_says_so(kernels: KernelSet) -> None:
    base = BaseModel.from_model(build("llama"), kernels=kernels)
    cache = base.new_cache(10)
    base.prefill(text(9), cache)
    with pytest.raises(PlaygroundError, match="holds 10 tokens and 9 are taken, so 2 more"):
        base.forward(text(2), torch.arange(2), torch.ones(2, 2, dtype=torch.bool).tril(), cache)
    assert cache.committed == 9
    base.forward(text(1), ROOT_DEPTH, ALONE, cache)  # what does fit still runs
    with pytest.raises(PlaygroundError, match="at least 1"):
        base.new_cache(0)


@pytest.mark.parametrize("family", ["llama", "gpt2"])
def test_positions_beyond_the_window_are_refused(family: str, kernels: KernelSet) -> None:
    base = BaseModel.from_model(build(family), kernels=kernels)
    assert base.window == 128
    cache = base.new_cache(200)
    with pytest.raises(PlaygroundError, match=r"position 130.*window of 128"):
        base.prefill(text(130), cache)
    base.prefill(text(127), cache)
    base.forward(text(1), ROOT_DEPTH, ALONE, cache)
    with pytest.raises(PlaygroundError, match="position 129"):
        base.forward(text(2), torch.arange(2), torch.ones(2, 2, dtype=torch.bool).tril(), cache)


def test_an_empty_prompt_is_refused(kernels: KernelSet) -> None:
    base = BaseModel.from_model(build("llama"), kernels=kernels)
    with pytest.raises(PlaygroundError, match="empty"):
        base.prefill(text(0), base.new_cache(4))


@pytest.mark.parametrize("family", ["llama", "gemma2-mixed", "gpt-neox"])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64], ids=str)
def test_other_precisions_load_and_stay_close(family: str, dtype: torch.dtype, kernels: KernelSet) -> None:
    model = build(family).to(dtype)
    stock, base = Sequential(model), BaseModel.from_model(model, kernels=kernels)
    assert base.dtype == dtype and base.new_cache(4).keys[0].dtype == dtype
    expected = stock(text(20)).double()
    got = base.prefill(text(20), base.new_cache(20)).logits[0].double()
    limit = 1e-3 if dtype == torch.float64 else 0.3
    assert float((got - expected).square().mean().sqrt() / expected.std()) < limit


@pytest.mark.parametrize("counted", [False, True], ids=["known", "counted on the device"])
def test_the_commit_is_exact_in_place(kernels: KernelSet, counted: bool) -> None:
    """Path [0, 2, 3] reads row 2 while row 1 takes it: every row must arrive as it was."""
    base = BaseModel.from_model(build("llama"), kernels=kernels)
    cache = base.new_cache(12)
    base.prefill(text(4), cache)
    depth = torch.tensor([0, 1, 1, 2])
    ancestors = torch.tensor([[1, 0, 0, 0], [1, 1, 0, 0], [1, 0, 1, 0], [1, 0, 1, 1]], dtype=torch.bool)
    base.forward(text(4), depth, ancestors, cache)
    before = [keys.clone() for keys in cache.keys], [values.clone() for values in cache.values]
    if counted:
        cache.commit_counted(torch.tensor([0, 2, 3, -1, -1]), torch.tensor(3))
        assert cache.committed == 4  # the host has not heard yet
        cache.follow(7)
    else:
        cache.commit(torch.tensor([0, 2, 3]))
    assert cache.committed == 7 and int(cache.committed_at(1)) == 7
    for now, then in ((cache.keys, before[0]), (cache.values, before[1])):
        for layer in range(2):
            assert torch.equal(now[layer][:, :4], then[layer][:, :4])
            assert torch.equal(now[layer][:, 4:7], then[layer][:, [4, 6, 7]])


def test_the_host_counts_no_further_than_the_cache_holds(kernels: KernelSet) -> None:
    cache = BaseModel.from_model(build("llama"), kernels=kernels).new_cache(6)
    cache.extend(4)
    cache.follow(6)
    cache.follow(6)  # hearing it twice changes nothing
    assert cache.committed == 6
    with pytest.raises(PlaygroundError, match="holds 6 tokens and 6 are taken, so 1 more do not fit"):
        cache.follow(7)


def test_an_outer_inference_mode_leaves_the_cache_usable(kernels: KernelSet) -> None:
    base = BaseModel.from_model(build("llama"), kernels=kernels)
    with torch.inference_mode():
        cache = base.new_cache(16)
        base.prefill(text(5), cache)
    cache.extend(1)
    base.forward(text(3), torch.tensor([0, 1, 1]), torch.eye(3, dtype=torch.bool), cache)
    cache.commit(torch.tensor([0, 2]))


def test_info_tells_the_model(kernels: KernelSet) -> None:
    model = build("llama", eos_token_id=[2, 7])
    base = BaseModel.from_model(model, kernels=kernels, name="tiny")
    info = base.info()
    assert (info.name, info.family, info.layers, info.hidden_size, info.window) == ("tiny", "llama", 2, 32, 128)
    assert info.vocab_size == base.vocab_size == VOCABULARY
    assert info.parameters == sum(weight.numel() for weight in model.parameters())
    assert base.eos_ids == {2, 7}
    other = BaseModel.from_model(build("llama", rms_norm_eps=1e-5), kernels=kernels).info()
    same = BaseModel.from_model(build("llama", eos_token_id=[2, 7]).to(torch.bfloat16), kernels=kernels).info()
    assert info.config_hash == same.config_hash != other.config_hash


def test_load_from_a_folder_with_progress(model_folder: Path, kernels: KernelSet) -> None:
    told: list[tuple[float, str]] = []
    base = BaseModel.load(
        model_folder, device=CPU, dtype=torch.float32, kernels=kernels, progress=lambda *step: told.append(step)
    )
    assert base.name == "tiny-llama"
    assert told[-1] == (1.0, "tiny-llama is loaded") and [done for done, _ in told] == sorted(done for done, _ in told)
    stock = Sequential(build("llama"))
    torch.testing.assert_close(base.prefill(text(8), base.new_cache(8)).logits[0], stock(text(8)), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("device_map", [{"": "cpu"}, "auto"], ids=["one", "auto"])
def test_load_with_a_device_map(model_folder: Path, kernels: KernelSet, device_map: object) -> None:
    pytest.importorskip("accelerate")
    base = BaseModel.load(model_folder, device=CPU, dtype=torch.float32, kernels=kernels, device_map=device_map)
    stock = Sequential(build("llama"))
    torch.testing.assert_close(base.prefill(text(8), base.new_cache(8)).logits[0], stock(text(8)), atol=1e-4, rtol=1e-4)


def test_out_of_memory_is_said(kernels: KernelSet) -> None:
    base = BaseModel.from_model(build("llama"), kernels=kernels)
    with pytest.raises(PlaygroundError, match=r"no room in memory for a cache of .* tokens .*smaller beam shape"):
        base.new_cache(1 << 44)
    with (
        pytest.raises(PlaygroundError, match=r"a test \(1\.5 KiB\)\. Do less\."),
        explain_out_of_memory("a test", 1536, "Do less"),
    ):
        raise torch.OutOfMemoryError("CUDA out of memory")
    with pytest.raises(RuntimeError, match="something else"), explain_out_of_memory("a test", None, "Do less"):
        raise RuntimeError("something else")
