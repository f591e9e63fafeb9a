"""Composed requests: seeded, many, different, and filled to the last slot."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path

import playground.distill.corpus.openings as module
from playground.distill.corpus.openings import composed_requests

TABLE = json.loads(Path(module.__file__).with_name("openings.json").read_text("utf-8"))


def test_no_slot_is_left_open() -> None:
    assert not [text for text in composed_requests(3000, 5) if re.search(r"[{}|]", text)]


def test_every_template_can_be_filled() -> None:
    """Every slot named in a template or a list is a list, a number or one of the four computed ones."""
    texts = [text for kind in TABLE["kinds"].values() for text in kind]
    texts += [text for words in TABLE["slots"].values() for text in words]
    named = {slot for text in texts for slot in re.findall(r"\{(\w+)\}", text)}
    assert named <= set(TABLE["slots"]) | {"y", "name2", "name3", "claim_l"}


def test_seeded_and_growing() -> None:
    assert composed_requests(200, 1) == composed_requests(500, 1)[:200]
    assert composed_requests(200, 1) != composed_requests(200, 2)


def test_requests_seldom_repeat() -> None:
    assert len(set(composed_requests(10_000, 0))) > 9_900


def test_every_kind_opens_equally_often() -> None:
    kinds = list(TABLE["kinds"])
    said = composed_requests(9 * 40, 3)
    hellos = Counter(kinds[i % len(kinds)] for i, text in enumerate(said) if text.startswith(("Hello", "Hi, my name")))
    assert len(kinds) == 9 and set(hellos) == {"talk"}
