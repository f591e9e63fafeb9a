"""The hint where there is no drafter: a command that does what it says, wherever it is pasted."""

from __future__ import annotations

import shlex
import time
from pathlib import Path
from typing import Any

import pytest

from playground.cli import parser
from playground.config import BeamShape, EngineOptions, Message, PlaygroundError, RunRequest
from playground.session import Session
from playground.sources.catalogue import resolve_base, training_command
from playground.sources.default_base import DEFAULT_BASE
from playground.ui.host import SessionHost
from playground.ui.pages import Pages
from tests.tiny import write_base


@pytest.mark.parametrize("name", ["plain", "with space", "it's", "ünïcode"])
def test_the_training_command_works_when_pasted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """From any folder, however the base was named: our own parser takes it and it finds the same folder."""
    folder = write_base(tmp_path / name)
    (tmp_path / "elsewhere").mkdir()
    for named in (str(folder), name, f"./{name}"):
        monkeypatch.chdir(tmp_path)
        command = shlex.split(training_command(named))
        monkeypatch.chdir(tmp_path / "elsewhere")
        assert command[:4] == ["python", "-m", "playground", "train"]
        chosen = parser().parse_args(command[3:])
        assert resolve_base(chosen.base).path.samefile(folder) and str(chosen.out) == "my-drafter"


def test_the_training_command_of_other_sources() -> None:
    assert training_command(None) == training_command(DEFAULT_BASE) == "python -m playground train --out my-drafter"
    assert parser().parse_args(shlex.split(training_command("owner/model"))[3:]).base == "owner/model"


def test_the_page_that_named_the_folder_is_told_it_and_no_other(own_cache: Path, tmp_path: Path) -> None:
    folder = write_base(tmp_path / "a base")

    def opener(base: str | None, drafter: str | None, options: EngineOptions, progress: Any) -> Session:
        return Session.open(base, drafter, EngineOptions(device="cpu", dtype="float32"))

    host = SessionHost(opener)
    pages = Pages(host, lambda *_: iter(()))
    host.open(str(folder), None, EngineOptions(), asker="mine")
    ends = time.monotonic() + 60
    while host.status.state == "loading" and time.monotonic() < ends:
        time.sleep(0.05)
    request = RunRequest((Message("user", "Hi"),), BeamShape(2, 2), max_new_tokens=4)

    def told(page: str) -> tuple[str, str]:
        pair = pages.status(page)["pair"]
        with pytest.raises(PlaygroundError, match="No drafter is loaded for a base") as refused:
            pages.begin_run(page, request)
        assert pair is not None
        return pair["training"], str(refused.value)

    command, sentence = told("mine")
    assert shlex.split(command)[5] == str(folder.resolve()) and command in sentence
    command, sentence = told("another")
    assert command == "" and str(tmp_path) not in sentence
