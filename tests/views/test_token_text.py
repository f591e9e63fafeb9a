"""Bytes as text: everything visible, nothing lost, nothing that could be taken for markup by accident."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from playground.views.token_text import RunningText, hex_bytes, quoted, token_label


@pytest.mark.parametrize(
    ("raw", "label"),
    [
        (b" the", "·the"),
        (b"a b", "a b"),
        (b"  ", "··"),
        (b"\n", "↵"),
        (b"\t x", "⇥ x"),
        (b"\x00", "␀"),
        (b"\x7f", "␡"),
        (b"", "⟨empty⟩"),
        (b"\xe2", "⟨E2⟩"),
        (b"a\xe2\x96", "a⟨E2⟩⟨96⟩"),
        ("\u200d".encode(), "⟨U+200D⟩"),
        ("\u202eab".encode(), "⟨U+202E⟩ab"),
        ("\u00a0".encode(), "⟨U+00A0⟩"),
        ("\u0301".encode(), "◌\u0301"),
        ("שלום".encode(), "שלום"),
        (b"${1}", "${1}"),
        (b"<img src=x onerror=alert(1)>", "<img src=x onerror=alert(1)>"),
    ],
)
def test_labels(raw: bytes, label: str) -> None:
    assert token_label(raw) == label


def test_quoted_keeps_spaces_and_shows_the_rest() -> None:
    assert quoted(b" the") == "' the'"
    assert quoted(b"\n\xff") == "'↵⟨FF⟩'"


def test_hex() -> None:
    assert hex_bytes(b" the") == "20 74 68 65"


@given(st.binary(max_size=12))
def test_every_label_is_visible_and_has_no_control(raw: bytes) -> None:
    label = token_label(raw)
    assert label.strip() and all(char.isprintable() for char in label)


def test_a_character_of_two_tokens_stands_with_the_second() -> None:
    text = RunningText()
    assert [text.feed(raw) for raw in (b"\xe6\x97", b"\xa5!", b"\xe2")] == ["", "日!", ""]
    assert text.rest() == "\ufffd" and text.rest() == ""
