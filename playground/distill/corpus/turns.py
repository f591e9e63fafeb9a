"""How a base model's chats are written, read off its own chat template; or that it has none.

Knows templates by what they render, not by name. Knows nothing of models or of what is said.
"""

from __future__ import annotations

from dataclasses import dataclass

from playground.config import Message, PlaygroundError
from playground.sources.tokenizer import Tokenizer

_MARKERS = ("Zyxquestionxyz", "Zyxanswerxyz", "Zyxfollowupxyz")


@dataclass(frozen=True)
class ChatTurns:
    """Token strings around the turns of a chat; `plain` where there are no turns, only texts."""

    opening: tuple[int, ...] = ()  # from the beginning up to the user's words
    to_assistant: tuple[int, ...] = ()  # from the end of the user's words to the assistant's first
    to_user: tuple[int, ...] = ()  # from the end of the assistant's words to the user's next
    ends: frozenset[int] = frozenset()  # tokens by which the model ends a turn, or a text
    plain: bool = False


def chat_turns(tokenizer: Tokenizer, eos_ids: frozenset[int], *, plain: bool = False) -> ChatTurns:
    """The turns of the tokenizer's chat template, found by rendering a chat of marker words.

    Args:
        eos_ids: tokens that end a text by the model's own word.
        plain: leave the template alone and write plain texts.

    Raises:
        PlaygroundError: the template changes the words it is given, or ends turns unseen.
    """
    if plain or not tokenizer.has_chat_template:
        return ChatTurns(ends=eos_ids, plain=True)
    question, answer, followup = _MARKERS
    chat = (Message("user", question), Message("assistant", answer), Message("user", followup))
    text = tokenizer.render_chat(chat)
    cuts = [text.find(marker) for marker in _MARKERS]
    if -1 in cuts or sorted(cuts) != cuts:
        raise PlaygroundError(
            "The model's chat template does not show the turns it is given, so no chat can be written with it. "
            "Use --no-chat-template to write plain text instead."
        )
    to_user = tokenizer.encode_words(text[cuts[1] + len(answer) : cuts[2]])
    to_assistant = tokenizer.encode_words(text[cuts[2] + len(followup) :])
    closing = {string[0] for string in (to_user, to_assistant) if string}
    ends = eos_ids | (closing & tokenizer.control_ids)
    if not ends:
        raise PlaygroundError(
            "The model's chat template ends turns with no token of its own, so their ends cannot be seen. "
            "Use --no-chat-template to write plain text instead."
        )
    opening = tokenizer.encode_words(text[: cuts[0]])
    return ChatTurns(tuple(opening), tuple(to_assistant), tuple(to_user), ends)
