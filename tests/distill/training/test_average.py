"""The mean of several drafters: their weights' mean, nothing else, and refused where it would mean nothing."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from playground.cli import main
from playground.config import PlaygroundError
from playground.distill.training.average import average
from playground.drafter.cell import Drafter
from playground.drafter.config import DrafterConfig
from playground.drafter.file import load_drafter, save_drafter

CONFIG = DrafterConfig(40, 8, 16, num_draft_layers=1, draft_vocab_size=6, tied_head=True)


def saved(folder: Path, seed: int, config: DrafterConfig = CONFIG, first_id: int = 3) -> Path:
    torch.manual_seed(seed)
    drafter = Drafter(config)
    if config.draft_vocab_size:
        drafter.draft_vocabulary.copy_(torch.arange(first_id, first_id + config.draft_vocab_size))
    save_drafter(drafter, folder)
    return folder


def test_weights_are_the_members_mean(tmp_path: Path) -> None:
    folders = [saved(tmp_path / name, seed) for seed, name in enumerate("abc")]
    members = [load_drafter(folder).state_dict() for folder in folders]
    for shares, parts in ((None, (1 / 3, 1 / 3, 1 / 3)), ((2.0, 1.0, 1.0), (0.5, 0.25, 0.25))):
        mean = average(folders, shares).state_dict()
        for name, value in mean.items():
            expected = sum(part * member[name].double() for part, member in zip(parts, members, strict=True))
            torch.testing.assert_close(value.double(), expected, rtol=1e-6, atol=1e-6)
    assert torch.equal(mean["draft_vocabulary"], members[0]["draft_vocabulary"])


def test_the_command_writes_a_drafter_with_a_card(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folders = [str(saved(tmp_path / name, seed)) for seed, name in enumerate("ab")]
    assert main(["average", *folders, "--shares", "3,1", "--out", str(tmp_path / "mean"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["members"] == 2
    loaded = load_drafter(tmp_path / "mean")
    expected = average([Path(folder) for folder in folders], (3, 1))
    torch.testing.assert_close(loaded.rnn_w.weight, expected.rnn_w.weight.bfloat16().float())
    card = (tmp_path / "mean" / "README.md").read_text()
    assert "| a | 75.0% |" in card and "| b | 25.0% |" in card


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["a"], "at least 2"),
        (["a", "b", "--shares", "1"], "1 shares were given for 2"),
        (["a", "b", "--shares", "1,-1"], "above 0"),
        (["a", "b", "--shares", "1,x"], "must be numbers"),
        (["a", "wide"], "num_draft_layers 2"),
        (["a", "other_words"], "another vocabulary"),
        (["a", "missing"], "missing"),
    ],
)
def test_what_cannot_be_averaged_gets_a_sentence(
    arguments: list[str], sentence: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    saved(tmp_path / "a", 0)
    saved(tmp_path / "b", 1)
    saved(tmp_path / "wide", 2, replace(CONFIG, num_draft_layers=2))
    saved(tmp_path / "other_words", 3, first_id=9)
    named = [str(tmp_path / word) if word.isalpha() or "_" in word else word for word in arguments]
    assert main(["average", *named, "--out", str(tmp_path / "out")]) == 2
    assert sentence in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_mean_does_not_overwrite_a_member(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folders = [str(saved(tmp_path / name, seed)) for seed, name in enumerate("ab")]
    assert main(["average", *folders, "--out", folders[0]]) == 2
    assert "Name another folder" in capsys.readouterr().err


def test_average_refuses_a_single_drafter(tmp_path: Path) -> None:
    with pytest.raises(PlaygroundError, match="at least 2"):
        average([saved(tmp_path / "a", 0)])
