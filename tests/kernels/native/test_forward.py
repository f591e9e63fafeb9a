"""The forward of every family against transformers' own, and bit for bit against itself, however it is cut."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from kernels.native import NativeCache, NativeError, NativeLibrary, NativeModel, Segment
from kernels.native.from_transformers import read_spec, read_weights
from kernels.native.library import instruction_sets
from tests.kernels.native.calls import bits
from tests.kernels.native.families import FAMILIES, VOCABULARY, build, depths_of, path_to, random_parents

CONTEXT, NODES, ROUNDS = 40, 12, 2
TOLERANCE = 1e-4  # noise of stock eager against stock sdpa is 1e-5; a wrong token in sight gives more than 0.1
VISIBLE = 0.05
FORMATS = ("int8", "float32", "bfloat16")


@pytest.fixture(autouse=True, scope="module")
def _one_torch_thread() -> Iterator[None]:
    """Tiny models gain nothing from more, and torch's threads spin."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def native(library: NativeLibrary, model: Any, format: Any = "float32", **settings: Any) -> NativeModel:
    spec = read_spec(model, format, **settings)
    return NativeModel.of(library, spec, read_weights(model, spec))


def tokens(count: int, seed: int = 5) -> np.ndarray[Any, np.dtype[np.int32]]:
    return np.random.default_rng(seed).integers(3, VOCABULARY, count).astype(np.int32)


def tree_segment(cache: NativeCache, committed: int, ids: Any, parents: list[int]) -> Segment:
    return Segment(cache, committed, ids, np.array(parents, np.int32), np.array(depths_of(parents), np.int32))


def run(model: NativeModel, ids: Any, cuts: Iterable[int], cache: NativeCache | None = None) -> Any:
    """Hidden states of a chain cut into pieces."""
    cache = cache or model.new_cache(len(ids))
    pieces, start = [], 0
    for cut in cuts:
        pieces.append(model.forward([Segment.chain(cache, start, ids[start : start + cut])]).hidden)
        start += cut
    assert start == len(ids)
    return np.concatenate(pieces)


def stock(model: Any, ids: Any) -> Any:
    with torch.no_grad():
        return model(input_ids=torch.tensor(np.asarray(ids), dtype=torch.long)[None], use_cache=False).logits[0].numpy()


def worst_error(library: NativeLibrary, family: str, corrupt: str | None = None) -> float:
    """Largest logit difference over all nodes of all rounds, a path being committed between rounds."""
    reference = build(family)
    model = native(library, reference)
    random, text = np.random.default_rng(3), tokens(CONTEXT)
    cache = model.new_cache(CONTEXT + ROUNDS * 6 + NODES)
    out = model.forward([Segment.chain(cache, 0, text)])
    worst = float(np.abs(model.logits(out.hidden) - stock(reference, text)).max())
    for _ in range(ROUNDS):
        parents, drafted = random_parents(NODES, random), tokens(NODES, int(random.integers(1000)))
        given = [-1, *range(NODES - 1)] if corrupt == "chain" else parents
        logits = model.logits(model.forward([tree_segment(cache, len(text), drafted, given)]).hidden)
        for node in range(NODES):
            expected = stock(reference, [*text, *drafted[path_to(node, parents)]])[-1]
            worst = max(worst, float(np.abs(logits[node] - expected).max()))
            if corrupt and worst > VISIBLE:
                return worst
        path = path_to(int(np.argmax(depths_of(parents))), parents)
        if corrupt != "commit":
            assert cache.commit(len(text), path) == len(text) + len(path)
        text = np.concatenate([text, drafted[path]])
    return worst


@pytest.mark.parametrize("family", FAMILIES)
def test_a_tree_equals_transformers_sequence_by_sequence(family: str, library: NativeLibrary) -> None:
    assert worst_error(library, family) < TOLERANCE


@pytest.mark.parametrize("corrupt", ["chain", "commit"])
@pytest.mark.parametrize("family", FAMILIES)
def test_a_wrong_tree_shows(family: str, corrupt: str, library: NativeLibrary) -> None:
    assert worst_error(library, family, corrupt) > VISIBLE


@pytest.mark.parametrize("family", FAMILIES)
def test_taps_are_the_residual_stream(family: str, library: NativeLibrary) -> None:
    reference, ids = build(family, num_hidden_layers=2), tokens(23)
    model = native(library, reference)
    out = model.forward([Segment.chain(model.new_cache(23), 0, ids)], taps=[0, 1])
    with torch.no_grad():
        states: list[torch.Tensor] = []
        hooks = [layer.register_forward_hook(lambda *call: states.append(call[2])) for layer in reference.model.layers]
        final = reference.model(input_ids=torch.tensor(ids, dtype=torch.long)[None], use_cache=False).last_hidden_state
        for hook in hooks:
            hook.remove()
    for tap, state in zip(out.taps, states, strict=True):
        assert np.abs(tap - state[0].numpy()).max() < TOLERANCE
    assert np.abs(out.hidden - final[0].numpy()).max() < TOLERANCE


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("family", FAMILIES)
def test_rows_are_the_same_bits_however_they_are_cut(family: str, format: str, library: NativeLibrary) -> None:
    model, ids = native(library, build(family), format), tokens(150)
    whole = run(model, ids, [150])
    for cuts in ([1] * 150, [7] * 21 + [3], [13, 24, 113]):
        assert (bits(run(model, ids, cuts)) == bits(whole)).all(), cuts
    logits = model.logits(whole)
    assert (bits(np.concatenate([model.logits(whole[i : i + 1]) for i in range(0, 150, 9)])) == bits(logits[::9])).all()


