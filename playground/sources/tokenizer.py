"""Text to token ids and back, and the exact bytes of every id.

Wraps a transformers tokenizer. Knows chat templates and the two ways vocabularies spell bytes; nothing of models.
"""

from __future__ import annotations

import functools
import hashlib
import json
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from playground.config import Message, PlaygroundError
from playground.sources.chat_template import ChatTemplate
from playground.sources.checkpoint import first_line

_BYTE_PIECE = re.compile(r"<0x([0-9A-Fa-f]{2})>")


class Tokenizer:
    """A base model's tokenizer. Ids are plain ints; `bytes_of` of a whole text's ids concatenates to its bytes."""

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        self._added = {int(key): str(entry) for key, entry in tokenizer.added_tokens_decoder.items()}
        self._special = frozenset(int(token) for token in tokenizer.all_special_ids)
        self._byte_level = _is_byte_level(tokenizer)
        self.bytes_of = functools.lru_cache(maxsize=None)(self._bytes_of)

    @classmethod
    def load(cls, folder: str | Path) -> Tokenizer:
        """Load from a model folder.

        Raises:
            PlaygroundError: the folder holds no tokenizer that can be read.
        """
        from transformers import AutoTokenizer

        try:
            return cls(AutoTokenizer.from_pretrained(str(folder), trust_remote_code=False, local_files_only=True))
        except BaseException as error:
            if not isinstance(error, Exception) and type(error).__name__ != "PanicException":  # of a library in Rust
                raise
            raise PlaygroundError(
                f"{folder} has no tokenizer that can be read ({first_line(error)}). "
                "Copy the model's tokenizer files (tokenizer.json, tokenizer_config.json) into the folder."
            ) from error

    @property
    def has_chat_template(self) -> bool:
        """Whether the model says how a chat is written."""
        return bool(getattr(self._tokenizer, "chat_template", None))

    @functools.cached_property
    def _template(self) -> ChatTemplate:
        return ChatTemplate(str(self._tokenizer.get_chat_template()), self._tokenizer.special_tokens_map)

    @property
    def eos_id(self) -> int | None:
        """The id that ends a text, by the tokenizer."""
        found = self._tokenizer.eos_token_id
        return None if found is None else int(found)

    @property
    def size(self) -> int:
        """Ids the tokenizer knows; the model's vocabulary may be padded beyond it."""
        return len(self._tokenizer)

    @functools.cached_property
    def fingerprint(self) -> str:
        """SHA-256 of the vocabulary: corpora of another tokenizer are told apart by it."""
        vocabulary = sorted(self._tokenizer.get_vocab().items(), key=lambda entry: entry[1])
        return hashlib.sha256(json.dumps(vocabulary).encode()).hexdigest()

    @property
    def control_ids(self) -> frozenset[int]:
        """Ids of control tokens, which no text spells: ends of turns among them."""
        added = self._tokenizer.added_tokens_decoder.items()
        return self._special | {int(key) for key, entry in added if entry.special}

    def encode_words(self, text: str) -> list[int]:
        """Ids of a piece of text, nothing put before or after it."""
        return list(self._tokenizer.encode(text, add_special_tokens=False))

    def encode_chat(self, messages: Sequence[Message]) -> list[int]:
        """Ids of a chat, by the model's template, up to where the assistant's next turn begins.

        Raises:
            PlaygroundError: there is no template, or it does not take this chat.
        """
        return self.encode_words(self.render_chat(messages))

    def render_chat(self, messages: Sequence[Message]) -> str:
        """The text of a chat, by the model's template, up to where the assistant's next turn begins.

        Raises:
            PlaygroundError: there is no template, or it does not take this chat.
        """
        if not self.has_chat_template:
            raise PlaygroundError("This base model has no chat template. Switch the chat template off.")
        turns = [{"role": message.role, "content": message.content} for message in messages]
        try:
            return self._template.render(turns)
        except ValueError as error:
            if isinstance(error, PlaygroundError):
                raise
            roles = ", ".join(message.role for message in messages)
            raise PlaygroundError(
                f"The model's chat template does not take turns of {roles} ({error}). "
                "Leave the system prompt empty, or switch the chat template off."
            ) from error

    def encode_text(self, text: str) -> list[int]:
        """Ids of plain text, with whatever the tokenizer puts before every text."""
        ids, eos = list(self._tokenizer.encode(text)), self.eos_id
        closed = len(ids) > 1 and ids[-1] == eos and eos is not None and not text.endswith(self.decode([eos]))
        return ids[:-1] if closed else ids  # a text that is to be continued has not ended

    def encode(self, messages: Sequence[Message], *, chat_template: bool) -> list[int]:
        """Ids of a prompt: by the chat template, or as the turns' plain text, one after the other."""
        if chat_template:
            return self.encode_chat(messages)
        return self.encode_text("\n".join(message.content for message in messages))

    def decode(self, ids: Iterable[int], *, skip_special: bool = False) -> str:
        """The text of ids; bytes that are no UTF-8 show as U+FFFD."""
        kept = (token for token in ids if not (skip_special and token in self._special))
        return b"".join(self.bytes_of(token) for token in kept).decode("utf-8", errors="replace")

    def _bytes_of(self, token: int) -> bytes:
        """The exact bytes an id stands for; none for ids beyond the tokenizer's own."""
        if token in self._added:
            return self._added[token].encode()
        if not 0 <= token < self.size:
            return b""
        piece = self._tokenizer.convert_ids_to_tokens(token)
        if piece is None:
            return b""
        if self._byte_level:
            table = byte_level_table()
            return b"".join(bytes([table[c]]) if c in table else c.encode() for c in piece)
        if match := _BYTE_PIECE.fullmatch(piece):
            return bytes([int(match[1], 16)])
        return str(piece).replace("▁", " ").encode()


@functools.cache
def byte_level_table() -> dict[str, int]:
    """GPT-2's spelling of bytes: printable Latin-1 stands for itself, the rest for U+0100 and on, in order."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    hidden = [byte for byte in range(256) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {chr(256 + index): byte for index, byte in enumerate(hidden)}


def _is_byte_level(tokenizer: Any) -> bool:
    """Whether the vocabulary spells bytes GPT-2's way rather than SentencePiece's."""
    backend = getattr(tokenizer, "backend_tokenizer", None)
    decoder = getattr(backend, "decoder", None)
    if decoder is not None:
        return b'"ByteLevel"' in decoder.__getstate__()
    vocabulary = tokenizer.get_vocab()
    return "<0x0A>" not in vocabulary and "Ċ" in vocabulary
