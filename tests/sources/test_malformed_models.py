"""Models made to hurt: each ends in a sentence, soon, before memory is taken for what its config asks for."""

from __future__ import annotations

import json
import os
import resource
import struct
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from playground.base_model.stock import load_transformers_model
from playground.drafter.file import MAX_CARD_BYTES, read_card
from playground.sources.catalogue import ModelFolder
from tests.sources.malformed import config_with, copied, load_a_drafter, load_base, written

Change = Callable[[Path], None]
HUGE = 2**40


def header(tensors: dict[str, Any], data: bytes = b"") -> bytes:
    """A safetensors file by hand."""
    body = json.dumps(tensors).encode()
    return struct.pack("<Q", len(body)) + body + data


EXABYTES = {"a": {"dtype": "F32", "shape": [2**40, 2**20], "data_offsets": [0, 4]}}
BPE_WITH_A_HOLE = b'{"model": {"type": "BPE", "vocab": {"a": 5}, "merges": [["x"]]}}'
BASES: dict[str, Change] = {
    **{
        f"{key} = {value!r:.30}": config_with(**{key: value})
        for key, values in {
            "vocab_size": (0, -1, HUGE, 10**30, 1.5, "x", [1], True),
            "hidden_size": (0, HUGE, "32", 33),
            "num_hidden_layers": (0, -1, 10**6, 1.5),
            "intermediate_size": (HUGE, -4),
            "num_attention_heads": (0, 7, 10**6),
            "num_key_value_heads": (3, 0, -2),
            "head_dim": (HUGE, -1),
            "max_position_embeddings": (HUGE, 0, -1, "all"),
            "rope_theta": ("x", -1, 1e300),
            "rms_norm_eps": ("x", -1),
            "model_type": (5, [], {}, "no such", "t5", "bert"),
            "eos_token_id": ("x", [1, "2"], {"a": 1}, [0] * 2000),
            "dtype": ("nn", "float8", 7, []),
            "torch_dtype": ("nn",),
            "rope_parameters": ("x", {"rope_type": "none"}, []),
            "layer_types": (["no such"] * 2, "x", ["full_attention"] * 10**6),
            "hidden_act": ("no such", 5),
            "architectures": (5,),
            "tie_word_embeddings": ("x",),
            "quantization_config": ("x", {"quant_method": "gptq"}),
            "rope_scaling": ({"type": "x", "factor": "y"},),
            "attention_bias": ("x",),
            "pad_token_id": (10**9,),
        }.items()
        for value in values
    },
    "hidden_size asks for more than is there": config_with(hidden_size=2**16, num_attention_heads=64, head_dim=64),
    "layers ask for more than is there": config_with(num_hidden_layers=500),
    "a vocabulary beyond what is there": config_with(vocab_size=2**23),
    "config of megabytes": written("config.json", b'{"a": "' + b"x" * 5 * 2**20 + b'"}'),
    "config too deep": written("config.json", b'{"a":' * 10_000 + b"1" + b"}" * 10_000),
    "config deep": written("config.json", b'{"model_type":"llama","a":' + b'{"a":' * 20 + b"1" + b"}" * 21),
    "config with a number of 5,000 digits": written("config.json", b'{"vocab_size": ' + b"9" * 5000 + b"}"),
    "config with no numbers": written("config.json", b'{"model_type": "llama", "rms_norm_eps": NaN}'),
    "config that is a list": written("config.json", b"[]"),
    "config of other bytes": written("config.json", b"\xff\xfe"),
    "tokenizer of other bytes": written("tokenizer.json", b"\xff\xfe"),
    "tokenizer that is a list": written("tokenizer.json", b"[]"),
    "tokenizer too deep": written("tokenizer.json", b"[" * 100_000),
    "tokenizer with a hole": written("tokenizer.json", BPE_WITH_A_HOLE),
    "tokenizer config that is a list": written("tokenizer_config.json", b"[]"),
    "tokenizer config of wrong kinds": written("tokenizer_config.json", b'{"tokenizer_class": 5}'),
    "index that is a list": written("model.safetensors.index.json", b"[]"),
    "index too deep": written("model.safetensors.index.json", b"[" * 100_000),
    "index out of the folder": written("model.safetensors.index.json", b'{"weight_map": {"a": "../../x.safetensors"}}'),
    "index of numbers": written("model.safetensors.index.json", b'{"weight_map": {"a": 5}}'),
    "weights that are empty": written("model.safetensors", b""),
    "weights with a header of exabytes": written("model.safetensors", b"\xff" * 64),
    "weights with a tensor of exabytes": written("model.safetensors", header(EXABYTES, b"1234")),
    "weights of nothing": written("model.safetensors", header({})),
    "generation config that is a list": written("generation_config.json", b"[]"),
    "generation config of wrong kinds": written("generation_config.json", b'{"eos_token_id": {"a": 1}}'),
    "chat template of megabytes": written("chat_template.jinja", b"x" * 3 * 2**20),
}
FINE = {
    "attention_bias = 'x'",
    "tie_word_embeddings = 'x'",
    "architectures = 5",
    "rms_norm_eps = None",
    "chat template of megabytes",
}


