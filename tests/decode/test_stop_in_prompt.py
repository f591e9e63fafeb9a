"""Stop is heard while a prompt is read: between chunks, in either lane; the text of who is not stopped is the same."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from playground.config import BeamShape, EngineOptions, Message, RunRequest
from playground.decode import stages
from playground.session import Session
from playground.trace import Footer, Header, ParityRecord, PromptRecord


@pytest.fixture
def session(own_cache: Path, tiny_base: Path, tiny_drafter: Path) -> Session:
    return Session.open(str(tiny_base), str(tiny_drafter), EngineOptions(device="cpu", dtype="float32", engine="eager"))


def request_of(characters: int) -> RunRequest:
    return RunRequest((Message("user", "x" * characters),), BeamShape(2, 2), max_new_tokens=4, chat_template=False)


class StopAfter:
    """An event that is set once it was looked at so many times."""

    def __init__(self, looks: int) -> None:
        self.looks, self.asked = looks, 0

    def is_set(self) -> bool:
        self.asked += 1
        return self.asked > self.looks


def prefills(session: Session, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Lengths of what the base model is given to read, as it comes."""
    read: list[int] = []
    prefill: Callable[..., Any] = session.pair.base.prefill

    def counted(tokens: torch.Tensor, cache: Any) -> Any:
        read.append(len(tokens))
        return prefill(tokens, cache)

    monkeypatch.setattr(session.pair.base, "prefill", counted)
    return read


def test_a_run_stopped_in_its_prompt_reads_no_further(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stages, "READ_CHUNK", 16)
    read = prefills(session, monkeypatch)
    stop: Any = StopAfter(2)  # the turn in the line, and one look between chunks
    records = list(session.run(request_of(120), stop))
    assert read == [16, 16]
    assert [type(record) for record in records] == [Header, ParityRecord, Footer]
    footer = records[-1]
    assert isinstance(footer, Footer) and (footer.finish_reason, footer.text) == ("stopped", "")
    assert len(session.line) == 0


def test_the_plain_lane_hears_it_too(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stages, "READ_CHUNK", 16)
    read = prefills(session, monkeypatch)
    stop: Any = StopAfter(1 + 7 + 1 + 3)  # the line, the drafting lane's chunks, between lanes, three chunks
    records = list(session.run(request_of(120), stop))
    assert sum(read) == 120 + 4 * 16 and len(records) == 4
    assert isinstance(records[1], PromptRecord) and records[1].lane == "redrafter"


def test_chunks_change_nothing(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    def text() -> tuple[str, bool | None]:
        records = list(session.run(request_of(100), threading.Event()))
        footer, parity = records[-1], records[-2]
        assert isinstance(footer, Footer) and isinstance(parity, ParityRecord)
        return footer.text, parity.identical

    whole = text()
    for chunk in (1, 7, 64):
        monkeypatch.setattr(stages, "READ_CHUNK", chunk)
        assert text() == whole
    assert whole[1] is True
