"""Models by mutation: configs, headers and tokenizers of a tiny pair; each loads or ends in a sentence, soon."""

from __future__ import annotations

import json
import random
import resource
import time
from collections.abc import Callable
from pathlib import Path

from tests.sources.malformed import copied, load_a_drafter, load_base
from tests.trust.conftest import Note
from tests.trust.mutate import broken, mutated

SECONDS = 10.0  # of computing
GROWTH = 2**20  # KiB


def change(dice: random.Random, names: tuple[str, ...]) -> Callable[[Path], None]:
    def make(folder: Path) -> None:
        file = folder / dice.choice([name for name in names if (folder / name).is_file()])
        content = file.read_bytes()
        if file.suffix == ".json" and dice.random() < 0.8:
            content = json.dumps(mutated(dice, json.loads(content))).encode()
        else:  # of weights, the header
            whole = len(content) if file.suffix == ".json" else min(len(content), 2000)
            content = broken(dice, content[:whole]) + content[whole:]
        file.write_bytes(content)

    return make


def tried(
    cases: int, seed: int, folder: Path, names: tuple[str, ...], load: Callable[[Path], str | None], note: Note
) -> int:
    """How many of the cases loaded; every other ended in a sentence."""
    dice, loaded, longest = random.Random(seed), 0, 0.0
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for number in range(cases):
        begun = time.process_time()
        with copied(folder, change(dice, names)) as changed:
            told = load(changed)
        assert told is None or len(told) < 2000, number
        longest = max(longest, took := time.process_time() - begun)
        assert took < SECONDS, number
        loaded += told is None
    growth = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert growth < GROWTH
    note("models tried", f"{cases:,}")
    note("of these loaded", f"{loaded:,}")
    note("longest, seconds of computing", f"{longest:.2f}")
    note("memory grew by, MiB", f"{growth // 1024:,}")
    return loaded


def test_every_base_model_loads_or_ends_in_a_sentence(scale: int, tiny_base: Path, record_property: Note) -> None:
    names = ("config.json", "tokenizer.json", "tokenizer_config.json", "model.safetensors", "generation_config.json")
    assert 0 < tried(60 * scale, 154, tiny_base, names, load_base, record_property) < 60 * scale


def test_every_drafter_loads_or_ends_in_a_sentence(scale: int, tiny_drafter: Path, record_property: Note) -> None:
    names = ("config.json", "model.safetensors")
    assert 0 < tried(100 * scale, 155, tiny_drafter, names, load_a_drafter, record_property) < 100 * scale
