"""Drafter checkpoints: Apple's format and ours, there and back without loss; broken ones said in a sentence."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from playground.config import PlaygroundError
from playground.drafter.cell import Drafter
from playground.drafter.config import APPLE_CUT, DrafterConfig
from playground.drafter.file import load_drafter, save_drafter

APPLE = DrafterConfig(vocab_size=50, hidden_size=8, exit_dim=12, num_draft_layers=2)
OURS = replace(
    APPLE,
    draft_vocab_size=20,
    tied_head=True,
    context_layers=(1, 3),
    context_tokens=2,
    context_dim=6,
    lookup_tokens=3,
    logit_cut=0,
)
APPLE_TENSORS = {
    "input_proj.weight": (12, 16),
    "input_proj.bias": (12,),
    "rnn_u.weight": (8, 8),
    "rnn_u.bias": (8,),
    "rnn_w.weight": (8, 8),
    "lm_head.0.linear.weight": (12, 12),
    "lm_head.0.linear.bias": (12,),
    "lm_head.1.linear.weight": (12, 12),
    "lm_head.1.linear.bias": (12,),
    "lm_head.2.weight": (50, 12),
}


def apple_checkpoint(folder: Path, rename: Callable[[str], str] = str, **keys: Any) -> dict[str, Tensor]:
    """As Apple's code writes one, not through ours."""
    folder.mkdir(exist_ok=True)
    make = torch.Generator().manual_seed(1)
    tensors = {name: torch.randn(shape, generator=make) for name, shape in APPLE_TENSORS.items()}
    save_file({rename(name): tensor for name, tensor in tensors.items()}, folder / "model.safetensors")
    config = {
        "architectures": ["RecurrentDrafter"],
        "model_type": "recurrent_drafting_drafter",
        "vocab_size": 50,
        "hidden_size": 8,
        "exit_dim": 12,
        "num_draft_layers": 2,
        "num_lookback_tokens": 1,
        "rnn": True,
    }
    (folder / "config.json").write_text(json.dumps(config | keys))
    return tensors


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_apples_checkpoint_there_and_back(tmp_path: Path, dtype: torch.dtype) -> None:
    written = apple_checkpoint(tmp_path / "theirs")
    drafter = load_drafter(tmp_path / "theirs")
    assert drafter.cut == APPLE_CUT and drafter.full_ids is None and drafter.taps == ()
    assert drafter.config.num_lookback_tokens == 1 and drafter.config.apple_compatible
    save_drafter(drafter, tmp_path / "ours", dtype)
    again = load_file(tmp_path / "ours" / "model.safetensors")
    assert {name: tuple(tensor.shape) for name, tensor in again.items()} == APPLE_TENSORS
    assert all(torch.equal(again[name], written[name].to(dtype)) for name in written)
    keys = json.loads((tmp_path / "ours" / "config.json").read_text())
    theirs = json.loads((tmp_path / "theirs" / "config.json").read_text())
    assert keys == {name: value for name, value in theirs.items() if name != "architectures"}


@pytest.mark.parametrize(
    "rename",
    [
        lambda name: "0." + name,
        lambda name: name.replace("lm_head", "lm_heads"),
        lambda name: name.replace("input_proj", "input_projs"),
        lambda name: "0." + name.replace("lm_head", "lm_heads").replace("input_proj", "input_projs"),
    ],
    ids=["0.", "lm_heads", "input_projs", "all"],
)
def test_aliases(tmp_path: Path, rename: Callable[[str], str]) -> None:
    written = apple_checkpoint(tmp_path, rename)
    state = load_drafter(tmp_path).state_dict()
    assert torch.equal(state["output.weight"], written["lm_head.2.weight"])
    assert torch.equal(state["blocks.1.linear.bias"], written["lm_head.1.linear.bias"])
    assert torch.equal(state["input_proj.weight"], written["input_proj.weight"])


@pytest.mark.parametrize(
    "config", [OURS, replace(OURS, exit_dim=16), replace(APPLE, rnn=False)], ids=["ours", "", "sum"]
)
def test_our_checkpoint_there_and_back(tmp_path: Path, config: DrafterConfig) -> None:
    torch.manual_seed(2)
    drafter = Drafter(config)
    if config.draft_vocab_size:
        drafter.draft_vocabulary.copy_(torch.arange(0, 40, 2))
    save_drafter(drafter, tmp_path / "tiny", torch.float32)
    again = load_drafter(tmp_path / "tiny")
    assert again.config == config and again.name == "tiny"
    assert again.state_dict().keys() == drafter.state_dict().keys()
    assert all(torch.equal(again.state_dict()[name], tensor) for name, tensor in drafter.state_dict().items())
    weights = hashlib.sha256((tmp_path / "tiny" / "model.safetensors").read_bytes()).hexdigest()
    assert again.info().file_hash == weights
    assert not config.apple_compatible or "draft_vocab_size" not in json.loads(
        (tmp_path / "tiny" / "config.json").read_text()
    )


def break_weights(folder: Path, change: Callable[[dict[str, Tensor]], object]) -> None:
    tensors = load_file(folder / "model.safetensors")
    change(tensors)
    save_file(tensors, folder / "model.safetensors")


def test_a_truncated_file(tmp_path: Path) -> None:
    apple_checkpoint(tmp_path)
    file = tmp_path / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-20])
    with pytest.raises(PlaygroundError, match=r"model\.safetensors cannot be read as safetensors .* cut short"):
        load_drafter(tmp_path)


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(PlaygroundError, match=r"config\.json cannot be read"):
        load_drafter(tmp_path)
    apple_checkpoint(tmp_path)
    (tmp_path / "model.safetensors").unlink()
    with pytest.raises(PlaygroundError, match=r"model\.safetensors cannot be read"):
        load_drafter(tmp_path)


def test_missing_tensors(tmp_path: Path) -> None:
    apple_checkpoint(tmp_path)
    break_weights(tmp_path, lambda tensors: tensors.pop("rnn_u.bias"))
    with pytest.raises(PlaygroundError, match=r"lacks the tensors rnn_u\.bias"):
        load_drafter(tmp_path)


def test_a_wrong_shape(tmp_path: Path) -> None:
    apple_checkpoint(tmp_path)
    break_weights(tmp_path, lambda tensors: tensors.update({"lm_head.2.weight": torch.zeros(49, 12)}))
    with pytest.raises(PlaygroundError, match=r"lm_head\.2\.weight of shape \(49, 12\).* asks for \(50, 12\)"):
        load_drafter(tmp_path)


def test_a_config_that_lacks_keys(tmp_path: Path) -> None:
    apple_checkpoint(tmp_path)
    (tmp_path / "config.json").write_text('{"vocab_size": 50, "hidden_size": 8}')
    with pytest.raises(PlaygroundError, match=r"lacks exit_dim, num_draft_layers"):
        load_drafter(tmp_path)


def test_an_interrupted_save_leaves_the_old_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    apple_checkpoint(tmp_path)
    drafter = load_drafter(tmp_path)
    before = (tmp_path / "model.safetensors").read_bytes()

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("safetensors.torch.save_file", full)
    with pytest.raises(OSError, match="No space left"):
        save_drafter(drafter, tmp_path)
    assert (tmp_path / "model.safetensors").read_bytes() == before
