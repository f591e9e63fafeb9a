"""Chat templates: what transformers renders is what comes out, and templates made to hurt end in a sentence."""

from __future__ import annotations

import gc
import json
import os
import time
from typing import Any

import pytest

from playground.config import Message, PlaygroundError
from playground.sources import chat_template
from playground.sources.chat_template import ChatTemplate
from playground.sources.tokenizer import Tokenizer
from tests.tiny import TEMPLATE, tokenizer

CHAT = (
    Message("system", "Be <b>brief</b>."),
    Message("user", 'Hé "you"\n😀'),
    Message("assistant", "Yes?"),
    Message("user", "Go"),
)
NEVER_ENDING = "{% for a in range(99999) %}{% for b in range(99999) %}{% for c in range(99) %}" + "{% endfor %}" * 3
HONEST = {
    "plain": TEMPLATE,
    "special tokens": (
        "{{ bos_token }}{% for m in messages %}{{ m.role | upper }}: {{ m['content'] | trim }}{{ eos_token }}"
        "{% endfor %}"
    ),
    "json, loops and namespaces": (
        "{% set ns = namespace(n=0) %}{% for m in messages %}{% if loop.first %}{% continue %}{% endif %}"
        "{% set ns.n = ns.n + 1 %}{{ ns.n }}{{ m | tojson }}{% endfor %}{% if add_generation_prompt %}>{% endif %}"
    ),
    "generation blocks": "{% for m in messages %}{% generation %}{{ m.content }}{% endgeneration %}{% endfor %}",
    "tools and dates": "{% if tools is none %}{{ strftime_now('%Y') }}{% endif %}{{ messages | length }}",
}  # fmt: skip


def rendered(template: str, chat: tuple[Message, ...] = CHAT) -> str:
    made = tokenizer(chat=False)
    made.chat_template = template
    return Tokenizer(made).render_chat(chat)


@pytest.mark.parametrize("name", HONEST)
def test_it_is_what_transformers_renders(name: str) -> None:
    stock: Any = tokenizer(chat=False)
    stock.chat_template = HONEST[name]
    turns = [{"role": message.role, "content": message.content} for message in CHAT]
    assert rendered(HONEST[name]) == stock.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)


HOSTILE = {
    "for ever": NEVER_ENDING,
    "ten gigabytes": "{{ 'x' * 10000000000 }}",
    "a long answer": "{{ 'x' * 9000000 }}",
    "a power of powers": "{{ 9 ** (9 ** (9 ** 9)) }}",
    "doubling": (
        "{% set ns = namespace(s='x') %}{% for i in range(99) %}{% set ns.s = ns.s + ns.s %}{% endfor %}{{ ns.s }}"
    ),
    "recursion": "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
    "Python's insides": "{{ ''.__class__.__mro__[1].__subclasses__() }}{{ messages.__class__.__init__.__globals__ }}",
    "no template": "{% for %}",
    "a refusal": "{{ raise_exception('Roles must alternate') }}",
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_templates_are_sentences(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chat_template, "MAX_SECONDS", 1)
    begun = time.monotonic()
    with pytest.raises(PlaygroundError, match="The model's chat template does not take turns of") as caught:
        rendered(HOSTILE[name])
    assert time.monotonic() - begun < chat_template.MAX_WAIT + 30 and len(str(caught.value)) < 600


def test_the_next_chat_has_a_process_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chat_template, "MAX_SECONDS", 1)
    turn = "{% if messages[0].content == 'x' %}" + NEVER_ENDING + "{% endif %}ok"
    template = ChatTemplate(turn, {})
    with pytest.raises(ValueError):
        template.render([{"role": "user", "content": "x"}])
    assert template.render([{"role": "user", "content": "y"}]) == "ok"


def test_a_template_of_megabytes_is_refused() -> None:
    with pytest.raises(PlaygroundError, match=r"has 1,048,577 characters, but may have 1,048,576"):
        rendered("x" * (2**20 + 1))


def test_one_process_serves_all_templates() -> None:
    texts = [ChatTemplate(text, {}).render([{"role": "user", "content": "y"}]) for text in ("one", "two")]
    process = chat_template.RENDERER._process
    assert texts == ["one", "two"] and process is not None
    ChatTemplate("three", {}).render([{"role": "user", "content": "y"}])
    assert chat_template.RENDERER._process is process and process.poll() is None


def test_the_process_goes_with_its_renderer() -> None:
    renderer = chat_template.Renderer()
    request = {"template": "ok", "messages": [{"role": "user", "content": "y"}], "variables": {}}
    assert json.loads(renderer.ask(json.dumps(request))) == {"text": "ok"}
    process = renderer._process
    assert process is not None and process.poll() is None
    del renderer
    gc.collect()
    with pytest.raises(ProcessLookupError):
        os.kill(process.pid, 0)