@pytest.mark.parametrize("format", ["int8", "float32"])
@pytest.mark.parametrize("kept", ["float32", "bfloat16", "int8"])
@pytest.mark.parametrize("family", ["mistral-full", "gemma3-mixed", "olmo2", "llama-one-group"])
def test_a_trees_rows_are_the_bits_of_plain_decoding(
    family: str, format: str, kept: str, library: NativeLibrary
) -> None:
    """Contexts around a block's end, so that strays lie in the block before and the one after."""
    if kept == "int8" and family in ("olmo2", "llama-one-group"):
        pytest.skip("its head dim is no multiple of 32")
    model = native(library, build(family), format, key_value_dtype=kept)
    random = np.random.default_rng(1)
    for context in (1, 120, 128, 250):
        text, drafted, parents = tokens(context), tokens(40, 9), random_parents(40, random, deepest=12)
        cache = model.new_cache(context + 60)
        run(model, text, [context], cache)
        out = model.forward([tree_segment(cache, context, drafted, parents)]).hidden
        deepest = int(np.argmax(depths_of(parents)))
        for node in (0, 17, 39, deepest):
            alone = np.concatenate([text, drafted[path_to(node, parents)]])
            assert (bits(run(model, alone, [context] + [1] * (len(alone) - context))[-1]) == bits(out[node])).all()
        path = path_to(deepest, parents)
        cache.commit(context, path)
        after = model.forward([Segment.chain(cache, context + len(path), [5])]).hidden
        alone = np.concatenate([text, drafted[path], [5]])
        assert (bits(run(model, alone, [len(alone)])[-1]) == bits(after[0])).all()


@pytest.mark.parametrize("format", FORMATS)
def test_segments_do_not_see_each_other(format: str, library: NativeLibrary) -> None:
    model = native(library, build("qwen2-mixed"), format)
    lengths = (1, 30, 131, 2, 64)
    texts = [tokens(length, seed) for seed, length in enumerate(lengths)]
    caches = [model.new_cache(140) for _ in lengths]
    out = model.forward([Segment.chain(cache, 0, text) for cache, text in zip(caches, texts, strict=True)]).hidden
    steps = model.forward([Segment.chain(c, len(t), [7]) for c, t in zip(caches, texts, strict=True)]).hidden
    start = 0
    for text, step in zip(texts, steps, strict=True):
        alone = run(model, np.append(text, 7), [len(text), 1])
        assert (bits(out[start : start + len(text)]) == bits(alone[:-1])).all()
        assert (bits(step) == bits(alone[-1])).all()
        start += len(text)


