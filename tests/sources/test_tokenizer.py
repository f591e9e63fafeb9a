"""Ids to exact bytes and back, in both spellings, and the chat template's habits."""

from __future__ import annotations

from pathlib import Path

import pytest

from playground.config import Message, PlaygroundError
from playground.sources.tokenizer import Tokenizer, byte_level_table
from tests.toy_tokenizers import byte_fallback_tokenizer, byte_level_tokenizer

HOSTILE = [
    "plain words",
    "naïve café — 日本語",
    "😀 family: 👨‍👩‍👧",
    "tab\tnewline\n\nspaces    end ",
    "${1} <img onerror=x> <s>",
    "zero\u200bwidth \u202eright to left",
    "é! added",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_byte_level_bytes_concatenate_to_the_text(text: str) -> None:
    tokenizer = Tokenizer(byte_level_tokenizer())
    ids = tokenizer.encode_text(text)
    assert b"".join(tokenizer.bytes_of(token) for token in ids) == text.encode()
    assert tokenizer.decode(ids) == text


@pytest.mark.parametrize("text", HOSTILE)
def test_byte_fallback_bytes_concatenate_to_the_text(text: str) -> None:
    tokenizer = Tokenizer(byte_fallback_tokenizer())
    ids = tokenizer.encode_text(text)
    expected = text.replace("<s>", " <s>") if "<s>" in text else text  # a special token cuts the text in two
    got = b"".join(tokenizer.bytes_of(token) for token in ids)
    assert got.replace(b" ", b"") == (" " + expected).encode().replace(b" ", b"")
    if "<s>" not in text:
        assert got == (" " + text).encode()  # SentencePiece puts a space before every text


def test_single_tokens_may_be_half_a_character() -> None:
    tokenizer = Tokenizer(byte_fallback_tokenizer())
    assert tokenizer.bytes_of(3 + 0xE2) == b"\xe2"
    assert tokenizer.decode([3 + 0xE2]) == "\ufffd"


def test_added_tokens_are_spelled_as_they_stand() -> None:
    raw = byte_level_tokenizer()
    tokenizer = Tokenizer(raw)
    assert tokenizer.bytes_of(raw.convert_tokens_to_ids("    ")) == b"    "
    assert tokenizer.bytes_of(raw.convert_tokens_to_ids("é!")) == "é!".encode()
    assert tokenizer.bytes_of(raw.convert_tokens_to_ids("<|end|>")) == b"<|end|>"


def test_ids_beyond_the_tokenizer_have_no_bytes() -> None:
    tokenizer = Tokenizer(byte_level_tokenizer())
    assert tokenizer.bytes_of(tokenizer.size) == b""
    assert tokenizer.bytes_of(-1) == b""


def test_the_byte_table_is_a_bijection() -> None:
    assert sorted(byte_level_table().values()) == list(range(256))


def test_chat_and_follow_up_turns_extend_the_text() -> None:
    tokenizer = Tokenizer(byte_level_tokenizer())
    first = tokenizer.encode_chat([Message("user", "hello")])
    assert tokenizer.decode(first) == "<|start|>user\nhello<|end|>\n<|start|>assistant\n"
    turns = [Message("user", "hello"), Message("assistant", "dog"), Message("user", "more")]
    second = tokenizer.encode_chat(turns)
    assert second[: len(first)] == first
    assert tokenizer.decode(second, skip_special=True) == "user\nhello\nassistant\ndog\nuser\nmore\nassistant\n"


def test_no_template_is_said() -> None:
    tokenizer = Tokenizer(byte_fallback_tokenizer())
    assert not tokenizer.has_chat_template
    with pytest.raises(PlaygroundError, match=r"no chat template.*Switch"):
        tokenizer.encode_chat([Message("user", "hello")])
    assert tokenizer.encode([Message("user", "the")], chat_template=False) == tokenizer.encode_text("the")


def test_a_template_that_refuses_a_role_is_said() -> None:
    raw = byte_level_tokenizer()
    raw.chat_template = "{% if messages[0]['role'] == 'system' %}{{ raise_exception('no system role') }}{% endif %}x"
    with pytest.raises(PlaygroundError, match=r"system, user.*no system role"):
        Tokenizer(raw).encode_chat([Message("system", "be brief"), Message("user", "hello")])


def test_a_closing_token_is_not_part_of_a_prompt() -> None:
    from tokenizers import processors

    raw = byte_fallback_tokenizer()
    raw.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 1), ("</s>", 2)]
    )
    ids = Tokenizer(raw).encode_text("the")
    assert ids[0] == 1 and 2 not in ids


def test_fingerprints_tell_vocabularies_apart() -> None:
    one, other = Tokenizer(byte_level_tokenizer()), Tokenizer(byte_fallback_tokenizer())
    assert one.fingerprint == Tokenizer(byte_level_tokenizer()).fingerprint != other.fingerprint


def test_load_from_a_folder_and_a_sentence_where_there_is_none(tmp_path: Path) -> None:
    byte_level_tokenizer().save_pretrained(tmp_path / "there")
    loaded = Tokenizer.load(tmp_path / "there")
    assert loaded.decode(loaded.encode_text("日本 fox")) == "日本 fox"
    (tmp_path / "empty").mkdir()
    with pytest.raises(PlaygroundError, match=r"no tokenizer that can be read.*Copy"):
        Tokenizer.load(tmp_path / "empty")