@pytest.mark.parametrize("name", BASES)
def test_a_malformed_base_model_is_a_sentence(name: str, tiny_base: Path) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    begun = time.process_time()
    with copied(tiny_base, BASES[name]) as folder:
        told = load_base(folder)
    assert time.process_time() - begun < 20
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 2**20  # KiB: a gigabyte
    assert (told is not None and told.endswith(".") and len(told) < 1000) or name in FINE or "rope" in name, told


def without(name: str) -> Change:
    def change(folder: Path) -> None:
        file = folder / "model.safetensors"
        save_file({key: value for key, value in load_file(file).items() if key != name}, file)

    return change


def with_tensor(name: str, tensor: torch.Tensor) -> Change:
    def change(folder: Path) -> None:
        file = folder / "model.safetensors"
        save_file(load_file(file) | {name: tensor}, file)

    return change


ASCENDING = torch.arange(64, dtype=torch.int32)
DRAFTERS: dict[str, Change] = {
    **{
        f"{key} = {value!r:.30}": config_with(**{key: value})
        for key, values in {
            "vocab_size": (0, HUGE, "x", True, 10),
            "hidden_size": (HUGE, -1, 1.5),
            "exit_dim": (HUGE, 0, [], 64),
            "num_draft_layers": (-1, 10**9, "x", 2),
            "draft_vocab_size": (-1, HUGE, "x", 10**6, 63),
            "logit_cut": (-1, "x"),
            "context_layers": (5, [0], [10**9], ["x"], [1] * 99, [[1]]),
            "context_tokens": (HUGE, -1),
            "context_dim": (HUGE,),
            "copy_chances": ("x", ["x"], [0.5], [2.0] * 32, [0.1] * 99, 5),
            "calibration": ("x", ["x"], [0], [1e300]),
            "lookup_tokens": (HUGE, -1, "x"),
            "lookup_match": (HUGE, -1, 0.5),
            "rnn": ("x", 5),
            "tied_head": (5,),
        }.items()
        for value in values
    },
    "config that is a list": written("config.json", b"[]"),
    "config too deep": written("config.json", b"[" * 100_000),
    "no config": lambda folder: (folder / "config.json").unlink(),
    "ids beyond the vocabulary": with_tensor("draft_vocabulary", ASCENDING + 10_000),
    "ids below 0": with_tensor("draft_vocabulary", ASCENDING - 1),
    "ids not sorted": with_tensor("draft_vocabulary", ASCENDING.flip(0)),
    "ids doubled": with_tensor("draft_vocabulary", ASCENDING // 2),
    "ids that are no whole numbers": with_tensor("draft_vocabulary", ASCENDING * 1.0),
    "ids of another shape": with_tensor("draft_vocabulary", ASCENDING[:, None].clone()),
    "weights of whole numbers": with_tensor("tied_projection.weight", torch.zeros(32, 24, dtype=torch.int32)),
    "weights of another shape": with_tensor("tied_projection.weight", torch.zeros(24, 32)),
    "a tensor is missing": without("tied_projection.weight"),
    "weights that are empty": written("model.safetensors", b""),
    "weights of nothing": written("model.safetensors", header({})),
}


@pytest.mark.parametrize("name", DRAFTERS)
def test_a_malformed_drafter_is_a_sentence(name: str, tiny_drafter: Path) -> None:
    begun = time.process_time()
    with copied(tiny_drafter, DRAFTERS[name]) as folder:
        told = load_a_drafter(folder)
    assert told is not None and told.endswith(".") and len(told) < 1000 and time.process_time() - begun < 10, told


@pytest.mark.parametrize("key", ["_attn_implementation", "attn_implementation"])
@pytest.mark.parametrize("value", ["flash_attention_2", "somebody/kernels-of-theirs", "flex_attention"])
def test_a_config_does_not_choose_the_attention(key: str, value: str, tiny_base: Path) -> None:
    """Such a name may be a hub repository, whose code would be fetched and run."""
    with copied(tiny_base, config_with(**{key: value, "experts_implementation": value})) as folder:
        model = load_transformers_model(
            ModelFolder("tiny", folder), device=torch.device("cpu"), dtype=torch.float32, device_map=None
        )
    assert model.config._attn_implementation == "sdpa"


def test_a_card_is_bounded_and_leads_nowhere(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("hidden")
    folder = tmp_path / "drafter"
    folder.mkdir()
    card = folder / "README.md"
    for target in (secret, "/etc/passwd", folder / "none", folder):
        card.symlink_to(target)
        assert read_card(folder) == ""
        card.unlink()
    os.mkfifo(card)
    assert read_card(folder) == ""
    card.unlink()
    card.write_text("x" * (MAX_CARD_BYTES + 10))
    assert len(read_card(folder)) == MAX_CARD_BYTES


def test_a_card_in_the_hubs_cache_is_read(tmp_path: Path) -> None:
    """There every file of a model is a link to a blob beside it."""
    blob = tmp_path / "models--a--b" / "blobs" / "0"
    snapshot = tmp_path / "models--a--b" / "snapshots" / "1"
    for place in (blob.parent, snapshot):
        place.mkdir(parents=True)
    blob.write_text("---\nlicense: x\n---\nHello")
    (snapshot / "README.md").symlink_to(blob)
    assert read_card(snapshot) == "Hello"