@pytest.mark.parametrize("format", FORMATS)
def test_threads_and_instruction_sets_give_the_same_bits(
    format: str, built: Path, library: NativeLibrary, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kernels.native.library.cores", lambda: 5)
    reference, ids = build("gemma2-mixed"), tokens(140)
    expected = bits(run(native(library, reference, format), ids, [140]))
    tried = 0
    for one in instruction_sets(library.c):
        for threads in (1, 3, 5) if one.missing is None else ():
            model = native(NativeLibrary.open(built, isa=one.name, threads=threads), reference, format)
            assert (bits(run(model, ids, [100, 1, 1, 38])) == expected).all(), (one.name, threads)
            tried += 1
    assert tried >= 3


@pytest.mark.parametrize("family", ["llama", "qwen3", "gemma3-mixed"])
def test_int8_stays_near_float32(family: str, library: NativeLibrary) -> None:
    """Random weights are the worst case for quantising; still the distributions are close."""
    reference, ids = build(family), tokens(120)
    exact = torch.tensor(stock(reference, ids)).log_softmax(-1)
    cases = [("int8", "bfloat16", 0.02), ("bfloat16", "float32", 0.002)]
    if family != "llama":
        cases.append(("float32", "int8", 0.02))
    for format, kept, limit in cases:
        model = native(library, reference, format, key_value_dtype=kept)
        found = torch.tensor(model.logits(run(model, ids, [120]))).log_softmax(-1)
        assert float((exact.exp() * (exact - found)).sum(-1).mean()) < limit


def test_packing_takes_every_dtype(library: NativeLibrary) -> None:
    reference = build("llama").to(torch.bfloat16)
    spec = read_spec(reference, "float32")
    ids, outcomes = tokens(9), []
    for dtype in (torch.bfloat16, torch.float32):
        reference = reference.to(dtype)
        model = NativeModel.of(library, spec, read_weights(reference, spec))
        outcomes.append(bits(run(model, ids, [9])))
    assert (outcomes[0] == outcomes[1]).all()
    half = build("llama").half().float()  # its rotary table is rounded too
    spec = read_spec(half, "float32")
    model = NativeModel.of(library, spec, read_weights(half.half(), spec))
    assert np.abs(model.logits(run(model, ids, [9])) - stock(half.float(), ids)).max() < TOLERANCE


def test_keys_and_values_are_kept_as_the_model_allows() -> None:
    kept = {family: read_spec(build(family), "int8").key_value_dtype for family in ("mistral-full", "qwen2", "llama")}
    assert kept == {"mistral-full": "int8", "qwen2": "bfloat16", "llama": "bfloat16"}  # heads of 32; biases; of 16
    assert read_spec(build("mistral-full"), "bfloat16").key_value_dtype == "float32"


@pytest.mark.parametrize("mapped", [False, True])
def test_a_packed_model_is_saved_and_loaded(library: NativeLibrary, tmp_path: Path, mapped: bool) -> None:
    model, ids = native(library, build("qwen3"), "int8"), tokens(20)
    path = tmp_path / "packed"
    model.save(path)
    again = NativeModel.load(library, model.spec, path, mapped)
    assert (bits(run(again, ids, [20])) == bits(run(model, ids, [20]))).all()
    with pytest.raises(NativeError, match="another spec"):
        NativeModel.load(library, native(library, build("llama"), "int8").spec, path, mapped)
    for content in (b"", b"short", path.read_bytes()[:-4096], b"\0" * 8 + path.read_bytes()[8:]):
        (tmp_path / "broken").write_bytes(content)
        with pytest.raises(NativeError, match="pack it anew"):
            NativeModel.load(library, model.spec, tmp_path / "broken", mapped)


def test_two_threads_take_turns(library: NativeLibrary) -> None:
    model, ids = native(library, build("llama"), "int8"), tokens(60)
    expected, wrong = bits(run(model, ids, [60])), []

    def work() -> None:
        for _ in range(20):
            if not (bits(run(model, ids, [20] * 3)) == expected).all():
                wrong.append(1)

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_a_forked_child_starts_its_own_threads(library: NativeLibrary) -> None:
    model, ids = native(library, build("llama"), "int8"), tokens(30)
    expected = bits(run(model, ids, [30]))
    child = os.fork()
    if child == 0:
        os._exit(0 if (bits(run(model, ids, [30])) == expected).all() else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert (bits(run(model, ids, [30])) == expected).all()


def test_idle_threads_use_no_processor(library: NativeLibrary) -> None:
    model = native(library, build("llama"), "int8")
    run(model, tokens(30), [30])
    time.sleep(0.05)
    before = time.process_time()
    time.sleep(0.5)
    assert time.process_time() - before < 0.1


def test_wrong_calls_end_in_a_sentence(library: NativeLibrary) -> None:
    model, other = native(library, build("llama")), native(library, build("qwen2"))
    cache, one = model.new_cache(16), np.array([0], np.int32)
    root = np.array([-1], np.int32)
    with pytest.raises(NativeError, match="no room"):
        model.forward([Segment.chain(cache, 10, tokens(7))])
    with pytest.raises(NativeError, match="share a cache"):
        model.forward([Segment.chain(cache, 0, [5]), Segment.chain(cache, 0, [5])])
    with pytest.raises(NativeError, match="another model"):
        other.forward([Segment.chain(cache, 0, [5])])
    with pytest.raises(NativeError, match="vocabulary"):
        model.forward([Segment.chain(cache, 0, [VOCABULARY])])
    with pytest.raises(NativeError, match="depth"):
        model.forward([Segment(cache, 0, one + 5, root, one + 1)])
    with pytest.raises(NativeError, match="equally long"):
        model.forward([Segment(cache, 0, tokens(2), root, one)])
    with pytest.raises(NativeError, match="out of range"):
        cache.commit(0, [16])
    with pytest.raises(NativeError, match="out of range"):
        model.forward([Segment.chain(cache, 0, [5])], taps=[2])
    with pytest.raises(NativeError, match=r"\[rows, 64\]"):
        model.logits(np.zeros((2, 63), np.float32))


def test_shapes_that_do_not_fit_are_refused_in_a_sentence() -> None:
    for overrides, message in (
        ({"intermediate_size": 80}, "multiple of 32"),
        ({"hidden_size": 48, "num_attention_heads": 3, "num_key_value_heads": 1}, "multiple of 32"),
        ({"head_dim": 24}, "head dim is 24"),
        ({"hidden_act": "relu"}, "relu"),
    ):
        with pytest.raises(NativeError, match=message):
            read_spec(build("llama", **overrides), "int8")


def test_a_missing_or_doubled_weight_is_refused(library: NativeLibrary) -> None:
    reference = build("llama")
    spec = read_spec(reference, "int8")
    weights = list(read_weights(reference, spec))
    with pytest.raises(NativeError, match="1 weights are missing"):
        NativeModel.of(library, spec, weights[:-1])
    with pytest.raises(NativeError, match="unknown or doubled"):
        NativeModel.of(library, spec, [*weights, weights[0]])
